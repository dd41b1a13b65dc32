package session

import (
	"slices"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

func TestPreparedStatements(t *testing.T) {
	prepared := func(c *simulation.Client) {
		c.Login()
		a := c.Prepare("p1c1 select ?")
		b := c.Prepare("p0c2 select 1, 2")
		c.Execute(a).Execute(b).Execute(a)
		c.Statement(mysql.ComStmtSendLongData, a, "\x00\x00long").Execute(a).Statement(mysql.ComStmtReset, a, "")
		c.Statement(mysql.ComStmtFetch, b, "\x05\x00\x00\x00").Close(a)
		d := c.Prepare("p0c0 delete")
		c.Execute(d).Execute(b).Close(b).Close(d).Quit()
	}
	run(t, []scenario{
		{
			name:    "the same ids",
			client:  prepared,
			account: "answered=16 session replayed",
		},
		{
			name:    "the target's ids are higher",
			target:  func(v *simulation.Server) { v.NextID = 4711 },
			client:  prepared,
			account: "answered=16 session replayed",
		},
		{
			name:    "the target's ids are production's, but of others",
			target:  func(v *simulation.Server) { v.NextID = 2 },
			client:  prepared,
			account: "answered=16 session replayed",
		},
		{
			name:   "both refuse one",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("!nonsense")
				a := c.Prepare("p0c0 a")
				c.Prepare("!nonsense")
				b := c.Prepare("p0c0 b")
				c.Execute(a).Execute(b).Close(a).Execute(b).Quit()
			},
			account: "answered=9 errors=2 session replayed",
		},
		{
			name:   "only production refuses one",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("~lock tables")
				a := c.Prepare("p0c0 a")
				c.Execute(a).Quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name:   "only the target refuses one: what depends on it is left out",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				b := c.Prepare("^lock tables")
				c.Execute(a)
				c.Execute(b).Forget(1)
				c.Statement(mysql.ComStmtSendLongData, b, "\x00\x00x").Forget(1)
				c.Close(b).Forget(1)
				c.Query("select 1").Execute(a).Quit()
			},
			account: "answered=6 skipped.statement_id=3 errors=1 session replayed",
		},
		{
			name: "an id that was never given",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Execute(99).Close(99).Query("select 2").Quit()
			},
			account: "answered=5 errors=1 session replayed",
		},
		{
			name: "an id that may have been given in a hole",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select 2").Forget(1)
				c.Items[len(c.Items)-1].Kind = simulation.ItemGap
				c.Query("select 3").Close(99).Forget(1)
				c.Execute(99).Forget(1)
				c.Query("select 4").Quit()
			},
			account: "answered=4 skipped.statement_id=1 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "production's answer was not captured, but nothing else can be meant",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("p0c0 a")
				b := c.Prepare("p0c0 b")
				c.Items = c.Items[:len(c.Items)-1]
				c.Execute(b).Query("select 1").Close(b).Quit()
			},
			account: "answered=6 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "two answers were not captured, and the ids round them show that there were no others",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				b := c.Prepare("p0c0 b")
				c.Items = c.Items[:len(c.Items)-1]
				d := c.Prepare("p0c0 d")
				c.Items = c.Items[:len(c.Items)-1]
				e := c.Prepare("p0c0 e")
				c.Execute(d).Execute(e).Execute(b).Execute(a).Quit()
			},
			account: "answered=9 session replayed",
			paces:   oneByOne,
		},
		{
			name: "two answers were not captured, and something took an id between them",
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("p0c0 a")
				b := c.Prepare("p0c0 b")
				c.Items = c.Items[:len(c.Items)-1]
				c.NextID++
				d := c.Prepare("p0c0 d")
				c.Items = c.Items[:len(c.Items)-1]
				c.Prepare("p0c0 e")
				c.Execute(d).Execute(b).Forget(2).Quit()
			},
			account: "answered=5 lost.statement_id=2 session replayed",
			paces:   oneByOne,
		},
		{
			name: "closed twice, and used behind it",
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				c.Execute(a).Close(a).Close(a).Execute(a).Quit()
			},
			account: "answered=6 errors=1 session replayed",
		},
		{
			name: "production's answers were not captured, and a cached thread's ids go on",
			client: func(c *simulation.Client) {
				c.Login()
				c.NextID = 7
				a := c.Prepare("p0c0 a")
				c.Items = c.Items[:len(c.Items)-1]
				c.Prepare("p0c0 b")
				c.Items = c.Items[:len(c.Items)-1]
				c.Execute(a).Forget(1)
				c.Query("select 2").Quit()
			},
			account: "answered=4 lost.statement_id=1 session replayed",
		},
		{
			name: "production's answer comes a little later than what depends on it",
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				answer := c.Items[len(c.Items)-1]
				c.Items = c.Items[:len(c.Items)-1]
				c.Execute(a).Query("select 1")
				c.Items = append(c.Items, answer)
				c.Execute(a).Quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name:   "the last prepared one, on MariaDB",
			target: func(v *simulation.Server) { v.NextID = 9 },
			client: func(c *simulation.Client) {
				c.Login().Pipeline(func() {
					for _, sql := range []string{"p0c0 a", "p0c0 b"} {
						c.Prepare(sql)
						c.Statements[lastPrepared] = sql
						c.Statement(mysql.ComStmtExecute, lastPrepared, "x")
					}
				})
				c.Statement(mysql.ComStmtClose, lastPrepared, "").Quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name:   "the last prepared one, on MySQL",
			target: func(v *simulation.Server) { v.NextID, v.Version = 9, "9.7.4" },
			client: func(c *simulation.Client) {
				c.Login().Pipeline(func() {
					for _, sql := range []string{"p0c0 a", "p0c0 b"} {
						c.Prepare(sql)
						c.Statements[lastPrepared] = sql
						c.Statement(mysql.ComStmtExecute, lastPrepared, "x")
					}
				})
				c.Statement(mysql.ComStmtClose, lastPrepared, "").Quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name:   "pipelined ones, both answered",
			target: func(v *simulation.Server) { v.NextID = 9 },
			client: func(c *simulation.Client) {
				var a, b uint32
				c.Login().Pipeline(func() { a, b = c.Prepare("p0c0 a"), c.Prepare("p0c0 b") })
				c.Execute(b).Execute(a).Quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name: "pipelined ones, the first refused by production alone",
			client: func(c *simulation.Client) {
				var b uint32
				c.Login().Pipeline(func() { c.Prepare("~a"); b = c.Prepare("p0c0 b") })
				c.Execute(b).Quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name:   "pipelined ones, the first refused by the target alone and used before the second is answered",
			target: func(v *simulation.Server) { v.NextID = 9 },
			client: func(c *simulation.Client) {
				c.NextID = 7
				c.Login().Pipeline(func() { c.Query("select 1"); c.Prepare("^p0c0"); c.Prepare("p0c0 b") })
				last := len(c.Items) - 1
				answer := c.Items[last]
				c.Items = c.Items[:last]
				c.Items[last-1].Ack = answer.Ack // production has both PREPAREs
				c.Execute(7).Forget(1)
				c.Items = append(c.Items, answer)
				c.Execute(8).Quit()
			},
			account: "answered=5 lost.statement_id=1 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "pipelined ones, the first refused by the target alone and used before the second is answered, and something else fails",
			target: func(v *simulation.Server) { v.NextID = 9 },
			client: func(c *simulation.Client) {
				c.NextID = 7
				c.Login().Pipeline(func() { c.Query("select 1"); c.Query("bad"); c.Prepare("^p0c0"); c.Prepare("p0c0 b") })
				last := len(c.Items) - 1
				answer := c.Items[last]
				c.Items = c.Items[:last]
				a := &c.Items[last-1]
				a.Ack = answer.Ack
				c.Items = slices.Insert(c.Items, last-1, simulation.Item{Kind: simulation.ItemPrepared, B: simulation.RefusedHead, At: a.At.Add(-11), Ack: answer.Ack})
				c.Execute(7).Forget(1)
				c.Items = append(c.Items, answer)
				c.Execute(8).Quit()
			},
			account: "answered=6 skipped.statement_id=1 errors=2 session replayed",
			paces:   []string{"at once", "a turn each", "three turns each"},
		},
		{
			name:   "an OK of another command, of 65,536 rows and the last insert id 256, looks like theirs",
			target: func(v *simulation.Server) { v.NextID = 9 },
			client: func(c *simulation.Client) {
				c.NextID = 7
				var b uint32
				c.Login().Pipeline(func() { c.Query("select 1"); c.Query("insert"); b = c.Prepare("p0c0 b") })
				last := len(c.Items) - 1
				ok := simulation.Item{Kind: simulation.ItemPrepared, B: []byte("\x0c\x00\x00\x01\x00\xfd\x00\x00\x01\xfc\x00\x01\x02\x00\x00\x00"), At: c.Items[last].At.Add(-16), Ack: c.Items[last].Ack}
				c.Items = slices.Insert(c.Items, last, ok)
				c.Execute(b).Quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name: "the last prepared one may not have been captured",
			client: func(c *simulation.Client) {
				c.Login().Prepare("p0c0 a")
				c.Prepare("p0c0 b")
				c.Forget(1)
				c.Items[len(c.Items)-2].Kind = simulation.ItemGap
				c.Query("select 1").Statement(mysql.ComStmtExecute, lastPrepared, "x").Forget(1)
				c.Quit()
			},
			account: "answered=3 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
		{
			name:   "the last prepared one was closed, on MySQL",
			target: func(v *simulation.Server) { v.Version = "9.7.4" },
			client: func(c *simulation.Client) {
				c.Login().Prepare("p0c0 a")
				c.Close(c.Prepare("p0c0 b"))
				c.Statement(mysql.ComStmtExecute, lastPrepared, "x").Quit()
			},
			account: "answered=5 errors=1 session replayed",
		},
		{
			name:   "pipelined ones within a long answer, the first answered where the second may be",
			target: func(v *simulation.Server) { v.NextID = 9 },
			client: func(c *simulation.Client) {
				c.Login().Command(mysql.ComQuery, "select 1", 0)
				c.Read, c.Prod = c.Prod.Add(1448), c.Prod.Add(3000)
				var q, r uint32
				c.Pipeline(func() {
					q = c.Prepare("p0c0 q")
					c.Read = c.Later[0].At
					r = c.Prepare("p0c0 r")
					c.Later[0].Ack = c.Nxt
				})
				c.Execute(q).Execute(r).Quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name:   "the session is reset while the target is behind",
			target: func(v *simulation.Server) { v.NextID = 50 },
			client: func(c *simulation.Client) {
				c.Login()
				for range 3 {
					a := c.Prepare("p0c0 a")
					c.Execute(a).Reset()
				}
				a := c.Prepare("p0c0 b")
				c.Execute(a).Quit()
			},
			account: "answered=12 session replayed",
		},
		{
			name: "one of before a reset",
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				c.Execute(a).Reset().Execute(a).Quit()
			},
			account: "answered=5 errors=1 session replayed",
		},
		{
			name: "a command too short to name a statement",
			client: func(c *simulation.Client) {
				c.Login().Command(mysql.ComStmtExecute, "ab", 30).Command(mysql.ComStmtReset, "", 30).Quit()
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
		c := simulation.NewClient().Login()
		for range 1000 {
			if a := c.Prepare(sql); sql[0] != '~' {
				c.Execute(a).Close(a)
			}
		}
		c.Do(func(m *sim) {
			if n := len(m.sess.statements.all); n > 100 {
				t.Errorf("%q: %d statements are kept", sql, n)
			}
		})
		c.Quit()
		m.play(c, lockstep)
		m.over()
	}
}
