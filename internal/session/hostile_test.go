package session

import (
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// An evil packet hides in a literal: whoever loses count of lengths executes it.
const evil = "\x11\x00\x00\x00\x03drop table users"

// A command of several packets whose attributes are taken out keeps its lengths,
// also when all of it was captured before the target let the session in.
func TestAttributesOfSeveralPackets(t *testing.T) {
	m := newSim(t)
	m.up = false
	c := simulation.NewClient().Speak(true, mysql.CompressionNone).LoginSpeaking()
	n := mysql.MaxPayload + 5000
	sql := []byte("insert " + strings.Repeat("x", n))
	// Where a single header for all of it would end, and the next packet begin.
	copy(sql[(n+9)&0xffffff:], evil)
	c.Commands = 2 // so that its attributes are the shortest
	c.Query(string(sql)).Split(func() int { return 1460 })
	c.Do(func(m *sim) { m.linkUp() }).Query("select 3").Quit()
	m.play(c, atOnce)
	m.executed(c.Expect)
	if got, want := m.account(), "answered=3 session replayed"; got != want {
		t.Errorf("account: %s, want %s", got, want)
	}
}

// Behind a hole in a compressed command, the rest of it is not taken for another.
func TestHoleInACompressedCommand(t *testing.T) {
	const packet = 16 << 10 // as C clients cut their commands
	c := simulation.NewClient().Speak(false, mysql.CompressionZlib).LoginSpeaking().Query("select 1")
	body := strings.Repeat("a", packet-mysql.HeaderSize-1) + evil + "\x30\x75\x00\x00\x03"
	body += strings.Repeat("b", 40000-len(body))
	plain := append(mysql.AppendHeader(nil, len(body)+1, 0), "\x03"+body...)
	c.LoggedIn = false
	for sequence := uint8(0); len(plain) > 0; sequence++ {
		n := min(packet, len(plain))
		c.Raw(simulation.Compressed(c.How, plain[:n], sequence))
		plain = plain[n:]
		if it := &c.Items[len(c.Items)-1]; sequence == 0 {
			const missed = 20
			cut := len(it.B) - missed
			gap := simulation.Item{Kind: simulation.ItemGap, B: it.B[cut:], Ack: it.Ack, End: it.End}
			it.B, it.End = it.B[:cut], it.End.Add(-missed)
			c.Items = append(c.Items, gap)
		}
	}
	c.Answer(11)
	c.LoggedIn = true
	c.Query("select 2").Quit()
	m := newSim(t)
	m.play(c, lockstep)
	m.executed(c.Expect)
	if got, want := m.account(), "answered=3 lost.capture_gap=1 session replayed"; got != want {
		t.Errorf("account: %s, want %s", got, want)
	}
}

// What a session that is over goes on to say is not kept, however large.
func TestOverHoldsLittle(t *testing.T) {
	for name, how := range map[string]mysql.Compression{"plain": mysql.CompressionNone, "compressed": mysql.CompressionZlib} {
		t.Run(name, func(t *testing.T) {
			m := newSim(t)
			l := simulation.TestLogin
			l.User = "stranger"
			l.Capabilities |= simulation.Announce(how) | mysql.ClientQueryAttributes
			c := simulation.NewClient().Speak(true, how).LoginAs(l)
			c.Query("insert " + strings.Repeat("x", 15<<20)).CutLast(100)
			c.Split(func() int { return 60_000 })
			m.call(func(e *Env) { m.sess.Captured(e, true) })
			m.greeted(c)
			for i := range c.Items {
				m.feed(&c.Items[i])
				if held := m.env.Pool.InUse(); held > 64<<10 {
					t.Fatalf("%d octets are held", held)
				}
			}
		})
	}
}

// A few octets that decompress to very many commands end the session.
func TestManyCommandsInOneCompressedPacket(t *testing.T) {
	m := newSim(t)
	c := simulation.NewClient().Speak(false, mysql.CompressionZlib).LoginSpeaking().Query("select 1")
	c.LoggedIn = false
	c.Raw(simulation.Compressed(c.How, []byte(strings.Repeat("\x01\x00\x00\x00\x0e", maxCommands+10)), 0))
	m.play(c, lockstep)
	if got := m.account(); !strings.HasSuffix(got, "session lost compression") || !strings.HasPrefix(got, "answered=1 ") {
		t.Errorf("account: %s", got)
	}
	if m.sess.records() > 4<<10 {
		t.Errorf("%d octets of records are kept", m.sess.records())
	}
}

func TestStatementsAreNotMistaken(t *testing.T) {
	run(t, []scenario{
		{
			name:   "it has other placeholders on the target",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p2c0 a")
				c.Items[len(c.Items)-1].B = simulation.PrepareOK(a, 3, 0)
				c.Execute(a).Forget(1)
				c.Query("select 1").Quit()
			},
			account: "answered=3 skipped.dialect=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "MariaDB's id of the last one, where production is MySQL",
			client: func(c *simulation.Client) {
				c.Speak(false, mysql.CompressionNone).Login()
				c.Prepare("p0c0 delete")
				c.Execute(lastPrepared).Quit()
			},
			account: "answered=3 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "EXECUTE of the last one, right behind its PREPARE",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				c.Pipeline(func() {
					a := c.Prepare("p2c0 a")
					c.Statements[lastPrepared] = c.Statements[a]
					c.Execute(lastPrepared)
				})
				c.Query("select 1").Quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name: "the last one was left out: the one before is not taken for it",
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("p0c0 insert")
				c.Pipeline(func() {
					c.Prepare("set global x = 1")
					c.Execute(lastPrepared).Forget(2)
				})
				c.Query("select 1").Quit()
			},
			account: "answered=3 skipped.policy=2 session replayed",
		},
		{
			name: "a closed one is used again, and PREPAREs follow at once",
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				c.Close(a).Execute(a).Close(a)
				b := c.Prepare("p0c0 b")
				c.Prepare("~c")
				c.Execute(b).Execute(a).Quit()
			},
			account: "answered=9 errors=2 session replayed",
		},
		{
			name: "production has no COM_RESET_CONNECTION",
			client: func(c *simulation.Client) {
				c.Greeting.Version = "5.6.24"
				c.Login()
				a := c.Prepare("p0c0 a")
				c.Command(mysql.ComResetConnection, "", 20).Forget(1)
				c.Execute(a).Quit()
			},
			account: "answered=3 skipped.dialect=1 session replayed",
		},
		{
			name:   "nothing has told yet whether the client sends attributes",
			target: withAttributes,
			client: func(c *simulation.Client) {
				c.Speak(true, mysql.CompressionNone).LoginSpeaking()
				c.Greeting = nil
				a := c.Prepare("p2c0 a")
				c.Execute(a).Forget(1)
				c.Query("select 1").Execute(a).Quit()
			},
			account: "answered=4 skipped.dialect=1 session replayed greeting missed",
		},
		{
			name: "long data was used up in a hole",
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p2c0 a")
				c.Statement(mysql.ComStmtSendLongData, a, "\x00\x00long").Execute(a).Forget(1)
				c.Items[len(c.Items)-1].Kind = simulation.ItemGap
				c.Execute(a).Forget(1)
				c.Statement(mysql.ComStmtReset, a, "").Execute(a).Quit()
			},
			account: "answered=5 skipped.capture_gap=1 lost.capture_gap=1 session replayed",
		},
		{
			name: "long data was used up in a hole, before a bulk",
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p2c0 a")
				c.Statement(mysql.ComStmtSendLongData, a, "\x00\x00long").Execute(a).Forget(1)
				c.Items[len(c.Items)-1].Kind = simulation.ItemGap
				c.Bulk(a, "\x80\x00\x01\x00\x01\x00\x00\x05\x00\x06")
				c.Statement(mysql.ComStmtReset, a, "").Execute(a).Quit()
			},
			account: "answered=5 skipped.capture_gap=1 lost.capture_gap=1 session replayed",
		},
	})
}

