// Package tcpstate is our forged end of one TCP connection to the target, as a
// pure state machine: RFC 9293 with the timers of RFC 6298, the congestion
// control and loss recovery of RFC 5681, 6675 (SACK) and 6582 (without), and
// window scaling (RFC 7323).
//
// It is fed with what the application writes and with reports of what the
// target sent (wire.Report), and appends the segments to send to the caller's
// slice. Time is an argument: a reading of the caller's monotonic clock. There
// is no I/O, no goroutine and no log.
//
// The data that the target sends does not pass here: the intercept receives and
// frames it and reports RCV.NXT. docs/tcp.md lists the rules that are kept and
// those that are not.
package tcpstate

import (
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A State is a state of RFC 9293, section 3.3.2. There is no LISTEN and no
// SYN-RECEIVED: we are the active end, always.
type State uint8

// The states.
const (
	Closed State = iota
	SynSent
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

var stateNames = [...]string{"CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"}

func (s State) String() string { return stateNames[s] }

// A Fate says how a connection came to its end.
type Fate uint8

// The fates.
const (
	Alive       Fate = iota
	Done             // both directions were closed in order
	Refused          // the target answered the SYN with a RST
	Unreachable      // nothing ever answered the SYN
	Reset            // the target sent a RST
	TimedOut         // the target stopped acknowledging
	Aborted          // we sent a RST
)

const (
	// wscale is the shift of the window we advertise: 4 MiB (65535<<6). The
	// target's responses are framed and thrown away as they come, so the window
	// never closes.
	wscale = 6
	// rcvWnd is RCV.WND in octets.
	rcvWnd = 65535 << wscale
	// minMSS is the smallest MSS worth believing (Linux's TCP_MIN_SND_MSS).
	minMSS = 48
	// The default MSS where the peer names none (RFC 9293, section 3.7.1).
	defaultMSS4 = 536
	defaultMSS6 = 1220
)

// A Conn is our end of one replayed connection. Its fields carry the names of
// RFC 9293, section 3.3.1: c.snd.una is SND.UNA.
type Conn struct {
	flow  wire.Flow // from us to the target
	state State
	fate  Fate

	ackNow      bool  // an ACK is due at once
	keepAlive   bool  // the target is to see that we live
	ackAlone    bool  // and not on data: the target is to see a duplicate, with its blocks
	finWrite    bool  // Close was called: a FIN follows the data
	sackOK      bool  // both ends offered SACK
	rstNow      bool  // a RST with rstSeq is due: the answer to a half-open connection
	challenged  bool  // the SYN that follows it is no repetition
	paused      bool  // nothing may be sent: nobody would see the replies
	probing     bool  // the window is closed: the timer sends probes
	more        bool  // the last Poll stopped at maxBurst
	recovery    bool  // in fast recovery (RFC 6582, 6675)
	rescued     bool  // it has had its rescue retransmission (RFC 6675)
	resendFirst bool  // the first segment in flight is to be repeated at once
	timing      bool  // the segment that ends at rtt.seq is being timed
	retries     uint8 // timeouts since SND.UNA last moved
	probes      uint8 // probes since the window closed, saturating
	unanswered  uint8 // probes since the target was last heard

	iss    seq.Num
	rstSeq seq.Num
	snd    struct {
		una, nxt seq.Num
		max      seq.Num // the highest nxt ever: nxt goes back to una on a timeout
		wnd      uint32  // octets, after scaling
		maxWnd   uint32
		scale    uint8
		dupAcks  uint8
		mss      uint16
		recover  seq.Num // behind the last octet sent when the loss was seen: recover of RFC 6582, RecoveryPoint of 6675
		highRxt  seq.Num // behind the last octet repeated in this recovery: HighRxt of RFC 6675
	}
	rcv struct {
		nxt   seq.Num
		acked seq.Num // the last RCV.NXT we told the target
	}
	cong struct {
		wnd, ssthresh uint32 // octets (RFC 5681, section 2)
		acked         uint32 // octets acknowledged towards the next increase
	}
	rtt struct {
		seq            seq.Num
		backoffs       uint8 // doublings of rto until the next sample
		at             time.Duration
		smoothed, vari time.Duration // SRTT, RTTVAR of RFC 6298; smoothed 0: no sample yet
		rto            time.Duration
	}
	rtxAt  time.Duration // when the retransmission timer fires; 0: it is off
	ackAt  time.Duration // when a delayed ACK is due; 0: none
	sentAt time.Duration // when data was last sent
	held   *held         // what the intercept holds beyond RCV.NXT; nil, as nearly always: nothing

	board       scoreboard
	out         buffer.Buffer // octets from SND.UNA on: unacknowledged, then unsent
	Retransmits uint32        // segments sent again; the caller may take and clear it
}

// held are the blocks for SACK (RFC 2018, section 4).
type held struct {
	n      uint8
	blocks [3]wire.Block
}

// Open starts the connection: the first Poll sends the SYN. mss is the largest
// payload our path to the target carries.
func (c *Conn) Open(now time.Duration, flow wire.Flow, iss seq.Num, mss int) {
	*c = Conn{flow: flow, state: SynSent, iss: iss, Retransmits: c.Retransmits}
	c.snd.una, c.snd.nxt, c.snd.max, c.snd.recover = iss, iss, iss, iss
	c.snd.mss = uint16(max(min(mss, 0xffff), minMSS))
	c.rtt.rto = initialRTO
}

// State returns the connection's state.
func (c *Conn) State() State { return c.state }

// Fate returns how the connection ended, or Alive.
func (c *Conn) Fate() Fate { return c.fate }

// Flow returns the 4-tuple, from us to the target.
func (c *Conn) Flow() wire.Flow { return c.flow }

// RcvNxt returns RCV.NXT.
func (c *Conn) RcvNxt() seq.Num { return c.rcv.nxt }

// SndUna returns SND.UNA.
func (c *Conn) SndUna() seq.Num { return c.snd.una }

// Synchronized reports whether the handshake is over.
func (c *Conn) Synchronized() bool { return c.state >= Established }

// Written returns the sequence number behind the last octet written.
func (c *Conn) Written() seq.Num {
	end := c.snd.una.Add(c.out.Len())
	if c.snd.una == c.iss && c.state <= SynSent {
		end = end.Add(1)
	}
	return end
}

// Acked reports whether the target has acknowledged everything before n.
func (c *Conn) Acked(n seq.Num) bool { return !c.snd.una.Before(n) }

// Backlog returns the octets written and not yet acknowledged.
func (c *Conn) Backlog() int { return c.out.Len() }

// Storage returns the octets of storage the connection holds.
func (c *Conn) Storage() int { return c.out.Cap() }

// Write puts data behind what was written. It is sent by the next Poll, as far
// as the windows allow. Writing after Close or the connection's end drops data.
func (c *Conn) Write(p *buffer.Pool, data []byte) {
	if c.finWrite || c.fate != Alive {
		return
	}
	c.out.Append(p, data)
}

// Close sends a FIN behind the data written so far.
func (c *Conn) Close() { c.finWrite = true }

// KeepAlive makes the next Poll show the target that we live (RFC 9293, section
// 3.8.4), where nothing is in flight that does so anyway.
func (c *Conn) KeepAlive() {
	c.keepAlive = (c.state == Established || c.state == CloseWait) && c.snd.una == c.snd.max && !c.pending()
}

// SetMSS changes the largest payload after the path's MTU changed.
func (c *Conn) SetMSS(mss int) {
	c.snd.mss = uint16(max(min(mss, int(c.snd.mss)), minMSS))
}

// Pause stops all sending and all timers until Resume.
func (c *Conn) Pause() { c.paused = true }

// Paused reports whether the connection waits for Resume.
func (c *Conn) Paused() bool { return c.paused }

// Resume ends a pause. What was in flight is given one RTO from now; a report
// may have been missed, so the target is told our RCV.NXT at once.
func (c *Conn) Resume(now time.Duration) {
	if !c.paused {
		return
	}
	c.paused = false
	c.timing = false
	c.rtt.backoffs, c.retries, c.probes, c.unanswered = 0, 0, 0, 0
	if c.rtxAt != 0 {
		c.rtxAt = now + c.rtt.rto
	}
	if c.Synchronized() {
		c.ackNow = true
	}
}

// Abort ends the connection at once and appends the RST for the target, if it
// knows of the connection.
func (c *Conn) Abort(p *buffer.Pool, out []wire.Segment) []wire.Segment {
	if c.fate != Alive || c.state == Closed {
		return out
	}
	if c.Synchronized() && c.state != TimeWait {
		// SND.NXT as the target sees it: it accepts only its RCV.NXT exactly (RFC
		// 5961, section 3.2), which lies between SND.UNA and the highest we sent.
		// Where data is in flight one of the two is right.
		out = append(out, c.control(wire.RST|wire.ACK, c.snd.max))
		if c.snd.una != c.snd.max {
			out = append(out, c.control(wire.RST|wire.ACK, c.snd.una))
		}
	} else if c.state == SynSent && c.snd.max != c.iss {
		// A SYN-ACK may be under way: this closes the half-open end.
		out = append(out, c.control(wire.RST, c.iss.Add(1)))
	}
	c.end(p, Aborted)
	return out
}

// end records the fate and gives the storage back.
func (c *Conn) end(p *buffer.Pool, f Fate) {
	c.fate, c.state = f, Closed
	c.rtxAt, c.ackAt = 0, 0
	c.ackNow, c.ackAlone, c.rstNow, c.keepAlive = false, false, false, false
	c.out.Discard(p, c.out.Len())
}

// Deadline returns when Poll must be called next; 0: not before something else
// happens.
func (c *Conn) Deadline() time.Duration {
	if c.paused {
		return 0
	}
	if c.ackAt != 0 && (c.rtxAt == 0 || c.ackAt < c.rtxAt) {
		return c.ackAt
	}
	return c.rtxAt
}

// control returns a segment without data.
func (c *Conn) control(f wire.Flags, s seq.Num) wire.Segment {
	seg := wire.Segment{Flow: c.flow, Seq: s, Flags: f}
	if f.Has(wire.ACK) {
		seg.Ack = c.rcv.nxt
	}
	if !f.Has(wire.RST) {
		seg.Window = c.window()
	}
	return seg
}

// window returns the window field of a segment without SYN.
func (c *Conn) window() uint16 {
	// Without scaling it is the same number, only fewer octets.
	return 65535
}
