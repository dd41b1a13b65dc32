package session

import (
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
)

func TestClientsEnd(t *testing.T) {
	run(t, []scenario{
		{
			name:    "FIN without COM_QUIT",
			client:  func(c *client) { c.login().queries(3).fin() },
			account: "answered=3 session replayed",
		},
		{
			name:    "FIN without COM_QUIT, and the target complains",
			target:  func(v *server) { v.version = "9.7.4" },
			client:  func(c *client) { c.login().queries(3).fin() },
			account: "answered=3 session replayed",
		},
		{
			name:    "FIN behind a statement that has no answer",
			client:  func(c *client) { c.login(); a := c.prepare("p0c0 a"); c.close(a).fin() },
			account: "answered=2 session replayed",
		},
		{
			name:    "RST",
			client:  func(c *client) { c.login().queries(3).rst() },
			account: "answered=3 session replayed",
		},
		{
			name:    "RST behind COM_QUIT",
			client:  func(c *client) { c.login().queries(3).command(mysql.ComQuit, "", 0).rst() },
			account: "answered=4 session replayed",
		},
		{
			name:    "RST behind a command that is never answered",
			target:  func(v *server) { v.mute = "sleep" },
			client:  func(c *client) { c.login().queries(3).query("sleep").query("select 5").forget(1).rst() },
			account: "answered=3 lost.response_timeout=2 session lost response_timeout",
		},
		{
			name:    "half a command",
			client:  func(c *client) { c.login().queries(1).query("select 'this is cut'").forget(1).cutLast(9).fin() },
			account: "answered=1 session replayed",
		},
		{
			name:    "half a command, and a RST",
			client:  func(c *client) { c.login().queries(1).query("select 'this is cut'").forget(1).cutLast(9).rst() },
			account: "answered=1 session replayed",
		},
		{
			name: "half a streamed command",
			client: func(c *client) {
				c.login().queries(1).query("insert " + strings.Repeat("x", 2<<20)).forget(1).cutLast(1 << 20).fin()
			},
			account: "answered=1 lost.not_sent=1 session lost not_sent",
			paces:   oneByOne,
		},
		{
			name: "half a streamed command that waits",
			client: func(c *client) {
				c.login().queries(1).query("insert " + strings.Repeat("x", 2<<20)).forget(1).cutLast(1 << 20).fin()
			},
			account: "answered=1 lost.not_sent=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name:    "never, and nothing is unanswered",
			client:  func(c *client) { c.login().queries(1) },
			account: "answered=1 session open",
			open:    true,
		},
		{
			name:    "never, and something is",
			target:  func(v *server) { v.mute = "sleep" },
			client:  func(c *client) { c.login().queries(1).query("sleep") },
			account: "answered=1 pending=1 session open",
			open:    true,
		},
	})
}

// TestQuitGoesWithTheFIN checks decision 14: COM_QUIT and FIN go together,
// behind the last response.
func TestQuitGoesWithTheFIN(t *testing.T) {
	for name, p := range paces {
		t.Run(name, func(t *testing.T) {
			m := newSim(t)
			c := newClient().login().queries(5).quit()
			m.play(c, p.pace)
			if n := m.peer.server.quitFIN; n != 1 || m.peer.resets > 0 {
				t.Errorf("%d COM_QUITs came with the FIN, and %d RSTs; want 1 and 0", n, m.peer.resets)
			}
			m.over()
		})
	}
}

// TestResetIsReplayedAsReset checks that a client's RST does not overtake what
// it sent before.
func TestResetIsReplayedAsReset(t *testing.T) {
	for name, p := range paces {
		t.Run(name, func(t *testing.T) {
			m := newSim(t)
			c := newClient().login().queries(5).rst()
			m.play(c, p.pace)
			m.executed(c.expect)
			if m.peer.resets != 1 {
				t.Errorf("the target took %d RSTs, want 1", m.peer.resets)
			}
		})
	}
}

func TestTargetsEnd(t *testing.T) {
	leave := func(m *sim) {
		m.reply(m.peer.leave(m.env.Now))
		m.settle(time.Second)
	}
	reset := func(m *sim) { m.reply(m.peer.reset()); m.settle(time.Second) }
	settle := func(m *sim) { m.settle(time.Second) }
	run(t, []scenario{
		{
			name:    "it closes an idle connection, and the client says nothing more",
			client:  func(c *client) { c.login().queries(2).do(settle).do(leave).fin() },
			account: "answered=2 session replayed",
		},
		{
			name:    "it closes an idle connection, and the client goes on",
			client:  func(c *client) { c.login().queries(2).do(settle).do(leave).queries(2).forget(2).quit().forget(1) },
			account: "answered=2 lost.target_closed=3 session lost target_closed",
		},
		{
			name: "it closes an idle connection, and the client goes on at once",
			client: func(c *client) {
				c.login().queries(2).do(settle).do(func(m *sim) { m.reply(m.peer.leave(m.env.Now)); m.turn() }).queries(2).forget(2).quit().forget(1)
			},
			account: "answered=2 lost.target_closed=3 session lost target_closed",
		},
		{
			name:    "it closes behind a command that it did not answer",
			target:  func(v *server) { v.mute = "sleep" },
			client:  func(c *client) { c.login().queries(2).query("sleep").do(settle).do(leave).queries(1).forget(1).fin() },
			account: "answered=2 lost.target_closed=2 session lost target_closed",
		},
		{
			name:    "it resets an idle connection",
			client:  func(c *client) { c.login().queries(2).do(settle).do(reset).queries(1).forget(1).fin() },
			account: "answered=2 lost.target_closed=1 session lost target_closed",
		},
		{
			name:    "it resets in the middle of a command",
			target:  func(v *server) { v.mute = "sleep" },
			client:  func(c *client) { c.login().query("sleep").do(settle).do(reset).query("x").forget(1).fin() },
			account: "lost.target_closed=2 session lost target_closed",
		},
		{
			name:    "it never closes its side after ours",
			client:  func(c *client) { c.login().queries(1).do(settle).do(func(m *sim) { m.peer.silent = true }).fin() },
			account: "answered=1 session replayed",
		},
		{
			name: "it never takes the COM_QUIT",
			client: func(c *client) {
				c.login().queries(1).do(settle).do(func(m *sim) { m.peer.silent = true }).quit().forget(1)
			},
			account: "answered=1 lost.response_timeout=1 session lost response_timeout",
		},
	})
}

func TestEndsFromOutside(t *testing.T) {
	tests := []struct {
		name string
		end  func(m *sim, e *Env)
		want string
	}{
		{"lost", func(m *sim, e *Env) { m.sess.Lose(e, ledger.Memory) }, "answered=1 lost.memory=4 session lost memory"},
		{"skipped", func(m *sim, e *Env) { m.sess.Skip(e, ledger.UnmappableClient) }, "answered=1 skipped.unmappable_client=4 session skipped unmappable_client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			m.peer.server.mute = "sleep"
			c := newClient().login().query("select 1").query("sleep")
			c.do(func(m *sim) { m.settle(time.Second); m.call(func(e *Env) { tt.end(m, e) }) })
			c.queries(2).quit()
			m.play(c, atOnce)
			if got := m.account(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			m.over()
			if m.peer.resets != 1 {
				t.Errorf("the target took %d RSTs, want 1", m.peer.resets)
			}
		})
	}
}

func TestClientGone(t *testing.T) {
	m := ready(t, newClient().login().queries(2))
	m.call(m.sess.ClientGone)
	m.call(m.sess.ClientReset) // said twice, it counts once
	m.settle(time.Minute)
	if got, want := m.account(), "answered=2 session replayed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m.over()
}
