package intercept

import (
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A turn collects what the segments of one connection amount to in one turn of
// the engine's loop. What is a state (RCV.NXT, SND.UNA, what is held) stays with
// the receiver and is read when the turn is reported.
type turn struct {
	session *session // nil: reported, or given up
	any     bool     // there is something to report
	flags   wire.Flags
	seq     seq.Num // SEG.SEQ of the SYN or RST
	ack     seq.Num // SEG.ACK, where the receiver is not synchronized
	wnd     uint16
	dupAcks uint8
	ackNow  bool
	ended   uint32 // responses that ended
	errors  uint32 // of which in an ERR
	options wire.Options
}

// edge takes the flags of a SYN or RST, or of a segment before the connection is
// synchronized.
func (t *turn) edge(s *wire.Segment) {
	t.flags |= s.Flags & (wire.SYN | wire.RST | wire.ACK)
	t.seq = s.Seq
}

// full reports whether s must wait for the next report: one has room for the
// sequence number of one SYN or RST.
func (t *turn) full(s *wire.Segment) bool {
	const one = wire.SYN | wire.RST
	return t.flags&one != 0 && s.Flags&one != 0
}
