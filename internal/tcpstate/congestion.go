package tcpstate

import "time"

// maxCwnd bounds the congestion window in octets; no target's window is larger.
const maxCwnd = 1 << 26

// startCongestion sets the initial window for the MSS just learned. More than
// one SYN that got lost is a sign of congestion (RFC 6928, section 2; RFC 5681,
// section 3.1).
func (c *Conn) startCongestion(synLost bool) {
	c.cong.wnd = c.initialWindow()
	if synLost {
		c.cong.wnd = uint32(c.snd.mss)
	}
	c.cong.ssthresh = 1 << 30
}

// initialWindow is IW of RFC 6928, section 2.
func (c *Conn) initialWindow() uint32 {
	mss := uint32(c.snd.mss)
	return min(10*mss, max(2*mss, 14600))
}

// acknowledged opens the congestion window after n octets were acknowledged of
// which no report said before that the target holds them (RFC 5681, section 3.1,
// by octets). A report may stand for many ACKs, so slow start grows by all of n,
// as Linux does.
func (c *Conn) acknowledged(n int) {
	mss := uint32(c.snd.mss)
	if c.recovery {
		if c.snd.una.Before(c.snd.recover) { // a partial acknowledgment
			if !c.sackOK { // RFC 6582, section 3.2, step 3; with SACK, pipe tells
				c.cong.wnd = max(c.cong.wnd-min(uint32(n), c.cong.wnd)+mss, mss)
				c.resend()
			}
			return
		}
		// RFC 6582, section 3.2, step 3, (1): no burst after what was repaired.
		c.recovery, c.resendFirst = false, false
		c.cong.wnd = min(c.cong.ssthresh, max(c.flight(), mss)+mss)
		c.snd.dupAcks = 0
		return
	}
	c.snd.dupAcks = 0
	if c.cong.wnd < c.cong.ssthresh {
		c.cong.wnd = min(c.cong.wnd+uint32(n), maxCwnd)
		return
	}
	c.cong.acked += uint32(n)
	if c.cong.acked >= c.cong.wnd {
		c.cong.acked -= c.cong.wnd
		c.cong.wnd = min(c.cong.wnd+mss, maxCwnd)
	}
}

// allowance is what limited transmit adds to the congestion window: a segment of
// new data for each of the first two duplicate ACKs (RFC 3042). With SACK the
// octets that the target holds leave the pipe, which amounts to the same (RFC
// 6675, section 5, step 3).
func (c *Conn) allowance() int {
	if c.recovery || c.sackOK || c.snd.dupAcks >= dupThresh {
		return 0
	}
	return int(c.snd.dupAcks) * int(c.snd.mss)
}

// timeoutCongestion is RFC 5681, section 3.1, equation 4, with RFC 6582, section
// 3.2, step 4, and RFC 6675, section 5.1. What the target said to hold it may
// have taken back (RFC 2018, section 8): all of it is sent again, but for what
// the target says anew meanwhile.
func (c *Conn) timeoutCongestion() {
	if c.retries == 1 {
		c.cong.ssthresh = max(c.flight()/2, 2*uint32(c.snd.mss))
	}
	c.cong.wnd = uint32(c.snd.mss)
	c.cong.acked = 0
	c.startOver()
}

// startOver takes everything in flight for lost.
func (c *Conn) startOver() {
	c.board = scoreboard{}
	c.recovery, c.resendFirst = false, false
	c.snd.dupAcks = 0
	c.snd.recover = c.snd.max
	c.snd.nxt = c.snd.una
}

// flight returns FlightSize in octets.
func (c *Conn) flight() uint32 { return uint32(c.snd.una.To(c.snd.max)) }

// restartIdle closes the congestion window after an idle period of an RTO (RFC
// 5681, section 4.1).
func (c *Conn) restartIdle(now time.Duration) {
	if c.snd.una == c.snd.max && c.sentAt != 0 && now-c.sentAt > c.rtt.rto {
		c.cong.wnd = min(c.cong.wnd, c.initialWindow())
	}
}
