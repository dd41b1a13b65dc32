package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// A scenario is a client, a target, and the account that must come of it.
type scenario struct {
	name    string
	target  func(*simulation.Server)
	sim     func(*sim)
	client  func(*simulation.Client)
	account string
	paces   []string // of paces; none: all
	open    bool     // the session does not end
}

var paces = map[string]struct {
	pace  pace
	merge bool
}{
	"one by one":       {lockstep, false},
	"at once":          {atOnce, false},
	"at once, merged":  {atOnce, true},
	"a turn each":      {func() int { return 1 }, false},
	"three turns each": {func() int { return 3 }, false},
}

func (sc *scenario) run(t *testing.T) {
	names := sc.paces
	if names == nil {
		for n := range paces {
			names = append(names, n)
		}
	}
	for _, name := range names {
		p := paces[name]
		t.Run(name, func(t *testing.T) {
			m := newSim(t)
			if sc.target != nil {
				sc.target(m.peer.Server)
			}
			if sc.sim != nil {
				sc.sim(m)
			}
			c := simulation.NewClient()
			sc.client(c)
			if p.merge {
				c.Merge()
			}
			m.play(c, p.pace)
			m.executed(c.Expect)
			if got := m.account(); got != sc.account {
				t.Errorf("account:\n got %s\nwant %s", got, sc.account)
			}
			if !sc.open {
				m.over()
			}
		})
	}
}

func run(t *testing.T, scenarios []scenario) {
	for i := range scenarios {
		t.Run(scenarios[i].name, scenarios[i].run)
	}
}

var oneByOne = []string{"one by one"}

func TestCommands(t *testing.T) {
	run(t, []scenario{
		{
			name:    "queries",
			client:  func(c *simulation.Client) { c.Login().Queries(20).Quit() },
			account: "answered=21 session replayed",
		},
		{
			name:    "pipelined queries",
			client:  func(c *simulation.Client) { c.Login().Pipeline(func() { c.Queries(50) }).Quit() },
			account: "answered=51 session replayed",
		},
		{
			name: "commands of every kind",
			client: func(c *simulation.Client) {
				c.Login().Command(mysql.ComInitDB, "shop", 11).Command(mysql.ComPing, "", 11).Command(mysql.ComStatistics, "", 30).
					Command(mysql.ComSetOption, "\x00\x00", 9).Command(mysql.ComQuery, "bad", 40).Query("select 1234").Command(mysql.ComFieldList, "t\x00", 11).Quit()
			},
			account: "answered=8 errors=1 session replayed",
		},
		{
			name:    "errors that are the server's answer to all",
			client:  func(c *simulation.Client) { c.Login().Query("bad").Query("bad one").Query("good").Quit() },
			account: "answered=4 errors=2 session replayed",
		},
		{
			name: "results without DEPRECATE_EOF",
			client: func(c *simulation.Client) {
				l := simulation.TestLogin
				l.Capabilities &^= mysql.ClientDeprecateEOF
				c.LoginAs(l).Queries(5)
				id := c.Prepare("p2c3 select ?, ?")
				c.Execute(id).Close(id).Quit()
			},
			account: "answered=9 session replayed",
		},
		{
			name:    "an old client, without plugins",
			target:  func(v *simulation.Server) { v.Caps &^= mysql.ClientPluginAuth },
			client:  func(c *simulation.Client) { c.Login().Queries(2).Quit() },
			account: "answered=3 session replayed",
		},
		{
			name: "commands that are never replayed",
			client: func(c *simulation.Client) {
				c.Login().Queries(2).Command(mysql.ComShutdown, "\x00", 9).Forget(1).Query("select 9").Command(mysql.ComProcessKill, "abcd", 11).Forget(1).Queries(1).Quit()
			},
			account: "answered=5 skipped.policy=2 session replayed",
		},
		{
			name:    "a command never replayed comes last",
			client:  func(c *simulation.Client) { c.Login().Queries(1).Command(mysql.ComShutdown, "\x00", 9).Forget(1).Fin() },
			account: "answered=1 skipped.policy=1 session replayed",
		},
		{
			name: "a replica",
			client: func(c *simulation.Client) {
				c.Login().Queries(2).Command(mysql.ComBinlogDump, "1234567890", 100).Forget(1).Queries(1).Forget(1).Fin()
			},
			account: "answered=2 skipped.replication=2 session skipped replication",
			paces:   oneByOne,
		},
		{
			name: "a replica, faster than the target",
			client: func(c *simulation.Client) {
				c.Login().Queries(2).Command(mysql.ComRegisterSlave, "1234567890", 100).Forget(3).Fin()
			},
			account: "skipped.replication=3 session skipped replication",
			paces:   []string{"at once", "at once, merged"},
		},
		{
			name:    "a command of no known number goes to the target as well",
			client:  func(c *simulation.Client) { c.Login().Command(0x7f, "x", 11).Quit() },
			account: "answered=2 session replayed",
		},
	})
}

