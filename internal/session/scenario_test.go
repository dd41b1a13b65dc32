package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
)

// A scenario is a client, a target, and the account that must come of it.
type scenario struct {
	name    string
	target  func(*server)
	sim     func(*sim)
	client  func(*client)
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
				sc.target(m.peer.server)
			}
			if sc.sim != nil {
				sc.sim(m)
			}
			c := newClient()
			sc.client(c)
			if p.merge {
				c.merge()
			}
			m.play(c, p.pace)
			m.executed(c.expect)
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
			client:  func(c *client) { c.login().queries(20).quit() },
			account: "answered=21 session replayed",
		},
		{
			name:    "pipelined queries",
			client:  func(c *client) { c.login().pipeline(func() { c.queries(50) }).quit() },
			account: "answered=51 session replayed",
		},
		{
			name: "commands of every kind",
			client: func(c *client) {
				c.login().command(mysql.ComInitDB, "shop", 11).command(mysql.ComPing, "", 11).command(mysql.ComStatistics, "", 30).
					command(mysql.ComSetOption, "\x00\x00", 9).command(mysql.ComQuery, "bad", 40).query("select 1234").command(mysql.ComFieldList, "t\x00", 11).quit()
			},
			account: "answered=8 errors=1 session replayed",
		},
		{
			name:    "errors that are the server's answer to all",
			client:  func(c *client) { c.login().query("bad").query("bad one").query("good").quit() },
			account: "answered=4 errors=2 session replayed",
		},
		{
			name: "results without DEPRECATE_EOF",
			client: func(c *client) {
				l := testLogin
				l.Capabilities &^= mysql.ClientDeprecateEOF
				c.loginAs(l).queries(5)
				id := c.prepare("p2c3 select ?, ?")
				c.execute(id).close(id).quit()
			},
			account: "answered=9 session replayed",
		},
		{
			name:    "an old client, without plugins",
			target:  func(v *server) { v.caps &^= mysql.ClientPluginAuth },
			client:  func(c *client) { c.login().queries(2).quit() },
			account: "answered=3 session replayed",
		},
		{
			name: "commands that are never replayed",
			client: func(c *client) {
				c.login().queries(2).command(mysql.ComShutdown, "\x00", 9).forget(1).query("select 9").command(mysql.ComProcessKill, "abcd", 11).forget(1).queries(1).quit()
			},
			account: "answered=5 skipped.policy=2 session replayed",
		},
		{
			name:    "a command never replayed comes last",
			client:  func(c *client) { c.login().queries(1).command(mysql.ComShutdown, "\x00", 9).forget(1).fin() },
			account: "answered=1 skipped.policy=1 session replayed",
		},
		{
			name: "a replica",
			client: func(c *client) {
				c.login().queries(2).command(mysql.ComBinlogDump, "1234567890", 100).forget(1).queries(1).forget(1).fin()
			},
			account: "answered=2 skipped.replication=2 session skipped replication",
			paces:   oneByOne,
		},
		{
			name: "a replica, faster than the target",
			client: func(c *client) {
				c.login().queries(2).command(mysql.ComRegisterSlave, "1234567890", 100).forget(3).fin()
			},
			account: "skipped.replication=3 session skipped replication",
			paces:   []string{"at once", "at once, merged"},
		},
		{
			name:    "a command of no known number goes to the target as well",
			client:  func(c *client) { c.login().command(0x7f, "x", 11).quit() },
			account: "answered=2 session replayed",
		},
	})
}

