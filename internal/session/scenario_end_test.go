package session

import (
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

func TestClientsEnd(t *testing.T) {
	run(t, []scenario{
		{
			name:    "FIN without COM_QUIT",
			client:  func(c *simulation.Client) { c.Login().Queries(3).Fin() },
			account: "answered=3 session replayed",
		},
		{
			name:    "FIN without COM_QUIT, and the target complains",
			target:  func(v *simulation.Server) { v.Version = "9.7.4" },
			client:  func(c *simulation.Client) { c.Login().Queries(3).Fin() },
			account: "answered=3 session replayed",
		},
		{
			name:    "FIN behind a statement that has no answer",
			client:  func(c *simulation.Client) { c.Login(); a := c.Prepare("p0c0 a"); c.Close(a).Fin() },
			account: "answered=2 session replayed",
		},
		{
			name:    "RST",
			client:  func(c *simulation.Client) { c.Login().Queries(3).Rst() },
			account: "answered=3 session replayed",
		},
		{
			name:    "RST behind COM_QUIT",
			client:  func(c *simulation.Client) { c.Login().Queries(3).Command(mysql.ComQuit, "", 0).Rst() },
			account: "answered=4 session replayed",
		},
		{
			name:    "RST behind a command that is never answered",
			target:  func(v *simulation.Server) { v.Mute = "sleep" },
			client:  func(c *simulation.Client) { c.Login().Queries(3).Query("sleep").Query("select 5").Forget(1).Rst() },
			account: "answered=3 lost.response_timeout=2 session lost response_timeout",
		},
		{
			name: "half a command",
			client: func(c *simulation.Client) {
				c.Login().Queries(1).Query("select 'this is cut'").Forget(1).CutLast(9).Fin()
			},
			account: "answered=1 session replayed",
		},
		{
			name: "half a command, and a RST",
			client: func(c *simulation.Client) {
				c.Login().Queries(1).Query("select 'this is cut'").Forget(1).CutLast(9).Rst()
			},
			account: "answered=1 session replayed",
		},
		{
			name: "half a streamed command",
			client: func(c *simulation.Client) {
				c.Login().Queries(1).Query("insert " + strings.Repeat("x", 2<<20)).Forget(1).CutLast(1 << 20).Fin()
			},
			account: "answered=1 lost.not_sent=1 session lost not_sent",
			paces:   oneByOne,
		},
		{
			name: "half a streamed command that waits",
			client: func(c *simulation.Client) {
				c.Login().Queries(1).Query("insert " + strings.Repeat("x", 2<<20)).Forget(1).CutLast(1 << 20).Fin()
			},
			account: "answered=1 lost.not_sent=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name:    "never, and nothing is unanswered",
			client:  func(c *simulation.Client) { c.Login().Queries(1) },
			account: "answered=1 session open",
			open:    true,
		},
		{
			name:    "never, and something is",
			target:  func(v *simulation.Server) { v.Mute = "sleep" },
			client:  func(c *simulation.Client) { c.Login().Queries(1).Query("sleep") },
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
			c := simulation.NewClient().Login().Queries(5).Quit()
			m.play(c, p.pace)
			if n := m.peer.Server.QuitFIN; n != 1 || m.peer.Resets > 0 {
				t.Errorf("%d COM_QUITs came with the FIN, and %d RSTs; want 1 and 0", n, m.peer.Resets)
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
			c := simulation.NewClient().Login().Queries(5).Rst()
			m.play(c, p.pace)
			m.executed(c.Expect)
			if m.peer.Resets != 1 {
				t.Errorf("the target took %d RSTs, want 1", m.peer.Resets)
			}
		})
	}
}

func TestTargetsEnd(t *testing.T) {
	leave := func(m *sim) {
		m.reply(m.peer.Leave(m.env.Now))
		m.settle(time.Second)
	}
	reset := func(m *sim) { m.reply(m.peer.Reset()); m.settle(time.Second) }
	settle := func(m *sim) { m.settle(time.Second) }
	run(t, []scenario{
		{
			name:    "it closes an idle connection, and the client says nothing more",
			client:  func(c *simulation.Client) { c.Login().Queries(2).Do(settle).Do(leave).Fin() },
			account: "answered=2 session replayed",
		},
		{
			name: "it closes an idle connection, and the client goes on",
			client: func(c *simulation.Client) {
				c.Login().Queries(2).Do(settle).Do(leave).Queries(2).Forget(2).Quit().Forget(1)
			},
			account: "answered=2 lost.target_closed=3 session lost target_closed",
		},
		{
			name: "it closes an idle connection, and the client goes on at once",
			client: func(c *simulation.Client) {
				c.Login().Queries(2).Do(settle).Do(func(m *sim) { m.reply(m.peer.Leave(m.env.Now)); m.turn() }).Queries(2).Forget(2).Quit().Forget(1)
			},
			account: "answered=2 lost.target_closed=3 session lost target_closed",
		},
		{
			name:   "it closes behind a command that it did not answer",
			target: func(v *simulation.Server) { v.Mute = "sleep" },
			client: func(c *simulation.Client) {
				c.Login().Queries(2).Query("sleep").Do(settle).Do(leave).Queries(1).Forget(1).Fin()
			},
			account: "answered=2 lost.target_closed=2 session lost target_closed",
		},
		{
			name:    "it resets an idle connection",
			client:  func(c *simulation.Client) { c.Login().Queries(2).Do(settle).Do(reset).Queries(1).Forget(1).Fin() },
			account: "answered=2 lost.target_closed=1 session lost target_closed",
		},
		{
			name:    "it resets in the middle of a command",
			target:  func(v *simulation.Server) { v.Mute = "sleep" },
			client:  func(c *simulation.Client) { c.Login().Query("sleep").Do(settle).Do(reset).Query("x").Forget(1).Fin() },
			account: "lost.target_closed=2 session lost target_closed",
		},
		{
			name: "it never closes its side after ours",
			client: func(c *simulation.Client) {
				c.Login().Queries(1).Do(settle).Do(func(m *sim) { m.peer.Silent = true }).Fin()
			},
			account: "answered=1 session replayed",
		},
		{
			name: "it never takes the COM_QUIT",
			client: func(c *simulation.Client) {
				c.Login().Queries(1).Do(settle).Do(func(m *sim) { m.peer.Silent = true }).Quit().Forget(1)
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
			m.peer.Server.Mute = "sleep"
			c := simulation.NewClient().Login().Query("select 1").Query("sleep")
			c.Do(func(m *sim) { m.settle(time.Second); m.call(func(e *Env) { tt.end(m, e) }) })
			c.Queries(2).Quit()
			m.play(c, atOnce)
			if got := m.account(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			m.over()
			if m.peer.Resets != 1 {
				t.Errorf("the target took %d RSTs, want 1", m.peer.Resets)
			}
		})
	}
}

func TestClientGone(t *testing.T) {
	m := ready(t, simulation.NewClient().Login().Queries(2))
	m.call(m.sess.ClientGone)
	m.call(m.sess.ClientReset) // said twice, it counts once
	m.settle(time.Minute)
	if got, want := m.account(), "answered=2 session replayed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m.over()
}