// TestSplitDoesNotMatter cuts one client's stream at every octet, and into
// segments of every size.
func TestSplitDoesNotMatter(t *testing.T) {
	make := func() *simulation.Client {
		c := simulation.NewClient().Login().Query("select 1")
		a := c.Prepare("p1c1 a")
		c.Execute(a).ChangeUser("other", "").Load("LOAD DATA LOCAL INFILE 'f'", "one", "two")
		b := c.Prepare("p0c0 b")
		c.Execute(b).Close(b).Command(mysql.ComShutdown, "", 0).Forget(1)
		return c.Query("select 2").Quit()
	}
	want := "answered=10 skipped.policy=1 session replayed"
	try := func(c *simulation.Client, p pace, what string) {
		m := newSim(t)
		m.play(c, p)
		m.executed(c.Expect)
		if got := m.account(); got != want {
			t.Fatalf("%s: account %s, want %s", what, got, want)
		}
		m.over()
	}
	size := 0
	for _, it := range make().Items {
		size += len(it.B)
	}
	for n := 1; n < size; n++ {
		for _, p := range []pace{atOnce, lockstep} {
			try(make().Split(func() int { return n }), p, fmt.Sprintf("segments of %d", n))
			try(make().Merge().Split(func() int { return n }), p, fmt.Sprintf("merged, segments of %d", n))
		}
		first := true
		c := make().Split(func() int {
			if first {
				first = false
				return n
			}
			return 1 << 20
		})
		try(c, atOnce, fmt.Sprintf("cut at %d", n))
	}
}

func TestSizes(t *testing.T) {
	const mib = 1 << 20
	sizes := []int{1, 2, 3, 4, 5, testStreamAbove - 5, testStreamAbove - 4, testStreamAbove - 3, 3 * mib, 16*mib - 3, 16*mib - 2, 16*mib - 1, 16 * mib, 40 * mib}
	for _, n := range sizes {
		for _, where := range []string{"before the login", "behind it"} {
			t.Run(fmt.Sprintf("%d %s", n, where), func(t *testing.T) {
				if testing.Short() && n > 4*mib {
					t.Skip("large")
				}
				m := newSim(t)
				b := []byte(strings.Repeat("0123456789abcdef", n/16+1))[:n]
				c := simulation.NewClient().Login().Query("select 1")
				p := atOnce
				if where == "behind it" {
					c.Do(func(m *sim) { m.settle(time.Second) })
					p = func() int { return 1 }
				}
				c.Query(string(b)).Query("select 2").Quit()
				c.Split(func() int { return 64 << 10 })
				m.play(c, p)
				m.executed(c.Expect)
				if got := m.account(); got != "answered=4 session replayed" {
					t.Error(got)
				}
				m.over()
			})
		}
	}
}

func TestOpenedBeforeStart(t *testing.T) {
	m := newSim(t)
	c := simulation.NewClient()
	c.Raw([]byte("the middle of a packet that is not known"))
	c.Answer(10)
	c.Queries(3)
	c.Expect = nil
	c.Fin()
	m.call(func(e *Env) { m.sess.Captured(e, false) })
	m.playOn(c, atOnce)
	m.executed(nil)
	if got, want := m.account(), "skipped.opened_before_start=3 session skipped opened_before_start"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m.over()
}