// What a client says before it has read the answer to its login waits, and goes
// nowhere if production refused it.
func TestCommandsBehindTheLogin(t *testing.T) {
	early := func(c *simulation.Client, answered bool) {
		c.Login()
		c.Prod, c.Read = c.Read, c.Read.Add(-11) // not read yet
		c.Piped = true
		c.Query("drop table users").Query("select 1")
		c.Piped = false
		if answered {
			c.Read = c.Prod
			c.Query("select 2")
		}
	}
	run(t, []scenario{
		{
			name:    "and reads it later",
			client:  func(c *simulation.Client) { early(c, true); c.Quit() },
			account: "answered=4 session replayed",
		},
		{
			name:    "and leaves without",
			client:  func(c *simulation.Client) { early(c, false); c.Expect = nil; c.Fin() },
			account: "lost.not_sent=2 session lost not_sent",
		},
		{
			name: "and production refused it",
			client: func(c *simulation.Client) {
				early(c, false)
				c.Items = append(c.Items, simulation.Item{Kind: simulation.ItemPrepared, B: []byte("\x17\x00\x00\x02\xff\x15\x04#28000Access denied"), At: c.Read, Ack: c.Nxt})
				c.Expect = nil
				c.Query("select 1").Forget(1).Fin()
			},
			account: "skipped.production_refused=3 session skipped production_refused",
		},
	})
}
