package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// A weather is what a random replay has to stand.
type weather struct {
	loss   bool // on the links
	breaks bool // of the connection to the intercept
	holes  bool // frames are not captured
	ends   bool // the target leaves, or the client
}

// TestRandom replays random clients through links that lose packets, with an
// intercept that comes and goes. A seed fails again:
//
//	go test ./internal/session -run 'TestRandom/fair/seed=17$'
func TestRandom(t *testing.T) {
	tests := []struct {
		name  string
		w     weather
		seeds uint64
	}{
		{"fair", weather{}, 80},
		{"loss", weather{loss: true}, 80},
		{"breaks", weather{breaks: true}, 80},
		{"loss and breaks", weather{loss: true, breaks: true}, 80},
		{"holes", weather{holes: true}, 150},
		{"ends", weather{ends: true}, 80},
		{"all", weather{true, true, true, true}, 80},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range tt.seeds {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomReplay(t, tt.w, seed) })
			}
		})
	}
}

func randomReplay(t *testing.T, w weather, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 99))
	m := newSim(t)
	m.rng = rand.New(rand.NewPCG(seed, 7))
	m.env.StreamAbove = 64 + r.IntN(8000)
	m.mss = 536 + r.IntN(1000)
	v := m.peer.Server
	v.NextID = uint32(1 + r.IntN(5))
	v.Login = []simulation.LoginStyle{simulation.LoginAtOnce, simulation.LoginSwitch}[r.IntN(2)]
	if r.IntN(2) == 0 {
		v.Version = "9.7.4"
	}
	if r.IntN(2) == 0 {
		v.Caps |= mysql.ClientQueryAttributes
	}
	if w.loss {
		m.loss = 0.08 * r.Float64()
	}
	if w.breaks {
		randomBreaks(m, r)
	}
	c := simulation.RandomClient(r, simulation.Habits{Resets: w.ends})
	if r.IntN(2) == 0 {
		c.Merge()
	}
	if limit := []int{1 << 20, 1460, 200, 20}[r.IntN(4)]; limit < 1<<20 {
		c.Split(func() int { return 1 + r.IntN(limit) })
	}
	if w.holes {
		var items []simulation.Item
		for _, it := range c.Items {
			if it.Kind == simulation.ItemData && r.IntN(15) == 0 {
				it.Kind = simulation.ItemGap
			}
			if n := len(items) - 1; it.Kind == simulation.ItemGap && n >= 0 && items[n].Kind == simulation.ItemGap {
				items[n].B = slices.Concat(items[n].B, it.B)
				items[n].End = it.End
				continue
			}
			items = append(items, it)
		}
		c.Items = items
	}
	if w.ends && r.IntN(2) == 0 {
		it := simulation.Item{Kind: simulation.ItemDo, Do: func(m *sim) {
			if m.peer.State != simulation.PeerOpen {
				return
			}
			if r.IntN(2) == 0 {
				m.reply(m.peer.Reset())
			} else {
				m.reply(m.peer.Leave(m.env.Now))
			}
		}}
		c.Items = slices.Insert(c.Items, r.IntN(len(c.Items)), it)
	}
	p := []pace{atOnce, lockstep, func() int { return 1 }, func() int { return r.IntN(6) - 1 }}[r.IntN(4)]
	m.play(c, p)
	if !w.holes && !w.ends {
		m.executed(c.Expect)
		if n := m.env.Counts.Commands.Answered; n != c.Commands-c.LeftOut || m.env.Counts.Sessions.Replayed != 1 {
			t.Errorf("%d commands, but the account is %s", c.Commands, m.account())
		}
	} else {
		m.executedPart(c.Expect)
	}
	m.over()
}

// randomBreaks takes the intercept away now and then, sometimes between the
// packets it returned and the report behind them.
func randomBreaks(m *sim, r *rand.Rand) {
	until := time.Duration(0)
	left := 1 + r.IntN(6)
	rest := func() time.Duration {
		left--
		return time.Duration(r.IntN(300)) * time.Millisecond
	}
	m.hook = func(m *sim) {
		switch {
		case !m.up && m.env.Now >= until:
			m.linkUp()
		case m.up && left > 0 && r.IntN(15) == 0:
			until = m.env.Now + rest()
			m.linkDown()
		}
	}
	m.cut = func() bool {
		if left == 0 || r.IntN(10) > 0 {
			return false
		}
		until = m.env.Now + rest()
		return true
	}
}
