package simulation

import (
	"math/rand/v2"
	"slices"

	"mrtecopy/internal/wire"
)

// OnTheWire makes segments of what a client did, as they are captured.
func OnTheWire(r *rand.Rand, c *Client, flow wire.Flow, loses bool) (segs []wire.Segment) {
	first := c.Items[0]
	start := first.End.Add(-len(first.B))
	segs = append(segs, wire.Segment{Flow: flow, Seq: start.Add(-1), Flags: wire.SYN})
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
			segs = append(segs, wire.Segment{Flow: flow, Seq: c.Nxt.Add(-1), Ack: ack, Flags: wire.ACK | wire.FIN})
		}
	}
	for range len(segs) / 8 {
		i := 1 + r.IntN(len(segs)-1)
		switch r.IntN(3) {
		case 0: // repeated, soon or later
			segs = slices.Insert(segs, min(len(segs), i+1+r.IntN(10)), segs[i])
		case 1: // out of order; production's own are captured as it sends them
			if j := i + 1; j < len(segs) && segs[i].Flow == flow && segs[j].Flow == flow {
				segs[i], segs[j] = segs[j], segs[i]
			}
		default:
			if loses && segs[i].Flags&wire.FIN == 0 {
				segs = slices.Delete(segs, i, i+1)
			}
		}
	}
	return segs
}
