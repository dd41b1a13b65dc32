package intercept

import "mrtecopy/internal/wire"

// acknowledge takes the ACK number and the window of s (RFC 9293, section
// 3.10.7.4, fifth) and counts duplicate acknowledgments.
func (r *receiver) acknowledge(s *wire.Segment, t *turn) {
	if !s.Flags.Has(wire.ACK) {
		return
	}
	d := r.una.To(s.Ack)
	if d < 0 || d > horizon {
		return // old, or not of this connection
	}
	// Linux updates the window on any new ACK, the RFC only when SEG.SEQ is not
	// older (tcp_may_update_window); with a new ACK the window cannot be old.
	fresh := d > 0 || !r.is(hasWnd) || !s.Seq.Before(r.wl1)
	same := r.is(hasWnd) && s.Window == r.wnd
	if fresh {
		r.wnd, r.wl1 = s.Window, s.Seq
		r.state |= hasWnd
	}
	if d > 0 {
		r.una = s.Ack
		t.acked += uint32(d)
		t.dupAcks = 0
	} else if same && isDupAck(s) && !s.Seq.Before(r.rcvNxt()) && t.dupAcks < 255 {
		t.dupAcks++
	}
	if s.Options.NSACK > 0 {
		blocks, n := t.blocks(r.una, &s.Options)
		t.options.NSACK = uint8(copy(t.options.SACK[:], blocks[:n]))
	}
}

// isDupAck is what a segment itself must be to be a duplicate acknowledgment:
// (b) and (c) of RFC 5681, section 2. That data is outstanding, (a), only the
// sending half knows. A probe, which has an old sequence number, is none either.
func isDupAck(s *wire.Segment) bool {
	return len(s.Payload)+s.Missing == 0 && s.Flags&(wire.SYN|wire.FIN|wire.RST) == 0
}
