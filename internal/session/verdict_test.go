package session

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/simulation"
)

// judging replaces the judge.
func judging(c policy.Config) func(*sim) {
	return func(m *sim) { m.env.Judge = policy.NewJudge(c) }
}

func filtering(f Filter) func(*sim) {
	return func(m *sim) { m.env.Filter = f }
}

// killing makes connection 4711 of production known as 11 on the target.
func killing(m *sim) { m.env.IDs = ids{4711: 11} }

func TestPolicy(t *testing.T) {
	all := policy.Default()
	for class := range all {
		all[class] = policy.Replay
	}
	run(t, []scenario{
		{
			name: "what would harm the target is left out, and the session stays in step",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("SET GLOBAL x = 1").Forget(1).Query("/* */ shutdown").Forget(1)
				c.Command(mysql.ComShutdown, "\x00", 9).Forget(1).Query("select 2").Quit()
			},
			account: "answered=3 skipped.policy=3 session replayed",
		},
		{
			name: "the operator allows it",
			sim:  judging(policy.Config{Table: all}),
			client: func(c *simulation.Client) {
				c.Login().Query("SET GLOBAL x = 1").Command(mysql.ComShutdown, "\x00", 9).Quit()
			},
			account: "answered=3 session replayed",
		},
		{
			name:   "a statement that is left out takes with it what uses it",
			target: func(v *simulation.Server) { v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				b := c.Prepare("set global x = ?")
				c.Forget(1)
				d := c.Prepare("p0c0 d")
				c.Execute(a)
				c.Execute(b).Statement(mysql.ComStmtReset, b, "").Close(b).Forget(3)
				c.Execute(d).Quit()
			},
			account: "answered=5 skipped.policy=4 session replayed",
		},
		{
			name: "one among several statements",
			client: func(c *simulation.Client) {
				l := simulation.TestLogin
				l.Capabilities |= mysql.ClientMultiStatements
				c.LoginAs(l).Query("select 1; select 2").Query("select 1; set global x = 1").Forget(1).Quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
		},
		{
			name: "several statements since COM_SET_OPTION",
			client: func(c *simulation.Client) {
				c.Login().Query("select ';'; set global x = 1")
				c.Command(mysql.ComSetOption, "\x00\x00", 9).Query("select 1; set global x = 1").Forget(1)
				c.Command(mysql.ComSetOption, "\x01\x00", 9).Query("select ';'; set global x = 1").Quit()
			},
			account: "answered=5 skipped.policy=1 session replayed",
		},
		{
			name: "a long one, by its end",
			client: func(c *simulation.Client) {
				c.Login().Query("select '" + strings.Repeat("x", 2<<20) + "' INTO OUTFILE 'f'").Forget(1).Query("select 1").Quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one of several packets, by its end",
			client: func(c *simulation.Client) {
				c.Login().Query("select '" + strings.Repeat("x", 17<<20) + "' INTO OUTFILE 'f'").Forget(1).Query("select 1").Quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one of several packets, over the border of two",
			client: func(c *simulation.Client) {
				c.Login().Query("select '" + strings.Repeat("x", mysql.MaxPayload-len(" select '' INTO OUT")) + "' INTO OUTFILE 'f'").Forget(1).Query("select 1").Quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one of several packets that does no harm",
			client: func(c *simulation.Client) {
				c.Login().Query("select '" + strings.Repeat("x", 17<<20) + "'").Query("select 1").Quit()
			},
			account: "answered=3 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one too long to be read",
			client: func(c *simulation.Client) {
				c.Login().Query("select '" + strings.Repeat("x", 66<<20) + "'").Forget(1).Query("select 1").Quit()
				c.Split(func() int { return 1 << 20 })
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one too long to be read that only inserts",
			client: func(c *simulation.Client) {
				c.Login().Query("insert '" + strings.Repeat("x", 66<<20) + "'").Query("select 1").Quit()
				c.Split(func() int { return 1 << 20 })
			},
			account: "answered=3 session replayed",
			paces:   oneByOne,
		},
		{
			name: "KILL of a connection that is replayed",
			sim:  killing,
			client: func(c *simulation.Client) {
				c.Login().Query("KILL 4711").Query("kill query 4711 -- slow")
				c.Command(mysql.ComProcessKill, "\x67\x12\x00\x00", 11).Quit()
				c.Expect = []string{`COM_QUERY "KILL 11"`, `COM_QUERY "kill query 11 -- slow"`, `COM_PROCESS_KILL "\v\x00\x00\x00"`, `COM_QUIT ""`}
			},
			account: "answered=4 session replayed",
		},
		{
			name: "KILL, where production has query attributes",
			sim:  killing,
			client: func(c *simulation.Client) {
				c.Speak(true, mysql.CompressionNone).LoginSpeaking().Query("KILL 4711").Quit()
				c.Expect[0] = `COM_QUERY "KILL 11"`
			},
			account: "answered=2 session replayed",
		},
		{
			name:   "KILL, where both have query attributes",
			sim:    killing,
			target: withAttributes,
			client: func(c *simulation.Client) {
				c.Speak(true, mysql.CompressionNone).LoginSpeaking().Query("KILL 4711").Quit()
				c.Expect[0] = `COM_QUERY "KILL 11"`
			},
			account: "answered=2 session replayed",
		},
		{
			name: "KILL of anybody else",
			sim:  killing,
			client: func(c *simulation.Client) {
				l := simulation.TestLogin
				l.Capabilities |= mysql.ClientMultiStatements
				c.LoginAs(l).Query("KILL 4712").Query("KILL USER app").Query("KILL 4711; KILL 4712").Forget(3)
				c.Command(mysql.ComProcessKill, "\x01\x00\x00\x00", 11).Forget(1).Quit()
			},
			account: "answered=1 skipped.policy=4 session replayed",
		},
	})
}

func TestOnlyRead(t *testing.T) {
	run(t, []scenario{{
		name: "only reads",
		sim:  judging(policy.Config{Table: policy.Default(), OnlyRead: true}),
		client: func(c *simulation.Client) {
			c.Login().Query("begin").Query("select 1")
			c.Query("insert into t values (1)").Query("select 1 for update").Query("load data local infile 'f' into table t").Forget(3)
			a := c.Prepare("delete from t")
			c.Forget(1)
			c.Execute(a).Forget(1)
			c.Command(mysql.ComInitDB, "shop", 11).Query("commit").Quit()
		},
		account: "answered=5 skipped.only_read=5 session replayed",
	}})
}

func TestFilter(t *testing.T) {
	set := func(names ...string) map[string]bool {
		m := make(map[string]bool)
		for _, n := range names {
			m[n] = true
		}
		return m
	}
	plain := func(c *simulation.Client) { c.Login().Query("select 1").Quit() }
	none := func(c *simulation.Client) { plain(c); c.Expect = nil }
	run(t, []scenario{
		{name: "a user that is wanted", sim: filtering(Filter{Users: set("app")}), client: plain, account: "answered=2 session replayed"},
		{name: "a user that is not", sim: filtering(Filter{Users: set("other")}), client: none, account: "skipped.user=2 session skipped user"},
		{name: "a user that is left out", sim: filtering(Filter{ExcludeUsers: set("app")}), client: none, account: "skipped.user=2 session skipped user"},
		{
			name: "a session that changes to one that is left out",
			sim:  filtering(Filter{ExcludeUsers: set("other")}),
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").ChangeUser("other", "").Query("select 2").Quit().Forget(3)
			},
			account: "answered=1 skipped.user=3 session skipped user",
			paces:   oneByOne,
		},
		{
			name: "schemas",
			sim:  filtering(Filter{Schemas: set("shop", "my shop")}),
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("USE other").Query("select 2").Forget(1)
				a := c.Prepare("p0c0 a")
				c.Forget(1)
				c.Command(mysql.ComFieldList, "t\x00", 11).Forget(1).Command(mysql.ComPing, "", 11)
				c.Command(mysql.ComInitDB, "shop", 11).Query("select 3").Execute(a).Forget(1)
				c.ChangeUser("app", "").Query("select 4").Forget(1).Query("use `my shop`").Query("select 5").Quit()
			},
			account: "answered=9 skipped.schema=5 session replayed",
		},
		{
			name: "statements by their text",
			sim:  judging(policy.Config{Table: policy.Default(), Exclude: []*regexp.Regexp{regexp.MustCompile(`(?i)audit`)}}),
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("insert into Audit values (1)").Forget(1).Quit()
			},
			account: "answered=2 skipped.excluded=1 session replayed",
		},
	})
}

// TestTooLongToJudge gives up waiting for the end of a statement. Its beginning, a
// comment, is not gone through again with each segment: that took minutes.
func TestTooLongToJudge(t *testing.T) {
	all := policy.Default()
	all[policy.Unclear] = policy.Replay
	tooLong := "/*" + strings.Repeat("x", maxJudged+1<<20) + "*/ select 2"
	long := "/*" + strings.Repeat("x", 15<<20) + "*/ select 3"
	says := func(schema string) func(c *simulation.Client) {
		return func(c *simulation.Client) {
			c.Login().Query("USE " + schema).Query(tooLong).Query(long).Query("select 4")
			switch schema {
			case "left_out":
				c.Forget(3)
			case "unclear":
				c.Expect = slices.Delete(c.Expect, 1, 2)
			}
			c.Quit().Split(func() int { return 64 << 10 })
		}
	}
	run(t, []scenario{
		{
			name: "in a schema that is replayed", sim: func(m *sim) {
				judging(policy.Config{Table: all})(m)
				filtering(Filter{Schemas: map[string]bool{"shop": true}})(m)
			},
			client: says("shop"), account: "answered=5 session replayed", paces: oneByOne,
		},
		{
			name: "in a schema that is left out", sim: func(m *sim) {
				judging(policy.Config{Table: all})(m)
				filtering(Filter{Schemas: map[string]bool{"shop": true}})(m)
			},
			client: says("left_out"), account: "answered=2 skipped.schema=3 session replayed", paces: oneByOne,
		},
		{
			name: "where what is unclear is left out", client: says("unclear"),
			account: "answered=4 skipped.policy=1 session replayed", paces: oneByOne,
		},
	})
}
