package session

import (
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
