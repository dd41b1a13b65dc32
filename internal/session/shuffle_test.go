package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mrtecopy/internal/flow"
	"mrtecopy/internal/wire"
)

// TestShuffled captures random clients as a network delivers them: cut at any
// octet, repeated, out of order, and in part not at all. What the target executes
// is what the client said, in its order, and without losses all of it.
func TestShuffled(t *testing.T) {
	for seed := range uint64(120) {
		for _, loses := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed=%d,loses=%v", seed, loses), func(t *testing.T) { shuffledReplay(t, seed, loses) })
		}
	}
}

func FuzzShuffled(f *testing.F) {
	f.Add(uint64(1), true)
	f.Add(uint64(2), false)
	f.Fuzz(func(t *testing.T, seed uint64, loses bool) { shuffledReplay(t, seed, loses) })
}

func shuffledReplay(t *testing.T, seed uint64, loses bool) {
	r := rand.New(rand.NewPCG(seed, 5))
	m := newSim(t)
	m.env.StreamAbove = 64 + r.IntN(8000)
	c := randomClient(r, false)
	m.call(func(e *Env) { m.sess.Captured(e, true) })
	m.sess.ProductionGreeted(c.dialect, c.dialect != nil)
	var stream flow.Stream
	take := func(events []flow.Event) {
		for i := range events {
			m.call(func(e *Env) { happens(&m.sess, e, &events[i]) })
		}
	}
	for _, s := range onTheWire(r, c, loses) {
		if s.Flow != testFlow {
			m.call(func(e *Env) { m.sess.ProductionHead(e, &s) })
			continue
		}
		take(stream.Segment(m.env.Now, &m.env.Pool, &s, nil))
		if r.IntN(3) == 0 {
			m.turn()
		}
		if d := stream.Deadline(); d != 0 && r.IntN(20) == 0 && loses {
			m.env.Now = max(m.env.Now, d)
			take(stream.Expire(m.env.Now, &m.env.Pool, nil))
		}
	}
	if d := stream.Deadline(); d != 0 {
		m.env.Now = max(m.env.Now, d)
		take(stream.Expire(m.env.Now, &m.env.Pool, nil))
	}
	m.settle(time.Minute)
	if loses {
		m.executedPart(c.expect)
		return
	}
	m.executed(c.expect)
	if n := m.env.Counts.Commands.Answered; n != c.commands {
		t.Errorf("%d commands, but the account is %s", c.commands, m.account())
	}
}

// onTheWire makes segments of what a client did, as they are captured.
func onTheWire(r *rand.Rand, c *client, loses bool) (segs []wire.Segment) {
	first := c.items[0]
	start := first.end.Add(-len(first.b))
	segs = append(segs, wire.Segment{Flow: testFlow, Seq: start.Add(-1), Flags: wire.SYN})
	ack := first.ack
	for _, it := range c.items {
		switch it.kind {
		case itemData:
			at := it.end.Add(-len(it.b))
			for b := it.b; len(b) > 0; {
				n := min(len(b), 1+r.IntN([]int{3, 100, 1460, 60_000}[r.IntN(4)]))
				segs = append(segs, wire.Segment{Flow: testFlow, Seq: at, Ack: it.ack, Flags: wire.ACK, Payload: slices.Clone(b[:n])})
				at, b = at.Add(n), b[n:]
			}
			ack = it.ack
		case itemPrepared:
			segs = append(segs, wire.Segment{Flow: testFlow.Reverse(), Seq: it.at, Ack: it.ack, Flags: wire.ACK, Payload: it.b})
		case itemFIN:
			segs = append(segs, wire.Segment{Flow: testFlow, Seq: c.nxt.Add(-1), Ack: ack, Flags: wire.ACK | wire.FIN})
		}
	}
	for range len(segs) / 8 {
		i := 1 + r.IntN(len(segs)-1)
		switch r.IntN(3) {
		case 0: // repeated, soon or later
			segs = slices.Insert(segs, min(len(segs), i+1+r.IntN(10)), segs[i])
		case 1: // out of order; production's own are captured as it sends them
			if j := i + 1; j < len(segs) && segs[i].Flow == testFlow && segs[j].Flow == testFlow {
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
