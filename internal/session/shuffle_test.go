package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mrtecopy/internal/flow"
	"mrtecopy/internal/simulation"
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
	c := simulation.RandomClient(r, simulation.Habits{})
	m.call(func(e *Env) { m.sess.Captured(e, true) })
	m.greeted(c)
	var stream flow.Stream
	take := func(events []flow.Event) {
		for i := range events {
			m.call(func(e *Env) { happens(&m.sess, e, &events[i]) })
		}
	}
	for _, s := range simulation.OnTheWire(r, c, testFlow, simulation.Capture{Gaps: loses}) {
		if s.Flow != testFlow {
			if s.Flags.Has(wire.FIN) || m.sess.AwaitsLogin() {
				continue // production's end, or its greeting
			}
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
		m.executedPart(c.Expect)
		return
	}
	m.executed(c.Expect)
	if n := m.env.Counts.Commands.Answered; n != c.Commands-c.LeftOut {
		t.Errorf("%d commands, but the account is %s", c.Commands, m.account())
	}
}
