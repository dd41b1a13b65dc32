package session

import (
	"fmt"
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
)

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
