package session

import (
	"math/rand/v2"
	"slices"

	"mrtecopy/internal/wire"
)

// onTheWire makes segments of what a client did, as they are captured.
func onTheWire(r *rand.Rand, c *client, flow wire.Flow, loses bool) (segs []wire.Segment) {
	first := c.items[0]
	start := first.end.Add(-len(first.b))
	segs = append(segs, wire.Segment{Flow: flow, Seq: start.Add(-1), Flags: wire.SYN})
	ack := first.ack
	for _, it := range c.items {
		switch it.kind {
		case itemData:
			at := it.end.Add(-len(it.b))
			for b := it.b; len(b) > 0; {
				n := min(len(b), 1+r.IntN([]int{3, 100, 1460, 60_000}[r.IntN(4)]))
				segs = append(segs, wire.Segment{Flow: flow, Seq: at, Ack: it.ack, Flags: wire.ACK, Payload: slices.Clone(b[:n])})
				at, b = at.Add(n), b[n:]
			}
			ack = it.ack
		case itemPrepared:
			segs = append(segs, wire.Segment{Flow: flow.Reverse(), Seq: it.at, Ack: it.ack, Flags: wire.ACK, Payload: it.b})
		case itemFIN:
			segs = append(segs, wire.Segment{Flow: flow, Seq: c.nxt.Add(-1), Ack: ack, Flags: wire.ACK | wire.FIN})
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
