package tcpstate

import "time"

// startCongestion sets the initial window (RFC 6928) for the MSS just learned.
func (c *Conn) startCongestion() {
	c.cong.wnd = c.initialWindow()
	c.cong.ssthresh = 1 << 30
}

func (c *Conn) initialWindow() uint32 { return 10 * uint32(c.snd.mss) }

// acknowledged opens the congestion window after n new octets were
// acknowledged (RFC 5681, section 3.1, by octets). A report may stand for many
// ACKs, so slow start grows by all of n, as Linux does.
func (c *Conn) acknowledged(n int) {
	mss := uint32(c.snd.mss)
	if c.recovery {
		if c.snd.una.Before(c.snd.recover) { // a partial acknowledgment (RFC 6582, section 3.2, step 3)
			c.cong.wnd = max(c.cong.wnd-min(uint32(n), c.cong.wnd)+mss, mss)
			c.resend()
			return
		}
		c.recovery = false
		c.cong.wnd = c.cong.ssthresh
	}
	c.snd.dupAcks = 0
	const most = 1 << 26 // octets; no target's window is larger
	if c.cong.wnd < c.cong.ssthresh {
		c.cong.wnd = min(c.cong.wnd+uint32(n), most)
		return
	}
	c.cong.acked += uint32(n)
	if c.cong.acked >= c.cong.wnd {
		c.cong.acked -= c.cong.wnd
		c.cong.wnd = min(c.cong.wnd+mss, most)
	}
}

// dupAcks counts n duplicate acknowledgments; the third starts fast retransmit
// and fast recovery (RFC 6582, section 3.2).
func (c *Conn) dupAcks(now time.Duration, n int) {
	if n == 0 || c.snd.una == c.snd.max || c.snd.wnd == 0 {
		return // nothing is out, or these are the answers to probes
	}
	mss := uint32(c.snd.mss)
	if c.recovery {
		c.cong.wnd += uint32(n) * mss
		return
	}
	c.snd.dupAcks = uint8(min(int(c.snd.dupAcks)+n, 255))
	if c.snd.dupAcks < 3 || c.snd.una.Before(c.snd.recover) {
		return
	}
	c.recovery = true
	c.snd.recover = c.snd.max
	c.cong.ssthresh = max(c.flight()/2, 2*mss)
	c.cong.wnd = c.cong.ssthresh + 3*mss
	c.rtxAt = now + c.backedOff()
	c.resend()
}

// resend makes the next Poll repeat the first unacknowledged segment, and only
// it.
func (c *Conn) resend() {
	c.timing = false
	c.resendFirst = true
}

// timeoutCongestion is RFC 5681, section 3.1, equation 4, and RFC 6582, section
// 3.2, step 4.
func (c *Conn) timeoutCongestion() {
	if c.rtt.backoffs == 1 {
		c.cong.ssthresh = max(c.flight()/2, 2*uint32(c.snd.mss))
	}
	c.cong.wnd = uint32(c.snd.mss)
	c.cong.acked = 0
	c.recovery, c.resendFirst = false, false
	c.snd.dupAcks = 0
	c.snd.recover = c.snd.max
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