func TestLogin(t *testing.T) {
	login := func(change func(*mysql.Login)) func(c *client) {
		return func(c *client) {
			l := testLogin
			change(&l)
			c.loginAs(l).queries(2).quit()
		}
	}
	none := func(c *client) { c.expect = nil }
	both := func(f, g func(c *client)) func(c *client) { return func(c *client) { f(c); g(c) } }
	plain := func(c *client) { c.login().queries(2).quit() }
	run(t, []scenario{
		{
			name:    "by an auth switch",
			target:  func(v *server) { v.login = loginSwitch },
			client:  plain,
			account: "answered=3 session replayed",
		},
		{
			name: "after auth replies of the client",
			client: func(c *client) {
				c.login()
				c.packet(3, []byte{2})
				c.packet(5, make([]byte, 256))
				c.queries(2).quit()
			},
			account: "answered=3 session replayed",
		},
		{
			name:    "without a schema, password of another user",
			client:  login(func(l *mysql.Login) { l.Capabilities &^= mysql.ClientConnectWithDB; l.User = "" }),
			account: "answered=3 session replayed",
		},
		{
			name:    "refused",
			target:  func(v *server) { v.login = loginRefused },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "with a plugin that is not known",
			target:  func(v *server) { v.login = loginForeign },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "that asks for more than a hash",
			target:  func(v *server) { v.login = loginMore },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "an ERR in place of the greeting",
			target:  func(v *server) { v.greeting = []byte("\xff\x6a\x04Host '10.0.0.1' is not allowed to connect") },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "a greeting that cannot be read",
			target:  func(v *server) { v.greeting = []byte("\x09old") },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "nothing listens",
			sim:     func(m *sim) { m.peer.server = nil },
			client:  both(plain, none),
			account: "lost.target_refused=3 session lost target_refused",
		},
		{
			name:    "nobody is there",
			sim:     func(m *sim) { m.peer.silent = true },
			client:  both(plain, none),
			account: "lost.target_unreachable=3 session lost target_unreachable",
		},
		{
			name:    "an unknown user",
			client:  both(login(func(l *mysql.Login) { l.User = "stranger" }), none),
			account: "skipped.unknown_user=3 session skipped unknown_user",
		},
		{
			name:    "said to be compressed",
			client:  both(login(func(l *mysql.Login) { l.Capabilities |= mysql.ClientCompress }), none),
			account: "session lost compression",
		},
		{
			name: "TLS",
			client: func(c *client) {
				l := testLogin
				l.Capabilities |= mysql.ClientSSL
				c.packet(1, l.Append(nil)[:32])
				c.raw([]byte("\x16\x03\x01\x02\x00 client hello"))
				c.raw([]byte("\x17\x03\x03 application data"))
				c.fin()
			},
			account: "session skipped tls",
		},
		{
			name:    "none: a health check",
			client:  func(c *client) { c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: a health check that resets",
			client:  func(c *client) { c.rst() },
			account: "session skipped no_login",
		},
		{
			name:    "none: another protocol",
			client:  func(c *client) { c.raw([]byte("GET / HTTP/1.1\r\n\r\n")); c.raw([]byte("more")); c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: a command",
			client:  func(c *client) { c.query("select 1").forget(1).fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: one that is no 4.1 login",
			client:  func(c *client) { c.packet(1, []byte("\x05\x00\x00\x00\x00root\x00")); c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "half a login",
			client:  func(c *client) { c.login(); it := &c.items[0]; it.b = it.b[:20]; c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "and nothing else",
			client:  func(c *client) { c.login().fin() },
			account: "session replayed",
		},
	})
}

func TestRefusalsSayWhy(t *testing.T) {
	tests := []struct {
		name   string
		target func(*server)
		want   string
	}{
		{"refused", func(v *server) { v.login = loginRefused }, "app as t_app: ERROR 1045 (HY000): Access denied; servers say so of a wrong password, an unknown account, and an account that requires TLS alike"},
		{"foreign", func(v *server) { v.login = loginForeign }, `app as t_app: the account needs the authentication plugin "auth_gssapi_client", which is not spoken: on the target let it use caching_sha2_password, sha256_password, mysql_native_password, client_ed25519 or parsec`},
		{"more", func(v *server) { v.login = loginMore }, "app as t_app: mysql_native_password: the server goes on with a packet 0x01 of 2 bytes where it has to say OK or ERR"},
		{"host", func(v *server) { v.greeting = []byte("\xff\x6a\x04not allowed") }, "app as t_app: ERROR 1130: not allowed"},
		{"greeting", func(v *server) { v.greeting = []byte("\x09old") }, "app as t_app: the target's greeting cannot be read: parse greeting: protocol version 9, want 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			tt.target(m.peer.server)
			m.play(newClient().login().fin(), lockstep)
			if len(m.refused) != 1 || m.refused[0] != tt.want {
				t.Errorf("got %q, want %q", m.refused, tt.want)
			}
		})
	}
}

func TestPreparedStatements(t *testing.T) {
	prepared := func(c *client) {
		c.login()
		a := c.prepare("p1c1 select ?")
		b := c.prepare("p0c2 select 1, 2")
		c.execute(a).execute(b).execute(a)
		c.statement(mysql.ComStmtSendLongData, a, "\x00\x00long").execute(a).statement(mysql.ComStmtReset, a, "")
		c.statement(mysql.ComStmtFetch, b, "\x05\x00\x00\x00").close(a)
		d := c.prepare("p0c0 delete")
		c.execute(d).execute(b).close(b).close(d).quit()
	}
	run(t, []scenario{
		{
			name:    "the same ids",
			client:  prepared,
			account: "answered=16 session replayed",
		},
		{
			name:    "the target's ids are higher",
			target:  func(v *server) { v.nextID = 4711 },
			client:  prepared,
			account: "answered=16 session replayed",
		},
		{
			name:    "the target's ids are production's, but of others",
			target:  func(v *server) { v.nextID = 2 },
			client:  prepared,
			account: "answered=16 session replayed",
		},
		{
			name:   "both refuse one",
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				c.prepare("!nonsense")
				a := c.prepare("p0c0 a")
				c.prepare("!nonsense")
				b := c.prepare("p0c0 b")
				c.execute(a).execute(b).close(a).execute(b).quit()
			},
			account: "answered=9 errors=2 session replayed",
		},
		{
			name:   "only production refuses one",
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				c.prepare("~lock tables")
				a := c.prepare("p0c0 a")
				c.execute(a).quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name:   "only the target refuses one: what depends on it is left out",
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				b := c.prepare("^lock tables")
				c.execute(a)
				c.execute(b).forget(1)
				c.statement(mysql.ComStmtSendLongData, b, "\x00\x00x").forget(1)
				c.close(b).forget(1)
				c.query("select 1").execute(a).quit()
			},
			account: "answered=6 skipped.statement_id=3 errors=1 session replayed",
		},
		{
			name: "an id that was never given",
			client: func(c *client) {
				c.login().query("select 1").execute(99).close(99).query("select 2").quit()
			},
			account: "answered=5 errors=1 session replayed",
		},
		{
			name: "an id that may have been given in a hole",
			client: func(c *client) {
				c.login().query("select 1").query("select 2").forget(1)
				c.items[len(c.items)-1].kind = itemGap
				c.query("select 3").close(99).forget(1)
				c.execute(99).forget(1)
				c.query("select 4").quit()
			},
			account: "answered=4 skipped.statement_id=1 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "production's answer was not captured, but nothing else can be meant",
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				c.prepare("p0c0 a")
				b := c.prepare("p0c0 b")
				c.items = c.items[:len(c.items)-1]
				c.execute(b).query("select 1").close(b).quit()
			},
			account: "answered=6 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "two answers were not captured, and the ids round them show that there were no others",
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				b := c.prepare("p0c0 b")
				c.items = c.items[:len(c.items)-1]
				d := c.prepare("p0c0 d")
				c.items = c.items[:len(c.items)-1]
				e := c.prepare("p0c0 e")
				c.execute(d).execute(e).execute(b).execute(a).quit()
			},
			account: "answered=9 session replayed",
			paces:   oneByOne,
		},
		{
			name: "two answers were not captured, and something took an id between them",
			client: func(c *client) {
				c.login()
				c.prepare("p0c0 a")
				b := c.prepare("p0c0 b")
				c.items = c.items[:len(c.items)-1]
				c.nextID++
				d := c.prepare("p0c0 d")
				c.items = c.items[:len(c.items)-1]
				c.prepare("p0c0 e")
				c.execute(d).execute(b).quit()
			},
			account: "answered=7 session replayed",
			paces:   oneByOne,
		},
		{
			name: "closed twice, and used behind it",
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				c.execute(a).close(a).close(a).execute(a).quit()
			},
			account: "answered=6 errors=1 session replayed",
		},
		{
			name: "production's answers were not captured, and a cached thread's ids go on",
			client: func(c *client) {
				c.login()
				c.nextID = 7
				a := c.prepare("p0c0 a")
				c.items = c.items[:len(c.items)-1]
				c.prepare("p0c0 b")
				c.items = c.items[:len(c.items)-1]
				c.execute(a).forget(1)
				c.query("select 2").quit()
			},
			account: "answered=4 lost.statement_id=1 session replayed",
		},
		{
			name: "production's answer comes a little later than what depends on it",
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				answer := c.items[len(c.items)-1]
				c.items = c.items[:len(c.items)-1]
				c.execute(a).query("select 1")
				c.items = append(c.items, answer)
				c.execute(a).quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name:   "the last prepared one, on MariaDB",
			target: func(v *server) { v.nextID = 9 },
			client: func(c *client) {
				c.login().pipeline(func() {
					for _, sql := range []string{"p0c0 a", "p0c0 b"} {
						c.prepare(sql)
						c.statements[lastPrepared] = sql
						c.statement(mysql.ComStmtExecute, lastPrepared, "x")
					}
				})
				c.statement(mysql.ComStmtClose, lastPrepared, "").quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name:   "the last prepared one, on MySQL",
			target: func(v *server) { v.nextID, v.version = 9, "9.7.4" },
			client: func(c *client) {
				c.login().pipeline(func() {
					for _, sql := range []string{"p0c0 a", "p0c0 b"} {
						c.prepare(sql)
						c.statements[lastPrepared] = sql
						c.statement(mysql.ComStmtExecute, lastPrepared, "x")
					}
				})
				c.statement(mysql.ComStmtClose, lastPrepared, "").quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name:   "pipelined ones, both answered",
			target: func(v *server) { v.nextID = 9 },
			client: func(c *client) {
				var a, b uint32
				c.login().pipeline(func() { a, b = c.prepare("p0c0 a"), c.prepare("p0c0 b") })
				c.execute(b).execute(a).quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name: "pipelined ones, the first refused by production alone",
			client: func(c *client) {
				var b uint32
				c.login().pipeline(func() { c.prepare("~a"); b = c.prepare("p0c0 b") })
				c.execute(b).quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name:   "pipelined ones, the first refused by the target alone and used before the second is answered",
			target: func(v *server) { v.nextID = 9 },
			client: func(c *client) {
				c.nextID = 7
				c.login().pipeline(func() { c.query("select 1"); c.prepare("^p0c0"); c.prepare("p0c0 b") })
				last := len(c.items) - 1
				answer := c.items[last]
				c.items = c.items[:last]
				c.items[last-1].ack = answer.ack // production has both PREPAREs
				c.execute(7).forget(1)
				c.items = append(c.items, answer)
				c.execute(8).quit()
			},
			account: "answered=5 lost.statement_id=1 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "pipelined ones, the first refused by the target alone and used before the second is answered, and something else fails",
			target: func(v *server) { v.nextID = 9 },
			client: func(c *client) {
				c.nextID = 7
				c.login().pipeline(func() { c.query("select 1"); c.query("bad"); c.prepare("^p0c0"); c.prepare("p0c0 b") })
				last := len(c.items) - 1
				answer := c.items[last]
				c.items = c.items[:last]
				a := &c.items[last-1]
				a.ack = answer.ack
				c.items = slices.Insert(c.items, last-1, item{kind: itemPrepared, b: refusedHead, at: a.at.Add(-11), ack: answer.ack})
				c.execute(7).forget(1)
				c.items = append(c.items, answer)
				c.execute(8).quit()
			},
			account: "answered=6 lost.statement_id=1 errors=2 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "an OK of another command, of 65,536 rows and the last insert id 256, looks like theirs",
			target: func(v *server) { v.nextID = 9 },
			client: func(c *client) {
				c.nextID = 7
				var b uint32
				c.login().pipeline(func() { c.query("select 1"); c.query("insert"); b = c.prepare("p0c0 b") })
				last := len(c.items) - 1
				ok := item{kind: itemPrepared, b: []byte("\x0c\x00\x00\x01\x00\xfd\x00\x00\x01\xfc\x00\x01\x02\x00\x00\x00"), at: c.items[last].at.Add(-16), ack: c.items[last].ack}
				c.items = slices.Insert(c.items, last, ok)
				c.execute(b).quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name: "the last prepared one may not have been captured",
			client: func(c *client) {
				c.login().prepare("p0c0 a")
				c.prepare("p0c0 b")
				c.forget(1)
				c.items[len(c.items)-2].kind = itemGap
				c.query("select 1").statement(mysql.ComStmtExecute, lastPrepared, "x").forget(1)
				c.quit()
			},
			account: "answered=3 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "the last prepared one was closed, on MySQL",
			target: func(v *server) { v.version = "9.7.4" },
			client: func(c *client) {
				c.login().prepare("p0c0 a")
				c.close(c.prepare("p0c0 b"))
				c.statement(mysql.ComStmtExecute, lastPrepared, "x").quit()
			},
			account: "answered=5 errors=1 session replayed",
		},
		{
			name:   "pipelined ones within a long answer, the first answered where the second may be",
			target: func(v *server) { v.nextID = 9 },
			client: func(c *client) {
				c.login().command(mysql.ComQuery, "select 1", 0)
				c.read, c.prod = c.prod.Add(1448), c.prod.Add(3000)
				var q, r uint32
				c.pipeline(func() {
					q = c.prepare("p0c0 q")
					c.read = c.later[0].at
					r = c.prepare("p0c0 r")
					c.later[0].ack = c.nxt
				})
				c.execute(q).execute(r).quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name:   "the session is reset while the target is behind",
			target: func(v *server) { v.nextID = 50 },
			client: func(c *client) {
				c.login()
				for range 3 {
					a := c.prepare("p0c0 a")
					c.execute(a).reset()
				}
				a := c.prepare("p0c0 b")
				c.execute(a).quit()
			},
			account: "answered=12 session replayed",
		},
		{
			name: "one of before a reset",
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				c.execute(a).reset().execute(a).quit()
			},
			account: "answered=5 errors=1 session replayed",
		},
		{
			name: "a command too short to name a statement",
			client: func(c *client) {
				c.login().command(mysql.ComStmtExecute, "ab", 30).command(mysql.ComStmtReset, "", 30).quit()
			},
			account: "answered=3 session replayed",
		},
	})
}

// TestStatementsAreForgotten prepares over and over what does not come to the
// target, or did not to production's.
func TestStatementsAreForgotten(t *testing.T) {
	for _, sql := range []string{"set global x = ?", "^p0c0", "~p0c0", "p0c0"} {
		m := newSim(t)
		c := newClient().login()
		for range 1000 {
			if a := c.prepare(sql); sql[0] != '~' {
				c.execute(a).close(a)
			}
		}
		c.do(func(m *sim) {
			if n := len(m.sess.statements.all); n > 100 {
				t.Errorf("%q: %d statements are kept", sql, n)
			}
		})
		c.quit()
		m.play(c, lockstep)
		m.over()
	}
}

func TestChangeUser(t *testing.T) {
	run(t, []scenario{
		{
			name: "twice",
			client: func(c *client) {
				c.login().queries(2).changeUser("other", "s").queries(3).changeUser("app", "").queries(1).quit()
			},
			account: "answered=9 session replayed",
		},
		{
			name: "statements are gone, ids go on",
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				c.execute(a).changeUser("other", "s")
				b := c.prepare("p0c0 b")
				c.execute(b).quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name: "to nobody known",
			client: func(c *client) {
				c.login().queries(1).changeUser("stranger", "").forget(1)
				c.queries(2).forget(2).fin()
			},
			account: "answered=1 lost.unknown_user=3 session lost unknown_user",
			paces:   oneByOne,
		},
		{
			name:    "malformed: the target says so",
			client:  func(c *client) { c.login().command(mysql.ComChangeUser, "nobody", 30).fin() },
			account: "lost.login_refused=1 session lost login_refused",
			paces:   oneByOne,
		},
		{
			name: "refused",
			sim:  func(m *sim) { m.env.Credentials = func(u string) (string, string, bool) { return u, "secret", true } },
			client: func(c *client) {
				c.login().queries(1).changeUser("refused", "").queries(1).forget(1).fin()
				c.expect[1] = strings.Replace(c.expect[1], "t_", "", 1)
			},
			account: "answered=1 lost.login_refused=2 session lost login_refused",
			paces:   oneByOne,
		},
	})
}

func TestLoadDataLocal(t *testing.T) {
	const load = "LOAD DATA LOCAL INFILE 'f' INTO TABLE t"
	var many []string
	for i := range 600 {
		many = append(many, fmt.Sprintf("row %d\n", i))
	}
	run(t, []scenario{
		{
			name:    "a file",
			client:  func(c *client) { c.login().query("select 1").load(load, "one\n", "two\n").query("select 2").quit() },
			account: "answered=4 session replayed",
		},
		{
			name:    "an empty file",
			client:  func(c *client) { c.login().load(load, []string{}...).query("select 2").quit() },
			account: "answered=3 session replayed",
		},
		{
			name:    "a file of more packets than there are sequence ids",
			client:  func(c *client) { c.login().load(load, many...).query("select 2").quit() },
			account: "answered=3 session replayed",
		},
		{
			name:    "two files",
			client:  func(c *client) { c.login().load(load+" 1", "a").load(load+" 2", "b").quit() },
			account: "answered=3 session replayed",
		},
		{
			name:    "behind a comment",
			client:  func(c *client) { c.login().load("/* a */ -- b\n# c\n(/*!40101 "+load, "a").query("select 1").quit() },
			account: "answered=3 session replayed",
		},
		{
			name:    "not seen as one, and the client waits",
			client:  func(c *client) { c.login().query("select 1").load("set @a=1; "+load, "a").query("select 1").quit() },
			account: "answered=4 session replayed",
			paces:   oneByOne,
		},
		{
			name:    "the target refuses: the file is not sent",
			target:  func(v *server) { v.noFiles = true },
			client:  func(c *client) { c.login().load(load, "a", "b").forget(1); c.query("select 1").quit() },
			account: "answered=3 errors=1 session replayed",
		},
		{
			name: "only the target asks: it gets an empty file",
			client: func(c *client) {
				c.login().load(load)
				c.expect = append(c.expect, "FILE of "+load[:39]+`: ""`)
				c.query("select 1").quit()
			},
			account: "answered=3 session replayed",
		},
		{
			name: "only the target asks, and the client leaves",
			client: func(c *client) {
				c.login().load(load)
				c.expect = append(c.expect, "FILE of "+load[:39]+`: ""`)
				c.fin()
			},
			account: "answered=1 session replayed",
		},
		{
			name: "a command never replayed comes behind it",
			client: func(c *client) {
				c.login().load(load, "a")
				c.command(mysql.ComShutdown, "", 0).forget(1).query("select 1").quit()
			},
			account: "answered=3 skipped.policy=1 session replayed",
		},
		{
			name:   "refused, and a command never replayed comes behind it",
			target: func(v *server) { v.noFiles = true },
			client: func(c *client) {
				c.login().load(load)
				c.command(mysql.ComShutdown, "", 0).forget(1).query("select 1").quit()
			},
			account: "answered=3 skipped.policy=1 errors=1 session replayed",
		},
		{
			name: "the client dies in the middle",
			client: func(c *client) {
				c.login().query("select 1").load(load, "a", "b").forget(1)
				c.items = c.items[:len(c.items)-1]
				c.fin()
			},
			account: "answered=1 lost.not_sent=1 session lost not_sent",
			paces:   oneByOne,
		},
		{
			name:   "the client dies in the middle of a file that the target did not want",
			target: func(v *server) { v.noFiles = true },
			client: func(c *client) {
				c.login().query("select 1").load(load, "a", "b").forget(1)
				c.items = c.items[:len(c.items)-1]
				c.fin()
			},
			account: "answered=2 errors=1 session replayed",
			paces:   oneByOne,
		},
	})
}

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

// TestSplitDoesNotMatter cuts one client's stream at every octet, and into
// segments of every size.
func TestSplitDoesNotMatter(t *testing.T) {
	make := func() *client {
		c := newClient().login().query("select 1")
		a := c.prepare("p1c1 a")
		c.execute(a).changeUser("other", "").load("LOAD DATA LOCAL INFILE 'f'", "one", "two")
		b := c.prepare("p0c0 b")
		c.execute(b).close(b).command(mysql.ComShutdown, "", 0).forget(1)
		return c.query("select 2").quit()
	}
	want := "answered=10 skipped.policy=1 session replayed"
	try := func(c *client, p pace, what string) {
		m := newSim(t)
		m.play(c, p)
		m.executed(c.expect)
		if got := m.account(); got != want {
			t.Fatalf("%s: account %s, want %s", what, got, want)
		}
		m.over()
	}
	size := 0
	for _, it := range make().items {
		size += len(it.b)
	}
	for n := 1; n < size; n++ {
		for _, p := range []pace{atOnce, lockstep} {
			try(make().split(func() int { return n }), p, fmt.Sprintf("segments of %d", n))
			try(make().merge().split(func() int { return n }), p, fmt.Sprintf("merged, segments of %d", n))
		}
		first := true
		c := make().split(func() int {
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
				c := newClient().login().query("select 1")
				p := atOnce
				if where == "behind it" {
					c.do(func(m *sim) { m.settle(time.Second) })
					p = func() int { return 1 }
				}
				c.query(string(b)).query("select 2").quit()
				c.split(func() int { return 64 << 10 })
				m.play(c, p)
				m.executed(c.expect)
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
	c := newClient()
	c.raw([]byte("the middle of a packet that is not known"))
	c.answer(10)
	c.queries(3)
	c.expect = nil
	c.fin()
	m.call(func(e *Env) { m.sess.Captured(e, false) })
	m.playOn(c, atOnce)
	m.executed(nil)
	if got, want := m.account(), "skipped.opened_before_start=3 session skipped opened_before_start"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m.over()
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

// TestCommandsBecomeTheFile checks what happens when the target asks for a file
// of a statement that did not look like a LOAD DATA, and commands were sent
// behind it.
func TestCommandsBecomeTheFile(t *testing.T) {
	tests := []struct {
		name   string
		client func(c *client)
		ended  int // responses before the request
		lost   bool
	}{
		{"it is the last one's", func(c *client) { c.query("set @a=1; load") }, 0, false},
		{"it is the last one's, and another was answered before", func(c *client) { c.query("select 1").query("set @a=1; load") }, 1, false},
		{"it is an earlier one's", func(c *client) { c.query("set @a=1; load").query("select 1") }, 0, true},
		{"a command without an answer was the last", func(c *client) {
			c.query("set @a=1; load")
			c.command(mysql.ComStmtClose, "", 0)
		}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient().login()
			m := ready(t, c)
			c.items = nil
			tt.client(c)
			for i := range c.items {
				m.feed(&c.items[i]) // nothing of it arrives
			}
			m.call(func(e *Env) { m.sess.Head(e, mysql.Kind(mysql.ComQuery), 1, []byte("\xfbfile")) })
			m.call(func(*Env) { m.answer(tt.ended) })
			if got := strings.Contains(m.account(), "lost response_timeout"); got != tt.lost {
				t.Errorf("account %s; want it lost: %v", m.account(), tt.lost)
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
