package session

import (
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/simulation"
	"mrtecopy/internal/tcpstate"
)

// TestStop stops the program at every turn: the ledger says of every command
// whether it was sent, and the target keeps no connection.
func TestStop(t *testing.T) {
	tests := []struct {
		name   string
		target func(*simulation.Server)
		client func() *simulation.Client
		pace   pace
	}{
		{"replaying", nil, linkClient, func() int { return 1 }},
		{"replaying what came at once", nil, linkClient, atOnce},
		{"with something unanswered", func(v *simulation.Server) { v.Mute = "bad" }, linkClient, func() int { return 1 }},
		{"idle", nil, func() *simulation.Client { return simulation.NewClient().Login().Queries(2) }, func() int { return 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for at := 1; ; at++ {
				m := newSim(t)
				if tt.target != nil {
					tt.target(m.peer.Server)
				}
				c := tt.client()
				m.call(func(e *Env) { m.sess.Captured(e, true) })
				stopped := false
				m.hook = func(m *sim) {
					if m.turns == at {
						stopped = true
						m.call(m.sess.Stop)
					}
				}
				for i := range c.Items {
					m.feed(&c.Items[i])
					for range tt.pace() {
						if !stopped {
							m.turn()
						}
					}
					if stopped {
						break // nothing is captured any more
					}
				}
				m.settle(3 * time.Second)
				if !stopped {
					return
				}
				m.executedPart(append(c.Expect, `COM_QUIT ""`)) // which is ours
				if ph := m.sess.Phase(); ph >= Opening && !m.sess.Closed() {
					t.Errorf("stopped at turn %d: the connection is in %v", at, m.sess.Conn.State())
				}
				m.call(m.sess.Break)
				if m.sess.Conn.Fate() == tcpstate.Alive && m.sess.Conn.State() != tcpstate.Closed || m.peer.State != simulation.PeerListen && m.peer.State != simulation.PeerGone {
					t.Errorf("stopped at turn %d: the target keeps the connection (ours is in %v)", at, m.sess.Conn.State())
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

func TestStopAccount(t *testing.T) {
	tests := []struct {
		name  string
		mute  string
		turns int
		want  string
	}{
		{"not connected yet", "", 0, "lost.not_sent=4 session open"},
		{"all answered", "", 50, "answered=4 session open"},
		{"one never answered", "select 1", 50, "answered=1 pending=3 session open"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			m.peer.Server.Mute = tt.mute
			c := simulation.NewClient().Login().Queries(4)
			m.call(func(e *Env) { m.sess.Captured(e, true) })
			m.greeted(c)
			for i := range c.Items {
				m.feed(&c.Items[i])
			}
			for range tt.turns {
				m.turn()
			}
			m.call(m.sess.Stop)
			m.settle(time.Second)
			if got := m.account(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if quits := m.peer.Server.QuitFIN; (quits == 1) != (tt.name == "all answered") {
				t.Errorf("%d COM_QUITs", quits)
			}
		})
	}
}

// TestDraining ends the capture at every turn. The session goes on to what was
// captured last and closes behind it, by itself and before the program ends.
func TestDraining(t *testing.T) {
	for name, p := range map[string]pace{"one by one": func() int { return 1 }, "at once": atOnce} {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				m := newSim(t)
				c := linkClient()
				m.call(func(e *Env) { m.sess.Captured(e, true) })
				for i := range c.Items {
					m.feed(&c.Items[i])
					for range p() {
						m.turn()
					}
					if m.turns >= at || p() == 0 && i >= at {
						break
					}
				}
				ended := m.turns < at && p() != 0 || p() == 0 && at >= len(c.Items)
				m.env.Draining = true
				m.settle(3 * time.Second)
				m.executedPart(append(c.Expect, `COM_QUIT ""`))
				switch m.sess.Phase() {
				case Reading: // no login was captured
				case Over, Closing:
					if m.peer.State != simulation.PeerListen && m.peer.State != simulation.PeerGone || !m.sess.Closed() {
						t.Errorf("the target keeps the connection (ours is in %v)", m.sess.Conn.State())
					}
				default:
					if !m.sess.stopped || m.sess.Conn.Fate() != tcpstate.Aborted { // it waits for a file
						t.Errorf("phase %d", m.sess.Phase())
					}
				}
				if m.sess.Busy() {
					t.Error("the session is busy still")
				}
				before := m.account()
				m.call(m.sess.ClientGone) // production ended the connection some time ago
				if m.sess.stopped && m.sess.Finished() {
					t.Error("the session may be forgotten, but is counted as open")
				}
				m.call(m.sess.Stop)
				m.call(m.sess.Break)
				if got := m.account(); got != before {
					t.Errorf("before the end of the program %s, behind it %s", before, got)
				}
				if t.Failed() {
					t.Fatalf("the capture ended at %d", at)
				}
				if ended {
					return
				}
			}
		})
	}
}

func TestDrainingAccount(t *testing.T) {
	const load = "LOAD DATA LOCAL INFILE 'f'"
	tests := []struct {
		name   string
		client func(*simulation.Client)
		mute   string
		left   int // of the client's items, which are not captured
		want   string
		quits  bool
	}{
		{name: "all answered", client: func(c *simulation.Client) { c.Queries(3) }, want: "answered=3 session open", quits: true},
		{name: "idle", client: func(c *simulation.Client) {}, want: "session open", quits: true},
		{name: "one never answered", client: func(c *simulation.Client) { c.Query("select 1").Query("hang").Query("select 2") }, mute: "hang", want: "answered=1 pending=2 session open"},
		{name: "the client left", client: func(c *simulation.Client) { c.Query("select 1").Quit() }, want: "answered=2 session replayed", quits: true},
		{name: "half a command", client: func(c *simulation.Client) { c.Query("select 1").Query("select 22").CutLast(3) }, want: "answered=1 session open", quits: true},
		{name: "half a large command", client: func(c *simulation.Client) {
			c.Query("select 1").Query("insert " + strings.Repeat("x", 5000)).CutLast(30)
		}, want: "answered=1 pending=1 session open"},
		{name: "a file that does not come", client: func(c *simulation.Client) { c.Query("select 1").Load(load, "one", "two") }, left: 3, want: "answered=1 pending=1 session open"},
		{name: "half a file", client: func(c *simulation.Client) { c.Query("select 1").Load(load, "one", "two") }, left: 2, want: "answered=1 pending=1 session open"},
		{name: "a statement", client: func(c *simulation.Client) { c.Execute(c.Prepare("p1c1 a")) }, want: "answered=2 session open", quits: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			m.env.StreamAbove = 1 << 10
			m.peer.Server.Mute = tt.mute
			c := simulation.NewClient().Login()
			tt.client(c)
			m.call(func(e *Env) { m.sess.Captured(e, true) })
			m.greeted(c)
			for i := range c.Items[:len(c.Items)-tt.left] {
				m.feed(&c.Items[i])
			}
			m.env.Draining = true
			m.settle(3 * time.Second)
			if busy := m.sess.Busy(); busy != (tt.mute != "") {
				t.Errorf("busy: %v", busy)
			}
			if got := m.account(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if n := m.peer.Server.QuitFIN; (n == 1) != tt.quits {
				t.Errorf("%d COM_QUITs", n)
			}
			if d := m.sess.Deadline(); tt.mute == "" && d != 0 && d <= m.env.Now {
				t.Errorf("the session wants to be polled for ever")
			}
		})
	}
}
