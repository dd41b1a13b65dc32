package session

import (
	"fmt"
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

func TestLoadDataLocal(t *testing.T) {
	const load = "LOAD DATA LOCAL INFILE 'f' INTO TABLE t"
	var many []string
	for i := range 600 {
		many = append(many, fmt.Sprintf("row %d\n", i))
	}
	run(t, []scenario{
		{
			name: "a file",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Load(load, "one\n", "two\n").Query("select 2").Quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name:    "an empty file",
			client:  func(c *simulation.Client) { c.Login().Load(load, []string{}...).Query("select 2").Quit() },
			account: "answered=3 session replayed",
		},
		{
			name:    "a file of more packets than there are sequence ids",
			client:  func(c *simulation.Client) { c.Login().Load(load, many...).Query("select 2").Quit() },
			account: "answered=3 session replayed",
		},
		{
			name:    "two files",
			client:  func(c *simulation.Client) { c.Login().Load(load+" 1", "a").Load(load+" 2", "b").Quit() },
			account: "answered=3 session replayed",
		},
		{
			name: "behind a comment",
			client: func(c *simulation.Client) {
				c.Login().Load("/* a */ -- b\n# c\n(/*!40101 "+load, "a").Query("select 1").Quit()
			},
			account: "answered=3 session replayed",
		},
		{
			name: "not seen as one, and the client waits",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Load("set @a=1; "+load, "a").Query("select 1").Quit()
			},
			account: "answered=4 session replayed",
			paces:   oneByOne,
		},
		{
			name:    "the target refuses: the file is not sent",
			target:  func(v *simulation.Server) { v.NoFiles = true },
			client:  func(c *simulation.Client) { c.Login().Load(load, "a", "b").Forget(1); c.Query("select 1").Quit() },
			account: "answered=3 errors=1 session replayed",
		},
		{
			name: "only the target asks: it gets an empty file",
			client: func(c *simulation.Client) {
				c.Login().Load(load)
				c.Expect = append(c.Expect, "FILE of "+load[:39]+`: ""`)
				c.Query("select 1").Quit()
			},
			account: "answered=3 session replayed",
		},
		{
			name: "only the target asks, and the client leaves",
			client: func(c *simulation.Client) {
				c.Login().Load(load)
				c.Expect = append(c.Expect, "FILE of "+load[:39]+`: ""`)
				c.Fin()
			},
			account: "answered=1 session replayed",
		},
		{
			name: "a command never replayed comes behind it",
			client: func(c *simulation.Client) {
				c.Login().Load(load, "a")
				c.Command(mysql.ComShutdown, "", 0).Forget(1).Query("select 1").Quit()
			},
			account: "answered=3 skipped.policy=1 session replayed",
		},
		{
			name:   "refused, and a command never replayed comes behind it",
			target: func(v *simulation.Server) { v.NoFiles = true },
			client: func(c *simulation.Client) {
				c.Login().Load(load)
				c.Command(mysql.ComShutdown, "", 0).Forget(1).Query("select 1").Quit()
			},
			account: "answered=3 skipped.policy=1 errors=1 session replayed",
		},
		{
			name: "the client dies in the middle",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Load(load, "a", "b").Forget(1)
				c.Items = c.Items[:len(c.Items)-1]
				c.Fin()
			},
			account: "answered=1 lost.not_sent=1 session lost not_sent",
			paces:   oneByOne,
		},
		{
			name:   "the client dies in the middle of a file that the target did not want",
			target: func(v *simulation.Server) { v.NoFiles = true },
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Load(load, "a", "b").Forget(1)
				c.Items = c.Items[:len(c.Items)-1]
				c.Fin()
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
		client func(c *simulation.Client)
		ended  int // responses before the request
		lost   bool
	}{
		{"it is the last one's", func(c *simulation.Client) { c.Query("set @a=1; load") }, 0, false},
		{"it is the last one's, and another was answered before", func(c *simulation.Client) { c.Query("select 1").Query("set @a=1; load") }, 1, false},
		{"it is an earlier one's", func(c *simulation.Client) { c.Query("set @a=1; load").Query("select 1") }, 0, true},
		{"a command without an answer was the last", func(c *simulation.Client) {
			c.Query("set @a=1; load")
			c.Command(mysql.ComStmtClose, "", 0)
		}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := simulation.NewClient().Login()
			m := ready(t, c)
			c.Items = nil
			tt.client(c)
			for i := range c.Items {
				m.feed(&c.Items[i]) // nothing of it arrives
			}
			m.call(func(e *Env) { m.sess.Head(e, mysql.Kind(mysql.ComQuery), 1, []byte("\xfbfile")) })
			m.call(func(*Env) { m.answer(tt.ended) })
			if got := strings.Contains(m.account(), "lost response_timeout"); got != tt.lost {
				t.Errorf("account %s; want it lost: %v", m.account(), tt.lost)
			}
		})
	}
}
