package session

import (
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
)

// An evil packet hides in a literal: whoever loses count of lengths executes it.
const evil = "\x11\x00\x00\x00\x03drop table users"

// A command of several packets whose attributes are taken out keeps its lengths,
// also when all of it was captured before the target let the session in.
func TestAttributesOfSeveralPackets(t *testing.T) {
	m := newSim(t)
	m.up = false
	c := newClient().speak(true, mysql.CompressionNone).loginSpeaking()
	n := mysql.MaxPayload + 5000
	sql := []byte("insert " + strings.Repeat("x", n))
	// Where a single header for all of it would end, and the next packet begin.
	copy(sql[(n+9)&0xffffff:], evil)
	c.commands = 2 // so that its attributes are the shortest
	c.query(string(sql)).split(func() int { return 1460 })
	c.do(func(m *sim) { m.linkUp() }).query("select 3").quit()
	m.play(c, atOnce)
	m.executed(c.expect)
	if got, want := m.account(), "answered=3 session replayed"; got != want {
		t.Errorf("account: %s, want %s", got, want)
	}
}

// Behind a hole in a compressed command, the rest of it is not taken for another.
func TestHoleInACompressedCommand(t *testing.T) {
	const packet = 16 << 10 // as C clients cut their commands
	c := newClient().speak(false, mysql.CompressionZlib).loginSpeaking().query("select 1")
	body := strings.Repeat("a", packet-mysql.HeaderSize-1) + evil + "\x30\x75\x00\x00\x03"
	body += strings.Repeat("b", 40000-len(body))
	plain := append(mysql.AppendHeader(nil, len(body)+1, 0), "\x03"+body...)
	c.loggedIn = false
	for sequence := uint8(0); len(plain) > 0; sequence++ {
		n := min(packet, len(plain))
		c.raw(compressed(c.how, plain[:n], sequence))
		plain = plain[n:]
		if it := &c.items[len(c.items)-1]; sequence == 0 {
			const missed = 20
			cut := len(it.b) - missed
			gap := item{kind: itemGap, b: it.b[cut:], ack: it.ack, end: it.end}
			it.b, it.end = it.b[:cut], it.end.Add(-missed)
			c.items = append(c.items, gap)
		}
	}
	c.answer(11)
	c.loggedIn = true
	c.query("select 2").quit()
	m := newSim(t)
	m.play(c, lockstep)
	m.executed(c.expect)
	if got, want := m.account(), "answered=3 lost.capture_gap=1 session replayed"; got != want {
		t.Errorf("account: %s, want %s", got, want)
	}
}

// What a session that is over goes on to say is not kept, however large.
func TestOverHoldsLittle(t *testing.T) {
	for name, how := range map[string]mysql.Compression{"plain": mysql.CompressionNone, "compressed": mysql.CompressionZlib} {
		t.Run(name, func(t *testing.T) {
			m := newSim(t)
			l := testLogin
			l.User = "stranger"
			l.Capabilities |= announce(how) | mysql.ClientQueryAttributes
			c := newClient().speak(true, how).loginAs(l)
			c.query("insert " + strings.Repeat("x", 15<<20)).cutLast(100)
			c.split(func() int { return 60_000 })
			m.call(func(e *Env) { m.sess.Captured(e, true) })
			m.greeted(c)
			for i := range c.items {
				m.feed(&c.items[i])
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
	c := newClient().speak(false, mysql.CompressionZlib).loginSpeaking().query("select 1")
	c.loggedIn = false
	c.raw(compressed(c.how, []byte(strings.Repeat("\x01\x00\x00\x00\x0e", maxCommands+10)), 0))
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
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				a := c.prepare("p2c0 a")
				c.items[len(c.items)-1].b = prepareOK(a, 3, 0)
				c.execute(a).forget(1)
				c.query("select 1").quit()
			},
			account: "answered=3 skipped.dialect=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "MariaDB's id of the last one, where production is MySQL",
			client: func(c *client) {
				c.speak(false, mysql.CompressionNone).login()
				c.prepare("p0c0 delete")
				c.execute(lastPrepared).quit()
			},
			account: "answered=3 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "EXECUTE of the last one, right behind its PREPARE",
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				c.pipeline(func() {
					a := c.prepare("p2c0 a")
					c.statements[lastPrepared] = c.statements[a]
					c.execute(lastPrepared)
				})
				c.query("select 1").quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name: "the last one was left out: the one before is not taken for it",
			client: func(c *client) {
				c.login()
				c.prepare("p0c0 insert")
				c.pipeline(func() {
					c.prepare("set global x = 1")
					c.execute(lastPrepared).forget(2)
				})
				c.query("select 1").quit()
			},
			account: "answered=3 skipped.policy=2 session replayed",
		},
		{
			name: "a closed one is used again, and PREPAREs follow at once",
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				c.close(a).execute(a).close(a)
				b := c.prepare("p0c0 b")
				c.prepare("~c")
				c.execute(b).execute(a).quit()
			},
			account: "answered=9 errors=2 session replayed",
		},
		{
			name: "production has no COM_RESET_CONNECTION",
			client: func(c *client) {
				c.greeting.Version = "5.6.24"
				c.login()
				a := c.prepare("p0c0 a")
				c.command(mysql.ComResetConnection, "", 20).forget(1)
				c.execute(a).quit()
			},
			account: "answered=3 skipped.dialect=1 session replayed",
		},
		{
			name:   "nothing has told yet whether the client sends attributes",
			target: withAttributes,
			client: func(c *client) {
				c.speak(true, mysql.CompressionNone).loginSpeaking()
				c.greeting = nil
				a := c.prepare("p2c0 a")
				c.execute(a).forget(1)
				c.query("select 1").execute(a).quit()
			},
			account: "answered=4 skipped.dialect=1 session replayed greeting missed",
		},
		{
			name: "long data was used up in a hole",
			client: func(c *client) {
				c.login()
				a := c.prepare("p2c0 a")
				c.statement(mysql.ComStmtSendLongData, a, "\x00\x00long").execute(a).forget(1)
				c.items[len(c.items)-1].kind = itemGap
				c.execute(a).forget(1)
				c.statement(mysql.ComStmtReset, a, "").execute(a).quit()
			},
			account: "answered=5 skipped.capture_gap=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
	})
}

// What a client says before it has read the answer to its login waits, and goes
// nowhere if production refused it.
func TestCommandsBehindTheLogin(t *testing.T) {
	early := func(c *client, answered bool) {
		c.login()
		c.prod, c.read = c.read, c.read.Add(-11) // not read yet
		c.piped = true
		c.query("drop table users").query("select 1")
		c.piped = false
		if answered {
			c.read = c.prod
			c.query("select 2")
		}
	}
	run(t, []scenario{
		{
			name:    "and reads it later",
			client:  func(c *client) { early(c, true); c.quit() },
			account: "answered=4 session replayed",
		},
		{
			name:    "and leaves without",
			client:  func(c *client) { early(c, false); c.expect = nil; c.fin() },
			account: "lost.not_sent=2 session lost not_sent",
		},
		{
			name: "and production refused it",
			client: func(c *client) {
				early(c, false)
				c.items = append(c.items, item{kind: itemPrepared, b: []byte("\x17\x00\x00\x02\xff\x15\x04#28000Access denied"), at: c.read, ack: c.nxt})
				c.expect = nil
				c.query("select 1").forget(1).fin()
			},
			account: "skipped.production_refused=3 session skipped production_refused",
		},
	})
}
