package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// offset returns where the n-th captured segment begins.
func offset(c *simulation.Client, n int) (at int) {
	for _, it := range c.Items[:n] {
		at += len(it.B)
	}
	return at
}

func TestGap(t *testing.T) {
	settle := func(m *sim) { m.settle(time.Second) }
	big := strings.Repeat("x", 2<<20)
	// without takes expectations out.
	without := func(c *simulation.Client, n ...int) {
		for i := len(n) - 1; i >= 0; i-- {
			c.Expect = append(c.Expect[:n[i]], c.Expect[n[i]+1:]...)
		}
	}
	run(t, []scenario{
		{
			name: "inside a command",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2)+6, 3)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "the end of a command",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2)+6, 7)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "a header's middle",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2)+2, 4)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "the beginning of a command",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2), 4)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "a whole command",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2), len(c.Items[2].B))
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "from one command into another",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2)+6, 10)
				without(c, 1, 2)
			},
			account: "answered=2 lost.capture_gap=1 session replayed", // how many there were, nobody knows
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "COM_QUIT",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Quit()
				c.Hole(offset(c, 2), 5)
				without(c, 1)
			},
			account: "answered=1 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name:    "in the login",
			client:  func(c *simulation.Client) { c.Login().Queries(2).Quit(); c.Hole(20, 7); c.Expect = nil },
			account: "session skipped capture_gap",
		},
		{
			name:    "the whole login",
			client:  func(c *simulation.Client) { c.Login().Queries(2).Quit(); c.Hole(0, len(c.Items[0].B)); c.Expect = nil },
			account: "session skipped capture_gap",
		},
		{
			name: "in a reply of the login",
			client: func(c *simulation.Client) {
				c.Login()
				c.Packet(3, make([]byte, 256))
				c.Queries(2).Quit()
				c.Hole(offset(c, 1)+17, 40)
			},
			account: "answered=3 session replayed",
		},
		{
			name: "a whole reply of the login",
			client: func(c *simulation.Client) {
				c.Login()
				c.Packet(3, make([]byte, 256))
				c.Answer(11)
				c.Queries(2).Quit()
				c.Hole(offset(c, 1), 260)
			},
			account: "answered=3 session replayed",
		},
		{
			name: "inside a streamed command of which a part was sent",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Do(settle).Query("insert " + big).Query("select 2").Quit()
				c.Hole(offset(c, 3)+1<<20, 100)
				c.Expect = c.Expect[:1]
			},
			account: "answered=1 lost.capture_gap=3 session lost capture_gap",
			paces:   oneByOne,
		},
		{
			name: "inside a streamed command that waits",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("insert " + big).Query("select 2").Quit()
				c.Hole(offset(c, 2)+1<<20, 100)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "the end of a streamed command that waits",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("insert " + big).Query("select 2").Quit()
				c.Hole(offset(c, 2)+1<<20, 1<<20+12)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "two inside a streamed command that waits",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("insert " + big).Query("select 2").Quit()
				c.Hole(offset(c, 2)+1<<20, 100)
				c.Hole(offset(c, 2)+1<<20+500, 100)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "from a streamed command that waits into the next",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Query("insert " + big).Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2)+1<<20, 1<<20+20)
				without(c, 1, 2)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name:   "inside a streamed PREPARE that waits: later ones are not mistaken for it",
			target: func(v *simulation.Server) { v.NextID = 10 },
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				b := c.Prepare("p0c0 " + big)
				d := c.Prepare("p0c0 d")
				c.Do(settle).Execute(a).Execute(d).Close(d).Do(settle)
				c.Execute(b).Forget(1)
				c.Fin()
				c.Hole(offset(c, 3)+1<<20, 100)
				without(c, 1)
			},
			account: "answered=5 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "a PREPARE behind one that production refused: its id is not taken for the other's",
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("~a")
				b := c.Prepare("p0c0 b")
				c.Execute(b).Forget(1)
				c.Fin()
				c.Hole(offset(c, 3), len(c.Items[3].B))
				without(c, 1)
			},
			account: "answered=1 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "the end of a PREPARE behind one that production refused, and another",
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("~a")
				var b uint32
				c.Pipeline(func() { b = c.Prepare("p0c0 b"); c.Prepare("p0c0 d") })
				c.Execute(b).Forget(1)
				c.Fin()
				c.Hole(offset(c, 3)+5, 6)
				without(c, 1)
			},
			account: "answered=2 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "inside a file",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Load("LOAD DATA LOCAL INFILE 'f'", "one", "two", "three").Query("select 2").Quit()
				c.Hole(offset(c, 4)+5, 1)
				c.Expect = c.Expect[:2]
			},
			account: "answered=1 lost.capture_gap=3 session lost capture_gap",
			paces:   oneByOne,
		},
		{
			name: "between a file's packets",
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Load("LOAD DATA LOCAL INFILE 'f'", "one", "two", "three").Query("select 2").Quit()
				c.Hole(offset(c, 4), 7)
				c.Expect = c.Expect[:2]
			},
			account: "answered=1 lost.capture_gap=3 session lost capture_gap",
			paces:   oneByOne,
		},
		{
			name:   "between packets of a file that the target did not want",
			target: func(v *simulation.Server) { v.NoFiles = true },
			client: func(c *simulation.Client) {
				c.Login().Query("select 1").Load("LOAD DATA LOCAL INFILE 'f'", "one", "two", "three").Query("select 2").Quit()
				c.Hole(offset(c, 4), 7)
				without(c, 2)
			},
			account: "answered=4 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "in a proof of COM_CHANGE_USER",
			client: func(c *simulation.Client) {
				c.Login().ChangeUser("other", "").Query("select 1").Quit()
				c.Hole(offset(c, 2)+6, 3)
			},
			account: "answered=3 session replayed",
		},
		{
			name: "in a session that is not replayed",
			client: func(c *simulation.Client) {
				l := simulation.TestLogin
				l.User = "stranger"
				c.LoginAs(l).Query("select 1").Query("select 2").Query("select 3").Quit()
				c.Hole(offset(c, 2)+6, 3)
				c.Expect = nil
			},
			account: "skipped.unknown_user=4 session skipped unknown_user",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
	})
}

