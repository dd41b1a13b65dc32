package session

import (
	"fmt"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// linkClient does a little of everything that waits for the target.
func linkClient() *simulation.Client {
	c := simulation.NewClient().Login().Query("select 1")
	a := c.Prepare("p1c1 a")
	c.Pipeline(func() { c.Prepare("p0c0 b") })
	c.Execute(a).Execute(2).ChangeUser("other", "").Load("LOAD DATA LOCAL INFILE 'f'", "one", "two").Query("bad")
	d := c.Prepare("p0c2 d")
	c.Execute(d).Close(d).Query("select 12")
	e := c.Prepare("p2c2 e")
	return c.Execute(e).Query("select 3").Quit()
}

const linkAccount = "answered=16 errors=1 session replayed"

// TestInterceptRestarts takes the intercept away at every turn of a replay.
func TestInterceptRestarts(t *testing.T) {
	for name, p := range paces {
		for _, login := range []simulation.LoginStyle{simulation.LoginAtOnce, simulation.LoginSwitch} {
			for _, pause := range []int{1, 5} {
				for at := 1; ; at++ {
					m := newSim(t)
					m.peer.Server.Login, m.peer.Server.NextID = login, 5
					upAt := 0
					m.hook = func(m *sim) {
						switch m.turns {
						case at:
							m.linkDown()
							upAt = at + pause
						case upAt:
							m.linkUp()
						}
					}
					c := linkClient()
					if p.merge {
						c.Merge()
					}
					m.play(c, func() int { return min(1, p.pace()*p.pace()) })
					checkLink(m, c, fmt.Sprintf("%s, login style %d: down for %d turns at %d", name, login, pause, at))
					if m.turns < at {
						break
					}
				}
			}
		}
	}
}

// TestInterceptIsAwayWhenAClientLeaves takes the intercept away for minutes, when
// a client ends its connection: by a FIN, and by a RST with commands unanswered.
func TestInterceptIsAwayWhenAClientLeaves(t *testing.T) {
	for name, client := range map[string]*simulation.Client{
		"FIN": simulation.NewClient().Login().Query("select 1").Quit(),
		"RST": simulation.NewClient().Login().Query("select 1").Query("select 2").Rst(),
	} {
		m := newSim(t)
		m.hook = func(m *sim) {
			if m.up && m.sess.clientGone != clientOpen && m.sess.Phase() >= Ready {
				m.hook = nil
				m.linkDown()
			}
		}
		m.play(client, atOnce)
		for range 600 {
			m.env.Now += time.Second
			m.turn()
		}
		if m.up || m.sess.Phase() == Over {
			t.Fatalf("%s: phase %d, the intercept is there: %v", name, m.sess.Phase(), m.up)
		}
		m.linkUp()
		m.settle(time.Minute)
		m.executed(client.Expect)
		if got, want := m.account(), "answered="+fmt.Sprint(len(client.Expect))+" session replayed"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		m.over()
	}
}

// TestReportsGetLost takes the intercept away between the packets it returned
// and the report behind them: both come again.
func TestReportsGetLost(t *testing.T) {
	for name, p := range paces {
		for at := 0; ; at++ {
			m := newSim(t)
			m.peer.Server.NextID = 5
			reports, upAt := 0, 0
			m.cut = func() bool {
				cut := reports == at || reports == at+1 // the second is that of the repeated packets
				if reports++; cut {
					upAt = m.turns + 3
				}
				return cut
			}
			m.hook = func(m *sim) {
				if m.turns == upAt {
					m.linkUp()
				}
			}
			c := linkClient()
			if p.merge {
				c.Merge()
			}
			m.play(c, func() int { return min(1, p.pace()*p.pace()) })
			checkLink(m, c, fmt.Sprintf("%s, report %d", name, at))
			if reports < at {
				break
			}
		}
	}
}

func checkLink(m *sim, c *simulation.Client, what string) {
	m.tb.Helper()
	// What a session that had not logged in yet did is done again.
	m.executed(c.Expect)
	if got := m.account(); got != linkAccount {
		m.tb.Fatalf("%s:\n got %s\nwant %s", what, got, linkAccount)
	}
	m.over()
	if m.tb.Failed() {
		m.tb.Fatal(what)
	}
}

func TestNoIntercept(t *testing.T) {
	m := newSim(t)
	m.up = false
	c := simulation.NewClient().Login().Queries(3)
	m.play(c, atOnce)
	if m.sess.Phase() != Queued || m.peer.Conns != 0 || !m.sess.Busy() {
		t.Errorf("phase %d, %d connections; want a session that waits", m.sess.Phase(), m.peer.Conns)
	}
	if got, want := m.account(), "pending=3 session open"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m.linkUp()
	m.settle(time.Second)
	m.executed(c.Expect)
	if got, want := m.account(), "answered=3 session open"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnanswered(t *testing.T) {
	m := newSim(t)
	m.peer.Server.Mute = "sleep"
	c := simulation.NewClient().Login().Query("select 1").Query("sleep").Query("select 2")
	a := c.Prepare("p0c0 a")
	c.Statement(mysql.ComStmtSendLongData, a, "abcd").Command(mysql.ComShutdown, "", 1)
	if got := string(m.sess.Unanswered(nil)); got != "\xf0" {
		t.Errorf("before anything was sent: %q", got)
	}
	m.play(c, atOnce)
	if got := string(m.sess.Unanswered(nil)); got != "\x03\x03\x16" {
		t.Errorf("behind a command that is not answered: %q", got)
	}
}

// A client's keep-alive reaches the target, once it is logged in.
func TestKeepAliveIsPassedOn(t *testing.T) {
	c := simulation.NewClient().Login().Query("select 1")
	m := ready(t, c)
	m.env.Out.Segments = m.env.Out.Segments[:0]
	m.sess.ClientKeepsAlive()
	m.sess.Poll(&m.env)
	segs := m.env.Out.Segments
	if una := m.sess.Conn.SndUna(); len(segs) != 1 || segs[0].Len() != 0 || segs[0].Seq != una.Add(-1) {
		t.Errorf("sent %+v; SND.UNA is %v", segs, una)
	}
	var early Session
	early.ClientKeepsAlive()
	early.Poll(&m.env)
	if len(m.env.Out.Segments) != 1 {
		t.Error("a session without a connection sends something")
	}
}
