package tcpstate

import (
	"time"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// duplicates counts n duplicate acknowledgments and sees whether they mean a
// loss: RFC 6675, section 5, steps 1 and 2, or RFC 6582, section 3.2, step 2.
func (c *Conn) duplicates(now time.Duration, n int) {
	if n == 0 || c.snd.una == c.snd.max || c.snd.wnd == 0 {
		return // nothing is out, or these are the answers to probes
	}
	if c.recovery {
		if !c.sackOK {
			c.cong.wnd = min(c.cong.wnd+uint32(n)*uint32(c.snd.mss), maxCwnd)
		}
		return
	}
	c.snd.dupAcks = uint8(min(int(c.snd.dupAcks)+n, 255))
	if c.snd.dupAcks < dupThresh && !(c.board.n() > 0 && c.isLost(0)) {
		return
	}
	// After a timeout duplicates may be the answers to what was repeated. With
	// SACK they are known for that.
	if c.snd.una.Before(c.snd.recover) || !c.sackOK && c.snd.una == c.snd.recover {
		return
	}
	c.enterRecovery(now)
}

// enterRecovery begins fast recovery: RFC 6675, section 5, step 4, or RFC 6582,
// section 3.2, step 2. What limited transmit sent lies beyond the congestion
// window and does not count toward FlightSize.
func (c *Conn) enterRecovery(now time.Duration) {
	mss := uint32(c.snd.mss)
	c.recovery = true
	c.rescued = false
	c.snd.recover = c.snd.max
	c.snd.highRxt = c.snd.una
	c.cong.ssthresh = max(min(c.flight(), c.cong.wnd)/2, 2*mss)
	c.cong.wnd = c.cong.ssthresh
	if !c.sackOK {
		c.cong.wnd += uint32(c.snd.dupAcks) * mss
	}
	c.rtxAt = now + c.backedOff()
	c.resend()
}

// resend makes the next Poll repeat the first unacknowledged segment, whatever
// the congestion window.
func (c *Conn) resend() {
	c.timing = false
	c.resendFirst = true
}

// pollRecovery sends as RFC 6675, section 5, steps 4.3 and C say.
func (c *Conn) pollRecovery(now time.Duration, out []wire.Segment) []wire.Segment {
	pipe, mss := c.pipe(), int(c.snd.mss)
	for n := 0; c.resendFirst || int(c.cong.wnd)-pipe >= mss; n++ {
		if c.more = n == maxBurst; c.more {
			break
		}
		s, ok := c.nextSeg()
		if !ok {
			break
		}
		if s.Seq.Before(c.snd.max) {
			c.Retransmits++
			c.timing = false // Karn's rule
		} else {
			c.time(now, s.End())
		}
		c.sent(&s)
		c.snd.nxt = c.snd.max // what was sent beyond is in flight still
		c.sentAt = now
		pipe += s.Len()
		out = append(out, s)
	}
	c.resendFirst = false
	return out
}

// nextSeg is NextSeg of RFC 6675, section 4: what to send next in recovery.
func (c *Conn) nextSeg() (wire.Segment, bool) {
	wndEnd := c.snd.una.Add(int(c.snd.wnd))
	again := func(from, end seq.Num) (wire.Segment, bool) {
		return c.segment(from, from.To(seq.Min(end, wndEnd)))
	}
	// The first gap that was not repeated: of those before the last block it is
	// the one most surely lost.
	i := 0
	from, end := c.gap(0)
	for ; i < c.board.n() && !end.After(c.snd.highRxt); i++ {
		from, end = c.gap(i + 1)
	}
	from = seq.Max(from, c.snd.highRxt)
	behindHole := i < c.board.n()
	if c.resendFirst || behindHole && c.isLost(i) { // step 4.3, rule 1
		c.resendFirst = false
		s, ok := again(from, end)
		if ok {
			c.snd.highRxt = s.End()
		}
		return s, ok
	}
	if s, ok := c.segment(c.snd.max, c.snd.max.To(wndEnd)); ok { // rule 2
		return s, true
	}
	if behindHole { // rule 3
		s, ok := again(from, end)
		if ok {
			c.snd.highRxt = s.End()
		}
		return s, ok
	}
	// Rule 4, the rescue: once, the end of what is in flight, of which no block
	// could tell that it was lost. Not what was just repeated.
	if from, end = c.gap(c.board.n()); !c.rescued && end.After(seq.Max(from, c.snd.highRxt)) {
		c.rescued = true
		return again(seq.Max(from, end.Add(-int(c.snd.mss))), end)
	}
	return wire.Segment{}, false
}
