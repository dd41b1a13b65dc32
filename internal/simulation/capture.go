package simulation

import (
	"math/rand/v2"
	"slices"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// A Capture says how a client's connection is captured.
type Capture struct {
	Gaps bool // frames are missed
	Cuts bool // frames are captured in part
	Late bool // the capture began later
}

// OnTheWire makes segments of what a client did, as they are captured between a
// client and production: cut at any octet, repeated, and out of order. Of
// production's there is what the kernel's filter passes.
func OnTheWire(r *rand.Rand, c *Client, flow wire.Flow, how Capture) (segs []wire.Segment) {
	first := c.Items[0]
	start := first.End.Add(-len(first.B))
	if !how.Late {
		segs = append(segs, wire.Segment{Flow: flow, Seq: start.Add(-1), Flags: wire.SYN})
	}
	if g := c.Greeting; g != nil && !how.Late {
		b := g.Append(nil)
		segs = append(segs, wire.Segment{Flow: flow.Reverse(), Seq: first.Ack.Add(-len(b) - mysql.HeaderSize), Ack: start, Flags: wire.ACK,
			Payload: append(mysql.AppendHeader(nil, len(b), 0), b...)})
	}
	ack := first.Ack
	for _, it := range c.Items {
		switch it.Kind {
		case ItemData:
			at := it.End.Add(-len(it.B))
			for b := it.B; len(b) > 0; {
				n := min(len(b), 1+r.IntN([]int{3, 100, 1460, 60_000}[r.IntN(4)]))
				segs = append(segs, wire.Segment{Flow: flow, Seq: at, Ack: it.Ack, Flags: wire.ACK, Payload: slices.Clone(b[:n])})
				at, b = at.Add(n), b[n:]
			}
			ack = it.Ack
		case ItemPrepared:
			segs = append(segs, wire.Segment{Flow: flow.Reverse(), Seq: it.At, Ack: it.Ack, Flags: wire.ACK, Payload: it.B})
		case ItemFIN:
			segs = append(segs,
				wire.Segment{Flow: flow, Seq: c.Nxt.Add(-1), Ack: ack, Flags: wire.ACK | wire.FIN},
				wire.Segment{Flow: flow.Reverse(), Seq: c.Prod, Ack: c.Nxt, Flags: wire.ACK | wire.FIN})
		case ItemRST:
			segs = append(segs, wire.Segment{Flow: flow, Seq: c.Nxt, Ack: ack, Flags: wire.ACK | wire.RST})
		}
	}
	const ends = wire.FIN | wire.RST
	for range len(segs) / 8 {
		i := 1 + r.IntN(len(segs)-1)
		s := &segs[i]
		switch r.IntN(3) {
		case 0: // repeated, soon or later
			segs = slices.Insert(segs, min(len(segs), i+1+r.IntN(10)), *s)
		case 1: // out of order; production's own are captured as it sends them
			if j := i + 1; j < len(segs) && s.Flow == flow && segs[j].Flow == flow && (s.Flags|segs[j].Flags)&wire.RST == 0 {
				segs[i], segs[j] = segs[j], segs[i]
			}
		default:
			if how.Gaps && s.Flags&ends == 0 {
				segs = slices.Delete(segs, i, i+1)
			} else if n := len(s.Payload); how.Cuts && n > 0 && s.Flow == flow {
				left := r.IntN(n)
				s.Payload, s.Missing = s.Payload[:left:left], n-left+s.Missing
			}
		}
	}
	return segs
}
