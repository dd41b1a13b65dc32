package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
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
	v := m.peer.server
	v.nextID = uint32(1 + r.IntN(5))
	v.login = []loginStyle{loginAtOnce, loginSwitch}[r.IntN(2)]
	if r.IntN(2) == 0 {
		v.version = "9.7.4"
	}
	if r.IntN(2) == 0 {
		v.caps |= mysql.ClientQueryAttributes
	}
	if w.loss {
		m.loss = 0.08 * r.Float64()
	}
	if w.breaks {
		randomBreaks(m, r)
	}
	c := randomClient(r, w.ends)
	if r.IntN(2) == 0 {
		c.merge()
	}
	if limit := []int{1 << 20, 1460, 200, 20}[r.IntN(4)]; limit < 1<<20 {
		c.split(func() int { return 1 + r.IntN(limit) })
	}
	if w.holes {
		var items []item
		for _, it := range c.items {
			if it.kind == itemData && r.IntN(15) == 0 {
				it.kind = itemGap
			}
			if n := len(items) - 1; it.kind == itemGap && n >= 0 && items[n].kind == itemGap {
				items[n].b = slices.Concat(items[n].b, it.b)
				items[n].end = it.end
				continue
			}
			items = append(items, it)
		}
		c.items = items
	}
	if w.ends && r.IntN(2) == 0 {
		it := item{kind: itemDo, do: func(m *sim) {
			if m.peer.state != peerOpen {
				return
			}
			if r.IntN(2) == 0 {
				m.reply(m.peer.reset())
			} else {
				m.reply(m.peer.leave(m.env.Now))
			}
		}}
		c.items = slices.Insert(c.items, r.IntN(len(c.items)), it)
	}
	p := []pace{atOnce, lockstep, func() int { return 1 }, func() int { return r.IntN(6) - 1 }}[r.IntN(4)]
	m.play(c, p)
	if !w.holes && !w.ends {
		m.executed(c.expect)
		if n := m.env.Counts.Commands.Answered; n != c.commands || m.env.Counts.Sessions.Replayed != 1 {
			t.Errorf("%d commands, but the account is %s", c.commands, m.account())
		}
	} else {
		m.executedPart(c.expect)
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
