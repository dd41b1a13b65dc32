package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
)

// offset returns where the n-th captured segment begins.
func (c *client) offset(n int) (at int) {
	for _, it := range c.items[:n] {
		at += len(it.b)
	}
	return at
}

func TestGap(t *testing.T) {
	settle := func(m *sim) { m.settle(time.Second) }
	big := strings.Repeat("x", 2<<20)
	// without takes expectations out.
	without := func(c *client, n ...int) {
		for i := len(n) - 1; i >= 0; i-- {
			c.expect = append(c.expect[:n[i]], c.expect[n[i]+1:]...)
		}
	}
	run(t, []scenario{
		{
			name: "inside a command",
			client: func(c *client) {
				c.login().query("select 1").query("select 2").query("select 3").quit()
				c.hole(c.offset(2)+6, 3)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "the end of a command",
			client: func(c *client) {
				c.login().query("select 1").query("select 2").query("select 3").quit()
				c.hole(c.offset(2)+6, 7)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "a header's middle",
			client: func(c *client) {
				c.login().query("select 1").query("select 2").query("select 3").quit()
				c.hole(c.offset(2)+2, 4)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "the beginning of a command",
			client: func(c *client) {
				c.login().query("select 1").query("select 2").query("select 3").quit()
				c.hole(c.offset(2), 4)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "a whole command",
			client: func(c *client) {
				c.login().query("select 1").query("select 2").query("select 3").quit()
				c.hole(c.offset(2), len(c.items[2].b))
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "from one command into another",
			client: func(c *client) {
				c.login().query("select 1").query("select 2").query("select 3").quit()
				c.hole(c.offset(2)+6, 10)
				without(c, 1, 2)
			},
			account: "answered=2 lost.capture_gap=1 session replayed", // how many there were, nobody knows
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name: "COM_QUIT",
			client: func(c *client) {
				c.login().query("select 1").quit()
				c.hole(c.offset(2), 5)
				without(c, 1)
			},
			account: "answered=1 lost.capture_gap=1 session replayed",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
		{
			name:    "in the login",
			client:  func(c *client) { c.login().queries(2).quit(); c.hole(20, 7); c.expect = nil },
			account: "session skipped capture_gap",
		},
		{
			name:    "the whole login",
			client:  func(c *client) { c.login().queries(2).quit(); c.hole(0, len(c.items[0].b)); c.expect = nil },
			account: "session skipped capture_gap",
		},
		{
			name: "in a reply of the login",
			client: func(c *client) {
				c.login()
				c.packet(3, make([]byte, 256))
				c.queries(2).quit()
				c.hole(c.offset(1)+17, 40)
			},
			account: "answered=3 session replayed",
		},
		{
			name: "a whole reply of the login",
			client: func(c *client) {
				c.login()
				c.packet(3, make([]byte, 256))
				c.answer(11)
				c.queries(2).quit()
				c.hole(c.offset(1), 260)
			},
			account: "answered=3 session replayed",
		},
		{
			name: "inside a streamed command of which a part was sent",
			client: func(c *client) {
				c.login().query("select 1").do(settle).query("insert " + big).query("select 2").quit()
				c.hole(c.offset(3)+1<<20, 100)
				c.expect = c.expect[:1]
			},
			account: "answered=1 lost.capture_gap=3 session lost capture_gap",
			paces:   oneByOne,
		},
		{
			name: "inside a streamed command that waits",
			client: func(c *client) {
				c.login().query("select 1").query("insert " + big).query("select 2").quit()
				c.hole(c.offset(2)+1<<20, 100)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "the end of a streamed command that waits",
			client: func(c *client) {
				c.login().query("select 1").query("insert " + big).query("select 2").quit()
				c.hole(c.offset(2)+1<<20, 1<<20+12)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "two inside a streamed command that waits",
			client: func(c *client) {
				c.login().query("select 1").query("insert " + big).query("select 2").quit()
				c.hole(c.offset(2)+1<<20, 100)
				c.hole(c.offset(2)+1<<20+500, 100)
				without(c, 1)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "from a streamed command that waits into the next",
			client: func(c *client) {
				c.login().query("select 1").query("insert " + big).query("select 2").query("select 3").quit()
				c.hole(c.offset(2)+1<<20, 1<<20+20)
				without(c, 1, 2)
			},
			account: "answered=3 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name:   "inside a streamed PREPARE that waits: later ones are not mistaken for it",
			target: func(v *server) { v.nextID = 10 },
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				b := c.prepare("p0c0 " + big)
				d := c.prepare("p0c0 d")
				c.do(settle).execute(a).execute(d).close(d).do(settle)
				c.execute(b).forget(1)
				c.fin()
				c.hole(c.offset(3)+1<<20, 100)
				without(c, 1)
			},
			account: "answered=5 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   []string{"at once"},
		},
		{
			name: "a PREPARE behind one that production refused: its id is not taken for the other's",
			client: func(c *client) {
				c.login()
				c.prepare("~a")
				b := c.prepare("p0c0 b")
				c.execute(b).forget(1)
				c.fin()
				c.hole(c.offset(3), len(c.items[3].b))
				without(c, 1)
			},
			account: "answered=1 lost.statement_id=1 lost.capture_gap=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "inside a file",
			client: func(c *client) {
				c.login().query("select 1").load("LOAD DATA LOCAL INFILE 'f'", "one", "two", "three").query("select 2").quit()
				c.hole(c.offset(4)+5, 1)
				c.expect = c.expect[:2]
			},
			account: "answered=1 lost.capture_gap=3 session lost capture_gap",
			paces:   oneByOne,
		},
		{
			name: "between a file's packets",
			client: func(c *client) {
				c.login().query("select 1").load("LOAD DATA LOCAL INFILE 'f'", "one", "two", "three").query("select 2").quit()
				c.hole(c.offset(4), 7)
				c.expect = c.expect[:2]
			},
			account: "answered=1 lost.capture_gap=3 session lost capture_gap",
			paces:   oneByOne,
		},
		{
			name:   "between packets of a file that the target did not want",
			target: func(v *server) { v.noFiles = true },
			client: func(c *client) {
				c.login().query("select 1").load("LOAD DATA LOCAL INFILE 'f'", "one", "two", "three").query("select 2").quit()
				c.hole(c.offset(4), 7)
				without(c, 2)
			},
			account: "answered=4 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "in a proof of COM_CHANGE_USER",
			client: func(c *client) {
				c.login().changeUser("other", "").query("select 1").quit()
				c.hole(c.offset(2)+6, 3)
			},
			account: "answered=3 session replayed",
		},
		{
			name: "in a session that is not replayed",
			client: func(c *client) {
				l := testLogin
				l.User = "stranger"
				c.loginAs(l).query("select 1").query("select 2").query("select 3").quit()
				c.hole(c.offset(2)+6, 3)
				c.expect = nil
			},
			account: "skipped.unknown_user=4 session skipped unknown_user",
			paces:   []string{"one by one", "at once", "a turn each"},
		},
	})
}

// TestGapEverywhere loses frames, or their ends, everywhere in a client's
// stream: nothing is executed that the client did not say.
func TestGapEverywhere(t *testing.T) {
	make := func() *client {
		c := newClient().login().query("select 1")
		a := c.prepare("p1c1 a")
		b := c.prepare("p0c0 b")
		c.execute(a).execute(b).close(a).query("select 2").load("LOAD DATA LOCAL INFILE 'f'", "one", "two")
		d := c.prepare("p0c0 d")
		c.execute(d).execute(b).reset()
		e := c.prepare("p0c0 e")
		c.execute(e).changeUser("other", "")
		return c.query("select 3").query("select 4").quit()
	}
	for _, segment := range []int{1 << 20, 40, 17, 10, 6} {
		pieces := make().split(func() int { return segment }).items
		at := 0
		for i, it := range pieces {
			if it.kind != itemData {
				continue
			}
			// A frame that was cut, or lost, and some behind it.
			for from := range it.b {
				for n, more := len(it.b)-from, i; more < min(i+3, len(pieces)); more++ {
					if more > i {
						n += len(pieces[more].b)
					}
					for _, p := range []pace{atOnce, lockstep} {
						m := newSim(t)
						m.peer.server.nextID = 2 // what is mixed up names another statement
						c := make().split(func() int { return segment }).hole(at+from, n)
						m.play(c, p)
						m.executedPart(c.expect)
						m.over()
						if t.Failed() {
							t.Fatalf("segments of %d, hole of %d at %d", segment, n, at+from)
						}
					}
				}
			}
			at += len(it.b)
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
			c := newClient().login()
			m.feed(&c.items[0])
			m.settle(time.Second)
			m.call(func(e *Env) { m.sess.Data(e, []byte("\x09\x00\x00\x00\x03sel"), c.read, c.nxt.Add(8)) })
			m.call(func(e *Env) { m.sess.Gap(e, 100, c.nxt.Add(108)) })
			ack := c.read
			if tt.read {
				ack = ack.Add(20)
			}
			m.call(func(e *Env) { m.sess.Data(e, []byte(tt.b), ack, c.nxt.Add(108+len(tt.b))) })
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
	for early := range 5 {
		m := newSim(t)
		m.peer.server.nextID = 40
		c := newClient().login().queries(manySteps)
		first := c.prepare("p1c1 first")
		c.execute(first).close(first)
		from := len(c.items)
		for range 3 {
			id := c.prepare("p1c1 hidden")
			c.execute(id).close(id)
		}
		behind := len(c.items)
		for range 2 { // in which the client shows that it waits for each answer
			id := c.prepare("p1c1 next")
			c.execute(id).execute(id).close(id)
		}
		for range 5 {
			id := c.prepare("p1c1 later")
			c.execute(id).execute(id).close(id)
		}
		c.quit()
		// Production's answers in the hole are lost, and early ones behind it come first.
		var items, seen []item
		for i, it := range c.items {
			switch {
			case it.kind != itemPrepared || i < from:
				items = append(items, it)
			case i < behind:
			case len(seen) < early:
				seen = append(seen, it)
			default:
				items = append(items, it)
			}
		}
		at, n := c.offset(from+1), 0
		for _, it := range c.items[from+1 : behind] {
			if it.kind == itemData {
				n += len(it.b)
			}
		}
		c.items = items
		c.hole(at, n)
		for i := range c.items {
			if c.items[i].kind == itemGap {
				c.items = slices.Insert(c.items, i, seen...)
				break
			}
		}
		m.play(c, lockstep)
		m.executedPart(c.expect)
		m.over()
		later := 0
		for _, e := range m.peer.server.executed {
			if strings.Contains(e, "later") {
				later++
			}
		}
		if later != 20 {
			t.Errorf("%d answers early: %d commands on later statements were executed, want 20: %s\n%s", early, later, m.account(), strings.Join(m.peer.server.executed, "\n"))
		}
	}
}

// TestGapThenPipelining is TestGapEverywhere with a client that has waited for each
// answer, and no longer does when the hole comes.
func TestGapThenPipelining(t *testing.T) {
	make := func(depth int) *client {
		c := newClient().login().queries(manySteps + 1)
		first := c.prepare("p0c0 first")
		c.execute(first)
		for round := range 3 {
			var ids []uint32
			begun := c.nxt
			c.pipeline(func() {
				for i := range depth {
					ids = append(ids, c.prepare(fmt.Sprintf("p0c0 %d of round %d", i, round)))
				}
			})
			for i := range c.items { // production had them all when it answered
				if it := &c.items[i]; it.kind == itemPrepared && it.ack.After(begun) {
					it.ack = c.nxt
				}
			}
			c.pipeline(func() {
				for _, id := range ids {
					c.execute(id)
				}
			})
			c.execute(ids[0]).query("select 1")
		}
		return c.quit()
	}
	for depth := 2; depth <= 4; depth++ {
		items := make(depth).items
		at := 0
		for i, it := range items {
			if i > manySteps && it.kind == itemData {
				for more := i; more < min(i+8, len(items)); more++ {
					if items[more].kind != itemData {
						continue
					}
					n := 0 // as hole counts
					for _, it := range items[i : more+1] {
						n += len(it.b)
					}
					for _, p := range []pace{atOnce, lockstep} {
						m := newSim(t)
						m.peer.server.nextID = 2
						c := make(depth)
						c.hole(at, n)
						m.play(c, p)
						m.executedPart(c.expect)
						m.over()
						if t.Failed() {
							t.Fatalf("depth %d, hole of %d at %d", depth, n, at)
						}
					}
				}
			}
			at += len(it.b)
		}
	}
}