// TestGapEverywhere loses frames, or their ends, everywhere in a client's
// stream: nothing is executed that the client did not say.
func TestGapEverywhere(t *testing.T) {
	make := func() *simulation.Client {
		c := simulation.NewClient().Login().Query("select 1")
		a := c.Prepare("p1c1 a")
		b := c.Prepare("p0c0 b")
		c.Execute(a).Execute(b).Close(a).Query("select 2").Load("LOAD DATA LOCAL INFILE 'f'", "one", "two")
		d := c.Prepare("p0c0 d")
		c.Execute(d).Execute(b).Reset()
		e := c.Prepare("p0c0 e")
		c.Execute(e).ChangeUser("other", "")
		return c.Query("select 3").Query("select 4").Quit()
	}
	for _, segment := range []int{1 << 20, 40, 17, 10, 6} {
		pieces := make().Split(func() int { return segment }).Items
		at := 0
		for i, it := range pieces {
			if it.Kind != simulation.ItemData {
				continue
			}
			// A frame that was cut, or lost, and some behind it.
			for from := range it.B {
				for n, more := len(it.B)-from, i; more < min(i+3, len(pieces)); more++ {
					if more > i {
						n += len(pieces[more].B)
					}
					for _, p := range []pace{atOnce, lockstep} {
						m := newSim(t)
						m.peer.Server.NextID = 2 // what is mixed up names another statement
						c := make().Split(func() int { return segment }).Hole(at+from, n)
						m.play(c, p)
						m.executedPart(c.Expect)
						m.over()
						if t.Failed() {
							t.Fatalf("segments of %d, hole of %d at %d", segment, n, at+from)
						}
					}
				}
			}
			at += len(it.B)
		}
	}
}

