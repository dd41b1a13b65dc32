package tcpstate

import (
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// Poll appends what may be sent at now: the SYN, data as far as both windows
// allow, what must be repeated, the FIN, and an ACK if one is due that rode on
// nothing. The payloads are views, valid until the next call on c.
func (c *Conn) Poll(now time.Duration, p *buffer.Pool, out []wire.Segment) []wire.Segment {
	c.more = false
	if c.fate != Alive || c.state == Closed || c.paused {
		return out
	}
	if c.rstNow {
		c.rstNow = false
		out = append(out, c.control(wire.RST, c.rstSeq))
	}
	if c.rtxAt != 0 && c.rtxAt <= now {
		if c.expire(now, p); c.fate != Alive {
			return out
		}
	}
	if c.state == SynSent {
		if c.snd.nxt == c.iss && c.rtxAt == 0 {
			out = append(out, c.syn(now))
		}
		return out
	}
	if c.ackAt != 0 && c.ackAt <= now {
		c.ackNow = true
	}
	before := len(out)
	if c.ackAlone {
		out = append(out, c.ack())
	}
	out = c.pollData(now, out)
	if len(out) == before {
		switch {
		case c.keepAlive: // an old number, which the target answers
			out = append(out, c.control(wire.ACK, c.snd.una.Add(-1)))
		case c.ackNow:
			out = append(out, c.ack())
		}
	}
	c.keepAlive = false
	if len(out) > before { // every segment carries RCV.NXT
		c.ackNow, c.ackAlone, c.ackAt = false, false, 0
		c.rcv.acked = c.rcv.nxt
	}
	return out
}

// ack returns an ACK with our SACK blocks.
func (c *Conn) ack() wire.Segment {
	s := c.control(wire.ACK, c.acceptable())
	if c.held != nil {
		s.Options.NSACK, s.Options.SACK = c.held.n, c.held.blocks
	}
	return s
}

// maxBurst is how many data segments a Poll appends at the most, so that one
// connection with much to send does not keep the others waiting.
const maxBurst = 64

// More reports whether the last Poll stopped short: the next one may send more
// at once.
func (c *Conn) More() bool { return c.more }

func (c *Conn) syn(now time.Duration) wire.Segment {
	if c.snd.max != c.iss && !c.challenged {
		c.Retransmits++
	} else {
		c.time(now, c.iss.Add(1)) // nothing else can be answered by a SYN-ACK
	}
	c.challenged = false
	c.snd.nxt = c.iss.Add(1)
	c.snd.max = c.snd.nxt
	c.rtxAt = now + c.backedOff()
	return wire.Segment{
		Flow: c.flow, Seq: c.iss, Flags: wire.SYN, Window: 65535,
		Options: wire.Options{MSS: c.snd.mss, WScale: wscale, HasWScale: true, SACKPermitted: true},
	}
}

// acceptable returns the sequence number for a segment without data: the highest
// sent, but not beyond the send window. A target short of memory takes its window
// back from under what is in flight, and drops what lies outside, the ACK in it
// included (Linux: tcp_acceptable_seq; RFC 9293, section 3.8.6, says that a
// sender must survive it). Less than a unit of the window's scale may be missing
// by rounding, but not of a window of 0, beyond which lies the octet of a probe.
func (c *Conn) acceptable() seq.Num {
	end := c.snd.una.Add(int(c.snd.wnd))
	if beyond := end.To(c.snd.max); beyond <= 0 || c.snd.wnd > 0 && beyond < 1<<c.snd.scale {
		return c.snd.max
	}
	return end
}

// pollData appends the data segments and the FIN that may go.
func (c *Conn) pollData(now time.Duration, out []wire.Segment) []wire.Segment {
	if c.finAcked() {
		return out
	}
	if c.probing {
		return c.pollProbe(out)
	}
	if c.recovery && c.sackOK {
		out = c.pollRecovery(now, out)
		c.armRetransmit(now)
		return out
	}
	wndEnd := c.snd.una.Add(int(c.snd.wnd))
	if c.resendFirst {
		out = c.pollFirst(wndEnd, out)
	}
	c.restartIdle(now)
	room := int(c.cong.wnd) + c.allowance() - c.pipe()
	for n := 0; c.finWrite || c.snd.una.To(c.snd.nxt) < c.out.Len(); n++ {
		if c.more = n == maxBurst; c.more {
			break
		}
		end := wndEnd
		if c.snd.nxt.Before(c.snd.max) { // after a timeout
			if room < int(c.snd.mss) {
				break // not in crumbs
			}
			c.snd.nxt, end = c.board.skip(c.snd.nxt, wndEnd)
		}
		s, ok := c.segment(c.snd.nxt, min(c.snd.nxt.To(end), room))
		if !ok {
			break
		}
		if s.Seq.Before(c.snd.max) {
			c.Retransmits++
		} else {
			c.time(now, s.End())
		}
		out = append(out, s)
		c.sent(&s)
		c.sentAt = now
		room -= s.Len()
	}
	c.armRetransmit(now)
	return out
}

// pollProbe sends one number beyond the closed window, as Linux's retransmission
// does.
func (c *Conn) pollProbe(out []wire.Segment) []wire.Segment {
	if c.snd.nxt != c.snd.una {
		return out
	}
	if s, ok := c.segment(c.snd.una, 1); ok {
		if c.snd.max != c.snd.una {
			c.Retransmits++
		}
		out = append(out, s)
		c.sent(&s)
	}
	return out
}

// pollFirst repeats the first segment in flight.
func (c *Conn) pollFirst(wndEnd seq.Num, out []wire.Segment) []wire.Segment {
	c.resendFirst = false
	if s, ok := c.segment(c.snd.una, c.snd.una.To(seq.Min(c.snd.max, wndEnd))); ok {
		c.Retransmits++
		out = append(out, s)
		c.sent(&s)
	}
	c.snd.nxt = c.snd.max // what was sent beyond is in flight still
	return out
}

// sent notes that s is out.
func (c *Conn) sent(s *wire.Segment) {
	c.snd.nxt = s.End()
	c.snd.max = seq.Max(c.snd.max, c.snd.nxt)
	if s.Flags.Has(wire.FIN) {
		switch c.state {
		case Established:
			c.state = FinWait1
		case CloseWait:
			c.state = LastAck
		}
	}
}

// segment returns the segment that starts at from and takes room sequence
// numbers at the most; the FIN goes with the last octet. It reports false where
// there is nothing to send.
func (c *Conn) segment(from seq.Num, room int) (wire.Segment, bool) {
	at := c.snd.una.To(from)
	left := c.out.Len() - at
	n := max(0, min(left, room, int(c.snd.mss)))
	fin := c.finWrite && n == left && n < room
	if n == 0 && (!fin || c.finSent() && from == c.snd.max) {
		return wire.Segment{}, false
	}
	if from == c.snd.max && n < int(c.snd.mss) && !fin && c.waits(at, n, left, room) {
		return wire.Segment{}, false
	}
	s := c.control(wire.ACK, from)
	if n > 0 {
		s.Payload = c.out.Bytes()[at : at+n]
		if n == left {
			s.Flags |= wire.PSH
		}
	}
	if fin {
		s.Flags |= wire.FIN
	}
	return s, true
}

// waits reports whether n octets of new data, less than a full segment, are
// better sent later: left are there, room may go, and at are in flight.
func (c *Conn) waits(at, n, left, room int) bool {
	if n < left {
		// Sender's silly window avoidance (RFC 9293, section 3.8.6.2.1): a part of
		// what could go waits for a better window, except for probes and where
		// nothing is in flight.
		return room != 1 && uint32(n) < c.snd.maxWnd/2 && at > 0
	}
	// Nagle's algorithm (RFC 9293, section 3.7.4), but only once two segments'
	// worth is in flight: a target that is behind is spared hundreds of small
	// segments, whose overhead would overrun its socket's buffer, and one that is
	// not gets each command at once.
	return at >= 2*int(c.snd.mss)
}
