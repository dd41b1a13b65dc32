package session

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/policy"
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
			client: func(c *client) {
				c.login().query("select 1").query("SET GLOBAL x = 1").forget(1).query("/* */ shutdown").forget(1)
				c.command(mysql.ComShutdown, "\x00", 9).forget(1).query("select 2").quit()
			},
			account: "answered=3 skipped.policy=3 session replayed",
		},
		{
			name: "the operator allows it",
			sim:  judging(policy.Config{Table: all}),
			client: func(c *client) {
				c.login().query("SET GLOBAL x = 1").command(mysql.ComShutdown, "\x00", 9).quit()
			},
			account: "answered=3 session replayed",
		},
		{
			name:   "a statement that is left out takes with it what uses it",
			target: func(v *server) { v.nextID = 7 },
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				b := c.prepare("set global x = ?")
				c.forget(1)
				d := c.prepare("p0c0 d")
				c.execute(a)
				c.execute(b).statement(mysql.ComStmtReset, b, "").close(b).forget(3)
				c.execute(d).quit()
			},
			account: "answered=5 skipped.policy=4 session replayed",
		},
		{
			name: "one among several statements",
			client: func(c *client) {
				l := testLogin
				l.Capabilities |= mysql.ClientMultiStatements
				c.loginAs(l).query("select 1; select 2").query("select 1; set global x = 1").forget(1).quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
		},
		{
			name: "several statements since COM_SET_OPTION",
			client: func(c *client) {
				c.login().query("select ';'; set global x = 1")
				c.command(mysql.ComSetOption, "\x00\x00", 9).query("select 1; set global x = 1").forget(1)
				c.command(mysql.ComSetOption, "\x01\x00", 9).query("select ';'; set global x = 1").quit()
			},
			account: "answered=5 skipped.policy=1 session replayed",
		},
		{
			name: "a long one, by its end",
			client: func(c *client) {
				c.login().query("select '" + strings.Repeat("x", 2<<20) + "' INTO OUTFILE 'f'").forget(1).query("select 1").quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one of several packets, by its end",
			client: func(c *client) {
				c.login().query("select '" + strings.Repeat("x", 17<<20) + "' INTO OUTFILE 'f'").forget(1).query("select 1").quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one of several packets, over the border of two",
			client: func(c *client) {
				c.login().query("select '" + strings.Repeat("x", mysql.MaxPayload-len(" select '' INTO OUT")) + "' INTO OUTFILE 'f'").forget(1).query("select 1").quit()
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one of several packets that does no harm",
			client: func(c *client) {
				c.login().query("select '" + strings.Repeat("x", 17<<20) + "'").query("select 1").quit()
			},
			account: "answered=3 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one too long to be read",
			client: func(c *client) {
				c.login().query("select '" + strings.Repeat("x", 66<<20) + "'").forget(1).query("select 1").quit()
				c.split(func() int { return 1 << 20 })
			},
			account: "answered=2 skipped.policy=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "one too long to be read that only inserts",
			client: func(c *client) {
				c.login().query("insert '" + strings.Repeat("x", 66<<20) + "'").query("select 1").quit()
				c.split(func() int { return 1 << 20 })
			},
			account: "answered=3 session replayed",
			paces:   oneByOne,
		},
		{
			name: "KILL of a connection that is replayed",
			sim:  killing,
			client: func(c *client) {
				c.login().query("KILL 4711").query("kill query 4711 -- slow")
				c.command(mysql.ComProcessKill, "\x67\x12\x00\x00", 11).quit()
				c.expect = []string{`COM_QUERY "KILL 11"`, `COM_QUERY "kill query 11 -- slow"`, `COM_PROCESS_KILL "\v\x00\x00\x00"`, `COM_QUIT ""`}
			},
			account: "answered=4 session replayed",
		},
		{
			name: "KILL, where production has query attributes",
			sim:  killing,
			client: func(c *client) {
				c.speak(true, mysql.CompressionNone).loginSpeaking().query("KILL 4711").quit()
				c.expect[0] = `COM_QUERY "KILL 11"`
			},
			account: "answered=2 session replayed",
		},
		{
			name:   "KILL, where both have query attributes",
			sim:    killing,
			target: withAttributes,
			client: func(c *client) {
				c.speak(true, mysql.CompressionNone).loginSpeaking().query("KILL 4711").quit()
				c.expect[0] = `COM_QUERY "KILL 11"`
			},
			account: "answered=2 session replayed",
		},
		{
			name: "KILL of anybody else",
			sim:  killing,
			client: func(c *client) {
				l := testLogin
				l.Capabilities |= mysql.ClientMultiStatements
				c.loginAs(l).query("KILL 4712").query("KILL USER app").query("KILL 4711; KILL 4712").forget(3)
				c.command(mysql.ComProcessKill, "\x01\x00\x00\x00", 11).forget(1).quit()
			},
			account: "answered=1 skipped.policy=4 session replayed",
		},
	})
}

func TestOnlyRead(t *testing.T) {
	run(t, []scenario{{
		name: "only reads",
		sim:  judging(policy.Config{Table: policy.Default(), OnlyRead: true}),
		client: func(c *client) {
			c.login().query("begin").query("select 1")
			c.query("insert into t values (1)").query("select 1 for update").query("load data local infile 'f' into table t").forget(3)
			a := c.prepare("delete from t")
			c.forget(1)
			c.execute(a).forget(1)
			c.command(mysql.ComInitDB, "shop", 11).query("commit").quit()
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
	plain := func(c *client) { c.login().query("select 1").quit() }
	none := func(c *client) { plain(c); c.expect = nil }
	run(t, []scenario{
		{name: "a user that is wanted", sim: filtering(Filter{Users: set("app")}), client: plain, account: "answered=2 session replayed"},
		{name: "a user that is not", sim: filtering(Filter{Users: set("other")}), client: none, account: "skipped.user=2 session skipped user"},
		{name: "a user that is left out", sim: filtering(Filter{ExcludeUsers: set("app")}), client: none, account: "skipped.user=2 session skipped user"},
		{
			name: "a session that changes to one that is left out",
			sim:  filtering(Filter{ExcludeUsers: set("other")}),
			client: func(c *client) {
				c.login().query("select 1").changeUser("other", "").query("select 2").quit().forget(3)
			},
			account: "answered=1 skipped.user=3 session skipped user",
			paces:   oneByOne,
		},
		{
			name: "schemas",
			sim:  filtering(Filter{Schemas: set("shop", "my shop")}),
			client: func(c *client) {
				c.login().query("select 1").query("USE other").query("select 2").forget(1)
				a := c.prepare("p0c0 a")
				c.forget(1)
				c.command(mysql.ComFieldList, "t\x00", 11).forget(1).command(mysql.ComPing, "", 11)
				c.command(mysql.ComInitDB, "shop", 11).query("select 3").execute(a).forget(1)
				c.changeUser("app", "").query("select 4").forget(1).query("use `my shop`").query("select 5").quit()
			},
			account: "answered=9 skipped.schema=5 session replayed",
		},
		{
			name: "statements by their text",
			sim:  judging(policy.Config{Table: policy.Default(), Exclude: []*regexp.Regexp{regexp.MustCompile(`(?i)audit`)}}),
			client: func(c *client) {
				c.login().query("select 1").query("insert into Audit values (1)").forget(1).quit()
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
	says := func(schema string) func(c *client) {
		return func(c *client) {
			c.login().query("USE " + schema).query(tooLong).query(long).query("select 4")
			switch schema {
			case "left_out":
				c.forget(3)
			case "unclear":
				c.expect = slices.Delete(c.expect, 1, 2)
			}
			c.quit().split(func() int { return 64 << 10 })
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
