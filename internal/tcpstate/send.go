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
	out = c.pollData(now, out)
	if c.ackNow && len(out) == before {
		s := c.control(wire.ACK, c.acceptable())
		if c.nheld > 0 {
			s.Options.NSACK, s.Options.SACK = c.nheld, c.held
		}
		out = append(out, s)
	}
	if len(out) > before { // every segment carries RCV.NXT
		c.ackNow, c.ackAt = false, 0
		c.rcv.acked = c.rcv.nxt
	}
	return out
}

// maxBurst is how many data segments a Poll appends at the most, so that one
// connection with much to send does not keep the others waiting.
const maxBurst = 64

// More reports whether the last Poll stopped short: the next one may send more
// at once.
func (c *Conn) More() bool { return c.more }

func (c *Conn) syn(now time.Duration) wire.Segment {
	if c.snd.max != c.iss {
		c.Retransmits++
	} else {
		c.time(now, c.iss.Add(1))
	}
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
	if c.resendFirst {
		c.resendFirst = false
		// Only what was sent before: the window may have no room for more.
		if s, ok := c.segment(c.snd.una, c.snd.una.To(c.snd.max)); ok {
			c.Retransmits++
			out = append(out, s)
			c.sent(&s)
		}
		// What was sent beyond is in flight still: go on behind it.
		c.snd.nxt = c.snd.max
	}
	if c.probing {
		// One octet beyond the closed window, as Linux's retransmission does.
		if c.snd.nxt == c.snd.una {
			if s, ok := c.segment(c.snd.una, 1); ok {
				if c.snd.max != c.snd.una {
					c.Retransmits++
				}
				out = append(out, s)
				c.sent(&s)
			}
		}
		return out
	}
	c.restartIdle(now)
	limit := c.snd.una.Add(int(min(c.snd.wnd, c.cong.wnd)))
	for n := 0; ; n++ {
		if c.more = n == maxBurst; c.more {
			break
		}
		room := c.snd.nxt.To(limit)
		s, ok := c.segment(c.snd.nxt, room)
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
	}
	c.armRetransmit(now)
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

// segment returns the segment that starts at from and has room octets of window
// at the most; the FIN goes with the last octet. It reports false where there is
// nothing to send.
func (c *Conn) segment(from seq.Num, room int) (wire.Segment, bool) {
	at := c.snd.una.To(from)
	left := c.out.Len() - at
	fin := c.finWrite && left >= 0
	n := min(left, room, int(c.snd.mss))
	if n < 0 {
		n = 0
	}
	// Nagle's algorithm (RFC 9293, section 3.7.4), but only once two segments'
	// worth is in flight: a target that is behind is spared hundreds of small
	// segments, whose overhead would overrun its socket's buffer, and one that is
	// not gets each command at once.
	if n == left && n < int(c.snd.mss) && !fin && from == c.snd.max && c.snd.una.To(from) >= 2*int(c.snd.mss) {
		return wire.Segment{}, false
	}
	// Sender's silly window avoidance (RFC 9293, section 3.8.6.2.1): a part of
	// what could go waits for a better window, except for probes, for what is
	// repeated, and where nothing is in flight.
	if n < left && n < int(c.snd.mss) && room != 1 && uint32(n) < c.snd.maxWnd/2 && c.snd.una != from {
		return wire.Segment{}, false
	}
	fin = fin && n == left
	if n == 0 && (!fin || c.finSent() && from == c.snd.max) {
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
