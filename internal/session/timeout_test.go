package session

import (
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// A target that owes an answer is given up once production's client has gone on
// for longer than it may take, and no sooner.
func TestResponseTimeout(t *testing.T) {
	mute := func(v *simulation.Server) { v.Mute = "select mute" }
	timeout := func(m *sim) { m.env.ResponseTimeout = time.Minute }
	run(t, []scenario{
		{
			name:   "the client goes on",
			target: mute,
			sim:    timeout,
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select mute").Query("select 2").Forget(1)
			},
			account: "answered=1 lost.response_timeout=2 session lost response_timeout",
			open:    true, // the client has not left
		},
		{
			name:    "the client leaves",
			target:  mute,
			sim:     timeout,
			client:  func(c *simulation.Client) { c.Login().Query("select 1").Query("select mute").Quit().Forget(1) },
			account: "answered=1 lost.response_timeout=2 session lost response_timeout",
		},
		{
			name:    "the client waits, and so does production",
			target:  mute,
			sim:     timeout,
			client:  func(c *simulation.Client) { c.Login().Query("select 1").Query("select mute") },
			account: "answered=1 pending=1 session open",
			open:    true,
		},
		{
			name:   "no timeout is set",
			target: mute,
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select mute").Query("select 2").Forget(1)
			},
			account: "answered=1 pending=2 session open",
			open:    true,
		},
		{
			name: "no intercept sees the replies meanwhile",
			sim:  timeout,
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Do(func(m *sim) { m.linkDown() })
				c.Query("select 2").Query("select 3")
				c.Do(func(m *sim) { m.env.Now += time.Hour; m.linkUp() })
				c.Quit()
			},
			account: "answered=4 session replayed",
			paces:   oneByOne,
		},
	})
}

// ids is a map of connection ids.
type ids map[uint32]uint32

func (m ids) Add(production, target uint32)    { m[production] = target }
func (m ids) Remove(production, target uint32) { delete(m, production) }
func (m ids) Target(production uint64) (id uint32, ok bool) {
	id, ok = m[uint32(production)]
	return id, ok
}

func (m ids) Kill(uint64)           {}
func (m ids) Killed(id uint32) bool { return m[id] == killedID }

// killedID is the target's number of a connection that a client killed.
const killedID = 99

// A session is known by production's id from its login until its end.
func TestConnectionIDs(t *testing.T) {
	m := newSim(t)
	known := ids{}
	m.env.IDs = known
	m.sess.ProductionConnected(4711)
	c := simulation.NewClient().Login()
	m.play(c, lockstep)
	const target = 7 // as the model greets
	if got := known[4711]; got != target || len(known) != 1 {
		t.Errorf("known are %v", known)
	}
	c.Items = nil
	c.Command(mysql.ComQuit, "", 0).Fin()
	m.playOn(c, lockstep)
	if len(known) > 0 {
		t.Errorf("known at the end are %v", known)
	}
}

// A session that the target closes for a client's KILL has ended as on
// production; closed for anything else, it is lost.
func TestKilledSession(t *testing.T) {
	for _, tt := range []struct {
		name    string
		killed  bool
		account string
	}{
		{"by a client", true, "answered=2 errors=1 session replayed"},
		{"by the target", false, "answered=1 lost.target_closed=1 session lost target_closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			known := ids{}
			m.env.IDs = known
			m.peer.Server.Mute = "select sleep"
			m.sess.ProductionConnected(4711)
			c := simulation.NewClient().Login().Query("select 1").Query("select sleep(20)")
			c.Do(func(m *sim) {
				m.settle(time.Second / 10)
				if tt.killed {
					known[4711] = killedID
				}
				m.reply(m.peer.Leave(m.env.Now))
			})
			c.Fin()
			m.play(c, lockstep)
			if got := m.account(); got != tt.account {
				t.Errorf("account: %s, want %s", got, tt.account)
			}
		})
	}
}
