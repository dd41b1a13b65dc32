package tcpstate

import (
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

const (
	// synAgain is how soon a SYN follows the RST that cleared a half-open
	// connection. RFC 9293 leaves it to the retransmission timer; Linux does not.
	synAgain = 5 * time.Millisecond
	// timeWait is how long we acknowledge a repeated FIN. It is not 2*MSL: an old
	// duplicate can harm nobody here, and the 4-tuple must be free for the client's
	// next connection.
	timeWait = time.Second
	// delayedAck is how long an ACK may wait for a command to ride on (RFC 9293,
	// section 3.8.6.3: less than 500 ms).
	delayedAck = 40 * time.Millisecond
)

// Receive takes a report of what the target sent.
func (c *Conn) Receive(now time.Duration, p *buffer.Pool, r *wire.Report) {
	if c.fate != Alive {
		return
	}
	switch c.state {
	case Closed:
		return
	case SynSent:
		if !c.receiveSynSent(now, p, r) {
			return
		}
	default:
		if r.Flags.Has(wire.RST) && c.receiveRST(p, r) {
			return
		}
		if r.Flags.Has(wire.SYN) {
			c.ackNow = true // RFC 5961, section 4: a challenge ACK
		}
	}
	c.receiveAck(now, p, r)
	if c.fate != Alive {
		return
	}
	c.receiveData(now, r)
	if r.Flags.Has(wire.FIN) {
		c.receiveFIN(now)
	}
}

// receiveSynSent is RFC 9293, section 3.10.7.3. It reports whether the
// connection is established and the rest of the report is to be looked at.
func (c *Conn) receiveSynSent(now time.Duration, p *buffer.Pool, r *wire.Report) bool {
	ackOK := r.Flags.Has(wire.ACK) && r.Ack == c.iss.Add(1) && c.snd.max == c.iss.Add(1)
	if r.Flags.Has(wire.RST) {
		if ackOK {
			c.end(p, Refused)
		}
		return false
	}
	if r.Flags.Has(wire.ACK) && !ackOK {
		// The target holds an older connection of this 4-tuple and challenges the
		// SYN: reset that one, then ask again. If that does not help, the RST was
		// lost: another SYN brings another challenge, in its time.
		c.rstNow, c.rstSeq = true, r.Ack
		c.challenged = true
		if c.retries == 0 {
			c.rtxAt = now + synAgain
		}
		return false
	}
	if !r.Flags.Has(wire.SYN | wire.ACK) {
		return false
	}
	c.rcv.nxt = r.Seq.Add(1)
	if r.RcvNxt.After(c.rcv.nxt) {
		c.rcv.nxt = r.RcvNxt
	}
	c.rcv.acked = r.Seq // an ACK is due
	mss := int(r.Options.MSS)
	switch {
	case mss != 0:
	case c.flow.Dst.Addr.Is4():
		mss = defaultMSS4
	default:
		mss = defaultMSS6
	}
	c.snd.mss = uint16(max(min(mss, int(c.snd.mss)), minMSS))
	if r.Options.HasWScale {
		c.snd.scale = min(r.Options.WScale, wire.MaxWScale)
	}
	c.sackOK = r.Options.SACKPermitted
	c.state = Established
	c.startCongestion(c.retries > 1)
	c.ackNow = true
	c.rtt.backoffs, c.retries = 0, 0
	if c.sample(now, r.Ack); c.rtt.smoothed == 0 {
		c.rtt.rto = noSampleRTO
	}
	c.snd.una, c.snd.nxt = r.Ack, r.Ack
	c.rtxAt = 0
	c.snd.wnd = uint32(r.Window)
	if r.RcvNxt != r.Seq.Add(1) {
		// The window of a SYN is never scaled (RFC 7323, section 2.2), but this
		// report covers a later segment too, and the window is that one's.
		c.snd.wnd <<= c.snd.scale
	}
	c.snd.maxWnd = c.snd.wnd
	c.armRetransmit(now)
	return true
}

// receiveRST reports whether the RST ended the connection (RFC 5961, section
// 3.2: only one at exactly RCV.NXT does, one inside the window is challenged).
func (c *Conn) receiveRST(p *buffer.Pool, r *wire.Report) bool {
	// The report's RCV.NXT includes what came just before the RST.
	nxt := seq.Max(c.rcv.nxt, r.RcvNxt)
	switch d := nxt.To(r.Seq); {
	case r.Seq == c.rcv.nxt, d == 0:
		if c.closedByUs() {
			c.end(p, Done)
		} else {
			c.end(p, Reset)
		}
		return true
	case 0 < d && d < rcvWnd:
		c.ackNow = true
	}
	return false
}

// closedByUs reports whether our FIN was acknowledged: what the target sends
// then, a RST included, does not matter any more.
func (c *Conn) closedByUs() bool {
	switch c.state {
	case FinWait2, TimeWait:
		return true
	}
	return false
}

// receiveAck moves SND.UNA and the send window (RFC 9293, section 3.10.7.4).
func (c *Conn) receiveAck(now time.Duration, p *buffer.Pool, r *wire.Report) {
	if !r.Flags.Has(wire.ACK) {
		return
	}
	c.unanswered = 0
	if r.Ack.After(c.snd.max) {
		c.ackNow = true // it acknowledges what was never sent
		return
	}
	if r.Ack.Before(c.snd.una) {
		return // old
	}
	if r.Flags&wire.SYN == 0 {
		c.snd.wnd = uint32(r.Window) << c.snd.scale
		c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
		if c.probing && c.snd.wnd > 0 {
			c.probing, c.probes = false, 0
			c.snd.nxt = c.snd.una
			c.rtxAt = 0
		}
	}
	n := c.snd.una.To(r.Ack)
	news := r.DupAcks > 0 || r.Options.NSACK > 0
	if n == 0 {
		if news {
			c.duplicates(now, c.countDuplicates(r))
		}
		c.armRetransmit(now)
		return
	}
	c.snd.una = r.Ack
	c.snd.nxt = seq.Max(c.snd.nxt, c.snd.una)
	c.snd.highRxt = seq.Max(c.snd.highRxt, c.snd.una)
	c.out.Discard(p, min(n, c.out.Len())) // the FIN takes a number, not an octet
	c.sample(now, r.Ack)
	c.retries, c.probes = 0, 0
	c.probing = false
	if c.board.n() > 0 {
		n -= c.board.advance(c.snd.una)
	}
	c.acknowledged(n)
	c.rtxAt = 0
	if news {
		c.duplicates(now, c.countDuplicates(r))
	}
	c.armRetransmit(now)
	if c.finAcked() {
		switch c.state {
		case FinWait1:
			c.state = FinWait2
		case Closing:
			c.enterTimeWait(now)
		case LastAck:
			c.end(p, Done)
		}
	}
}

// countDuplicates takes over the blocks of a report and returns how many of the
// duplicate acknowledgments it counts are a sign of data that left the network.
// With SACK those are, whatever else they carry, that tell of data not known to
// be there before (RFC 6675, section 2); what answers a duplicate of ours tells
// of none.
func (c *Conn) countDuplicates(r *wire.Report) int {
	switch {
	case !c.sackOK:
		return int(r.DupAcks)
	case r.Options.NSACK == 0 || c.takeSACK(&r.Options) == 0:
		return 0
	}
	return max(int(r.DupAcks), 1)
}

// finSent reports whether our FIN is out, finAcked whether it was acknowledged.
func (c *Conn) finSent() bool {
	switch c.state {
	case FinWait1, FinWait2, Closing, LastAck, TimeWait:
		return true
	}
	return false
}

func (c *Conn) finAcked() bool { return c.finSent() && c.snd.una == c.snd.max && c.out.Len() == 0 }

// receiveData takes over RCV.NXT and decides when to acknowledge.
func (c *Conn) receiveData(now time.Duration, r *wire.Report) {
	if d := c.rcv.nxt.To(r.RcvNxt); d > 0 && d <= rcvWnd+1 {
		c.rcv.nxt = r.RcvNxt
	}
	c.held = nil
	if c.sackOK && r.NHeld > 0 {
		c.held = &held{r.NHeld, r.Held}
	}
	switch fresh := c.rcv.acked.To(c.rcv.nxt); {
	case r.AckNow && r.NHeld > 0: // RFC 5681, section 4.2: a duplicate
		c.ackNow, c.ackAlone = true, true
	case r.AckNow, fresh >= 2*int(c.snd.mss): // RFC 5681, section 4.2
		c.ackNow = true
	case fresh > 0 && c.ackAt == 0:
		c.ackAt = now + delayedAck
	}
}

// receiveFIN is RFC 9293, section 3.10.7.4, eighth.
func (c *Conn) receiveFIN(now time.Duration) {
	c.ackNow = true
	switch c.state {
	case Established:
		c.state = CloseWait
	case FinWait1:
		// Our FIN is not acknowledged, or the state would be FIN-WAIT-2.
		c.state = Closing
	case FinWait2, TimeWait:
		c.enterTimeWait(now)
	}
}

func (c *Conn) enterTimeWait(now time.Duration) {
	c.state = TimeWait
	c.rtxAt = now + timeWait
}
