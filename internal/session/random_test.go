package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// randomClient makes a client that does what clients do.
func randomClient(r *rand.Rand, ends bool) *client {
	c := newClient()
	if r.IntN(2) == 0 {
		c.nextID = 40 // a cached thread's
	}
	l := testLogin
	if r.IntN(2) == 0 {
		l.Capabilities &^= mysql.ClientDeprecateEOF
	}
	if r.IntN(2) == 0 {
		l.Capabilities |= mysql.ClientQueryAttributes
	}
	if l.Capabilities.Has(mysql.ClientQueryAttributes) || r.IntN(3) == 0 {
		how := []mysql.Compression{mysql.CompressionNone, mysql.CompressionZlib, mysql.CompressionZstd}[r.IntN(3)]
		c.speak(l.Capabilities.Has(mysql.ClientQueryAttributes) && r.IntN(3) > 0, how)
		l.Capabilities |= announce(how)
	}
	c.loginAs(l)
	if r.IntN(3) == 0 {
		c.loggedIn = false
		c.packet(3, make([]byte, 1+r.IntN(256)))
		c.answer(11)
		c.loggedIn = true
	}
	// Behind commands that were pipelined, how many answers are owed is known again
	// from the next OK to a PREPARE: until then, none is refused.
	pipelines, owes := r.IntN(2) == 0, false
	var ids []uint32
	settle := func() {
		if owes {
			ids = append(ids, c.prepare("p0c0 settles"))
			owes = false
		}
	}
	text := func() string { return strings.Repeat("x", r.IntN([]int{5, 50, 500, 20000}[r.IntN(4)])) }
	for n := range 5 + r.IntN(50) {
		any := func() uint32 { return ids[r.IntN(len(ids))] }
		switch k := r.IntN(30); {
		case k < 6 || len(ids) == 0 && k < 20:
			c.query(fmt.Sprintf("select %d %s", n, text()))
		case k < 8 && pipelines:
			owes = true
			c.pipeline(func() {
				for i := range r.IntN(20) {
					c.query(fmt.Sprintf("select %d-%d", n, i))
					if len(ids) > 0 && r.IntN(2) == 0 {
						c.execute(any())
					}
				}
			})
		case k < 9:
			c.query("bad " + text())
		case k < 10:
			c.query("insert " + text())
		case k < 13:
			c.execute(any())
		case k < 14:
			c.bulkOf(any(), 1+r.IntN(30))
		case k < 16:
			c.statement(mysql.ComStmtSendLongData, any(), "\x00\x00"+text())
		case k < 17:
			c.statement(mysql.ComStmtFetch, any(), "\x05\x00\x00\x00")
		case k < 19:
			i := r.IntN(len(ids))
			c.close(ids[i])
			ids = slices.Delete(ids, i, i+1)
		case k < 20:
			c.statement(mysql.ComStmtReset, any(), "")
		case k < 24:
			ids = append(ids, c.prepare(fmt.Sprintf("p%dc%d number %d", r.IntN(3), r.IntN(3), n)))
		case k < 25:
			settle()
			c.prepare(fmt.Sprintf("%c%d", "!~"[r.IntN(2)], n))
		case k < 26:
			c.reset()
			ids = nil
		case k < 27:
			c.changeUser("other", "")
			ids = nil
		case k < 28:
			chunks := make([]string, 1+r.IntN(20))
			for i := range chunks {
				chunks[i] = "row" + text()
			}
			c.load(fmt.Sprintf("LOAD DATA LOCAL INFILE '%d'", n), chunks...)
		case k < 29 && pipelines:
			settle()
			c.pipeline(func() {
				for i := range 2 + r.IntN(4) {
					if r.IntN(4) == 0 {
						c.prepare(fmt.Sprintf("!%d-%d", n, i))
					} else {
						ids = append(ids, c.prepare(fmt.Sprintf("p%dc1 number %d-%d", r.IntN(2), n, i)))
					}
				}
			})
		default:
			c.command(mysql.ComStatistics, "", 30)
		}
	}
	switch {
	case r.IntN(3) > 0:
		c.quit()
	case ends && r.IntN(2) == 0:
		c.rst()
	default:
		c.fin()
	}
	return c
}
