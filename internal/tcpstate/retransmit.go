package tcpstate

import (
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
)

const (
	initialRTO = time.Second
	// noSampleRTO holds for data when the handshake gave no sample, the SYN having
	// been repeated (RFC 6298, section 5.7).
	noSampleRTO = 3 * time.Second
	// minRTO is Linux's TCP_RTO_MIN, not the second of RFC 6298, section 2.4: the
	// path is a data centre's, and a replay that waits a second falls behind.
	minRTO = 200 * time.Millisecond
	maxRTO = 60 * time.Second
	// maxSyn and maxData are how often a SYN and a data segment are repeated
	// before the target counts as gone: 31 s, and about two minutes or more.
	maxSyn  = 4
	maxData = 10
)

// sample takes an RTT measurement if ack covers the segment being timed (RFC
// 6298, section 2; Karn's rule: retransmitted segments are never timed).
func (c *Conn) sample(now time.Duration, ack seq.Num) {
	if !c.timing || ack.Before(c.rtt.seq) {
		return
	}
	c.timing = false
	c.rtt.backoffs = 0 // only now (RFC 6298, section 5, last paragraph)
	r := max(now-c.rtt.at, time.Microsecond)
	if c.rtt.smoothed == 0 {
		c.rtt.smoothed, c.rtt.vari = r, r/2
	} else {
		d := c.rtt.smoothed - r
		if d < 0 {
			d = -d
		}
		c.rtt.vari += (d - c.rtt.vari) / 4
		c.rtt.smoothed += (r - c.rtt.smoothed) / 8
	}
	c.rtt.rto = min(max(c.rtt.smoothed+4*c.rtt.vari, minRTO), maxRTO)
}

// time starts timing the segment that ends at end, if none is timed.
func (c *Conn) time(now time.Duration, end seq.Num) {
	if !c.timing {
		c.timing, c.rtt.seq, c.rtt.at = true, end, now
	}
}

// pending reports whether the target has not acknowledged all we have for it.
func (c *Conn) pending() bool {
	return c.out.Len() > 0 || c.finWrite && !c.finAcked()
}

// armRetransmit starts the retransmission timer where something is in flight
// or waits for a window, and stops it where nothing does (RFC 6298, section 5).
func (c *Conn) armRetransmit(now time.Duration) {
	if c.state == TimeWait {
		return
	}
	inFlight := c.snd.una != c.snd.max
	waiting := c.snd.wnd == 0 && c.pending()
	switch {
	case !inFlight && !waiting:
		c.rtxAt = 0
	case c.rtxAt == 0:
		c.rtxAt = now + c.backedOff()
	}
}

// backedOff returns the timer's current value.
func (c *Conn) backedOff() time.Duration { return backOff(c.rtt.rto, c.rtt.backoffs) }

// backOff doubles d n times, up to maxRTO.
func backOff(d time.Duration, n uint8) time.Duration { return min(d<<min(n, 16), maxRTO) }

// expire handles the retransmission timer (RFC 6298, section 5.4 to 5.7), or
// the persist timer (RFC 9293, section 3.8.6.1), or the end of TIME-WAIT.
func (c *Conn) expire(now time.Duration, p *buffer.Pool) {
	c.rtxAt = 0
	if c.state == TimeWait {
		c.end(p, Done)
		return
	}
	c.timing = false
	if c.state != SynSent && c.snd.wnd == 0 && c.pending() {
		c.probe(now, p)
		return
	}
	if c.snd.max != c.snd.una { // a SYN cut short by a reset was not repeated
		c.retries++
		c.rtt.backoffs++
	}
	if c.state == SynSent {
		if c.retries > maxSyn {
			c.end(p, Unreachable)
			return
		}
		c.snd.nxt = c.iss
		return
	}
	if c.retries > maxData {
		c.giveUp(p)
		return
	}
	c.timeoutCongestion()
}

// probe makes Poll send one number beyond a closed window. That is no sign of a
// dead target: it is probed as long as it answers (RFC 9293, section 3.8.6.1),
// and as often as data is repeated when it does not (RFC 1122, section 4.2.2.17,
// and RFC 6429).
func (c *Conn) probe(now time.Duration, p *buffer.Pool) {
	if c.probing {
		if c.unanswered++; c.unanswered > maxData {
			c.giveUp(p)
			return
		}
	}
	c.probing = true
	c.startOver()
	c.probes = min(c.probes+1, 16)
	c.rtxAt = now + backOff(c.rtt.rto, c.probes)
}

// giveUp ends the connection to a target that acknowledges nothing any more.
func (c *Conn) giveUp(p *buffer.Pool) {
	if c.finSent() && c.out.Len() == 0 {
		c.end(p, Done) // everything but the FIN itself was acknowledged
	} else {
		c.end(p, TimedOut)
	}
}
