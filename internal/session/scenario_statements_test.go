package session

import (
	"slices"
	"testing"

	"mrtecopy/internal/mysql"
)

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
				c.execute(d).execute(b).forget(2).quit()
			},
			account: "answered=5 lost.statement_id=2 session replayed",
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
			account: "answered=6 skipped.statement_id=1 errors=2 session replayed",
			paces:   []string{"at once", "a turn each", "three turns each"},
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
