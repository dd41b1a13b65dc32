package intercept

import (
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A turn collects what the segments of one connection amount to until the next
// report of it. What is a state (RCV.NXT, SND.UNA, what is held) stays with
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
	acked   uint32 // octets newly acknowledged
	ended   uint32 // responses that ended
	errors  uint32 // of which in an ERR
	options wire.Options
}

// urgent reports whether mrtecopy should know at once: the connection's state
// changes, something was lost, or much that is in flight has arrived, so that more
// can follow.
func (t *turn) urgent() bool {
	const much = 8 << 10 // less than what a connection may send at first (RFC 6928)
	return t.flags&(wire.SYN|wire.RST) != 0 || t.dupAcks > 0 || t.ackNow || t.options.NSACK > 0 || t.acked >= much
}

// edge takes the flags of a SYN or RST, or of a segment before the connection is
// synchronized.
func (t *turn) edge(s *wire.Segment) {
	t.flags |= s.Flags & (wire.SYN | wire.RST | wire.ACK)
	t.seq = s.Seq
}

// full reports whether s must wait for the next report: one has room for the
// sequence number of one SYN or RST, and for three SACK blocks.
func (t *turn) full(una seq.Num, s *wire.Segment) bool {
	const one = wire.SYN | wire.RST
	if t.flags&one != 0 && s.Flags&one != 0 {
		return true
	}
	if t.options.NSACK == 0 || s.Options.NSACK == 0 {
		return false
	}
	_, n := t.blocks(una, &s.Options)
	return n > len(s.Options.SACK)
}

// blocks returns the SACK blocks of a segment, the most recent first (RFC 2018,
// section 4), joined with those of the turn's earlier segments: its blocks name
// only the latest of what the target holds, and the ACKs that named the rest are
// in the same report. What lies before una, duplicates (D-SACK) among that, says
// nothing to the sending half.
func (t *turn) blocks(una seq.Num, o *wire.Options) (all [6]wire.Block, n int) {
	for _, list := range [2]*wire.Options{o, &t.options} {
		for _, b := range list.SACK[:list.NSACK] {
			if d := una.To(b.End); d <= 0 || d > horizon || !b.Start.Before(b.End) {
				continue
			}
			at := n
			for i := 0; i < n; {
				k := all[i]
				if k.End.Before(b.Start) || k.Start.After(b.End) {
					i++
					continue
				}
				b = wire.Block{Start: seq.Min(k.Start, b.Start), End: seq.Max(k.End, b.End)}
				at = min(at, i)
				n--
				copy(all[i:], all[i+1:n+1])
			}
			at = min(at, n)
			copy(all[at+1:], all[at:n])
			all[at] = b
			n++
		}
	}
	return all, n
}