func TestResynchronising(t *testing.T) {
	packet := func(sequence uint8, payload string) string {
		return string(mysql.AppendHeader(nil, len(payload), sequence)) + payload
	}
	tests := []struct {
		name string
		b    string
		read bool // the client has read since the hole
		want bool
	}{
		{"a command", packet(0, "\x03select 1"), false, true},
		{"two", packet(0, "\x03select 1") + packet(0, "\x0e"), false, true},
		{"one and the beginning of another", packet(0, "\x03select 1") + "\x05", false, true},
		{"another sequence id", packet(1, "\x03select 1"), true, false},
		{"no known command", packet(0, "\x7fselect 1"), true, false},
		{"a command that no client sends", packet(0, "\x00"), true, false},
		{"a length that does not fit the command", packet(0, "\x0e\x00\x00"), true, false},
		{"a short command", packet(0, "\x0e"), true, true},
		{"a short command, but it may be the end of one", packet(0, "\x0e"), false, false},
		{"an empty packet", packet(0, ""), true, false},
		{"a header alone", "\x05\x00\x00\x00", true, false},
		{"less", "\x05\x00", true, false},
		{"one and what cannot follow", packet(0, "\x03select 1") + packet(7, "x"), true, false},
		{"one and an empty packet", packet(0, "\x03select 1") + packet(0, ""), true, false},
		{"the beginning of one, behind a response", packet(0, "\x03select 1")[:9], true, true},
		{"what may be the middle of one", packet(0, "\x03select 1")[:9], false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			m.call(func(e *Env) { m.sess.Captured(e, true) })
			c := simulation.NewClient().Login()
			m.feed(&c.Items[0])
			m.settle(time.Second)
			m.call(func(e *Env) { m.sess.Data(e, []byte("\x09\x00\x00\x00\x03sel"), c.Read, c.Nxt.Add(8)) })
			m.call(func(e *Env) { m.sess.Gap(e, 100, c.Nxt.Add(108)) })
			ack := c.Read
			if tt.read {
				ack = ack.Add(20)
			}
			m.call(func(e *Env) { m.sess.Data(e, []byte(tt.b), ack, c.Nxt.Add(108+len(tt.b))) })
			if got := m.sess.reader.mode == readCommands; got != tt.want {
				t.Errorf("read as a command: %v, want %v", got, tt.want)
			}
		})
	}
}

// TestGapBehindAPrepare loses all from a PREPARE's answer up to a later PREPARE, of
// a client that waits for each answer. What it prepares from then on is told apart
// as before, also where production's answers are there before what is behind the
// hole is read.
func TestGapBehindAPrepare(t *testing.T) {
	for _, early := range []int{0, 1, 2, 3, 4, 300} {
		m := newSim(t)
		laters := max(5, early)
		m.peer.Server.NextID = 40
		c := simulation.NewClient().Login().Queries(manySteps)
		first := c.Prepare("p1c1 first")
		c.Execute(first).Close(first)
		from := len(c.Items)
		for range 3 {
			id := c.Prepare("p1c1 hidden")
			c.Execute(id).Close(id)
		}
		behind := len(c.Items)
		for range 2 { // in which the client shows that it waits for each answer
			id := c.Prepare("p1c1 next")
			c.Execute(id).Execute(id).Close(id)
		}
		for range laters {
			id := c.Prepare("p1c1 later")
			c.Execute(id).Execute(id).Close(id)
		}
		c.Quit()
		// Production's answers in the hole are lost, and early ones behind it come first.
		var items, seen []simulation.Item
		for i, it := range c.Items {
			switch {
			case it.Kind != simulation.ItemPrepared || i < from:
				items = append(items, it)
			case i < behind:
			case len(seen) < early:
				seen = append(seen, it)
			default:
				items = append(items, it)
			}
		}
		at, n := offset(c, from+1), 0
		for _, it := range c.Items[from+1 : behind] {
			if it.Kind == simulation.ItemData {
				n += len(it.B)
			}
		}
		c.Items = items
		c.Hole(at, n)
		for i := range c.Items {
			if c.Items[i].Kind == simulation.ItemGap {
				c.Items = slices.Insert(c.Items, i, seen...)
				break
			}
		}
		m.play(c, lockstep)
		m.executedPart(c.Expect)
		m.over()
		later := 0
		for _, e := range m.peer.Server.Executed {
			if strings.Contains(e, "later") {
				later++
			}
		}
		if later != 4*laters {
			t.Errorf("%d answers early: %d commands on later statements were executed, want %d: %s\n%s", early, later, 4*laters, m.account(), strings.Join(m.peer.Server.Executed, "\n"))
		}
	}
}

// TestGapThenPipelining is TestGapEverywhere with a client that has waited for each
// answer, and no longer does when the hole comes.
func TestGapThenPipelining(t *testing.T) {
	make := func(depth int) *simulation.Client {
		c := simulation.NewClient().Login().Queries(manySteps + 1)
		first := c.Prepare("p0c0 first")
		c.Execute(first)
		for round := range 3 {
			var ids []uint32
			begun := c.Nxt
			c.Pipeline(func() {
				for i := range depth {
					ids = append(ids, c.Prepare(fmt.Sprintf("p0c0 %d of round %d", i, round)))
				}
			})
			for i := range c.Items { // production had them all when it answered
				if it := &c.Items[i]; it.Kind == simulation.ItemPrepared && it.Ack.After(begun) {
					it.Ack = c.Nxt
				}
			}
			c.Pipeline(func() {
				for _, id := range ids {
					c.Execute(id)
				}
			})
			c.Execute(ids[0]).Query("select 1")
		}
		return c.Quit()
	}
	for depth := 2; depth <= 4; depth++ {
		items := make(depth).Items
		at := 0
		for i, it := range items {
			if i > manySteps && it.Kind == simulation.ItemData {
				for more := i; more < min(i+8, len(items)); more++ {
					if items[more].Kind != simulation.ItemData {
						continue
					}
					n := 0 // as hole counts
					for _, it := range items[i : more+1] {
						n += len(it.B)
					}
					for _, p := range []pace{atOnce, lockstep} {
						m := newSim(t)
						m.peer.Server.NextID = 2
						c := make(depth)
						c.Hole(at, n)
						m.play(c, p)
						m.executedPart(c.Expect)
						m.over()
						if t.Failed() {
							t.Fatalf("depth %d, hole of %d at %d", depth, n, at)
						}
					}
				}
			}
			at += len(it.B)
		}
	}
}

// Behind a hole nothing tells which statement is whose, where the client pipelines.
// What it prepares and closes is closed on the target all the same.
func TestStatementsBehindAGapAreClosed(t *testing.T) {
	const rounds = 1000
	m := newSim(t)
	c := simulation.NewClient().Login()
	c.Pipeline(func() { c.Queries(3) })
	from := len(c.Items)
	c.Prepare("p0c0 hidden")
	for n := range rounds {
		var id uint32
		c.Pipeline(func() {
			c.Query("select 1")
			id = c.Prepare(fmt.Sprintf("p0c0 %d", n))
		})
		c.Close(id)
	}
	c.Quit()
	c.Hole(offset(c, from), len(c.Items[from].B))
	m.play(c, lockstep)
	m.executedPart(c.Expect)
	m.over()
	prepared, closed := 0, 0
	for _, e := range m.peer.Server.Executed {
		switch {
		case strings.HasPrefix(e, mysql.ComStmtPrepare.String()):
			prepared++
		case strings.HasPrefix(e, mysql.ComStmtClose.String()):
			closed++
		}
	}
	if prepared < rounds-2 || prepared-closed > maxVague+fewMoves {
		t.Errorf("%d statements were prepared, %d closed: %s", prepared, closed, m.account())
	}
}
