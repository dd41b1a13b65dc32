package session

import (
	"slices"
	"testing"

	"mrtecopy/internal/mysql"
)

// unseen takes the last captured head of production's back.
func (c *client) unseen() *client {
	for i := len(c.items) - 1; i >= 0; i-- {
		if c.items[i].kind == itemPrepared {
			c.items = slices.Delete(c.items, i, i+1)
			return c
		}
	}
	panic("no head")
}

// early moves the last captured head before the client's command, as where the
// directions are captured on two interfaces.
func (c *client) early() *client {
	n := len(c.items)
	c.items[n-1], c.items[n-2] = c.items[n-2], c.items[n-1]
	if c.items[n-2].kind != itemPrepared || c.items[n-1].kind != itemData {
		panic("not early")
	}
	return c
}

func zlibClient(c *client) *client {
	c.speak(false, mysql.CompressionZlib)
	return c.loginSpeaking()
}

// A refusal that was not captured leaves the ids behind it to be told by their
// numbers.
func TestCompressedRefusal(t *testing.T) {
	run(t, []scenario{
		{
			name: "the first PREPARE fails",
			client: func(c *client) {
				zlibClient(c)
				c.prepare("!nonsense")
				c.unseen()
				for range 3 {
					a := c.prepare("p0c1 a")
					c.execute(a).close(a)
				}
				c.quit()
			},
			account: "answered=11 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "behind a closed one",
			client: func(c *client) {
				zlibClient(c)
				a := c.prepare("p0c1 a")
				c.execute(a).close(a)
				c.prepare("!nonsense")
				c.unseen()
				b := c.prepare("p0c1 b")
				c.execute(b).close(b).quit()
			},
			account: "answered=8 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "behind a reset",
			client: func(c *client) {
				zlibClient(c)
				c.execute(c.prepare("p0c1 a")).reset()
				c.prepare("!nonsense")
				c.unseen()
				b := c.prepare("p0c1 b")
				c.execute(b).quit()
			},
			account: "answered=7 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "behind an open one it is told by its id",
			client: func(c *client) {
				zlibClient(c)
				c.execute(c.prepare("p0c1 a"))
				c.prepare("!nonsense")
				c.unseen()
				b := c.prepare("p0c1 b")
				c.execute(b).quit()
			},
			account: "answered=6 errors=1 session replayed",
			paces:   oneByOne,
		},
	})
}

// Each turn of a shard reads one interface's ring to its end and then the next:
// production's heads can come before the commands.
func TestHeadsBeforeCommands(t *testing.T) {
	run(t, []scenario{
		{
			name: "two statements",
			client: func(c *client) {
				c.nextID = 7
				c.login()
				a := c.prepare("p0c1 a")
				c.early()
				b := c.prepare("p0c1 b")
				c.early()
				c.execute(a).execute(b).quit()
			},
			account: "answered=5 session replayed",
			paces:   oneByOne,
		},
		{
			name: "the first fails",
			client: func(c *client) {
				c.login()
				c.prepare("!nonsense")
				c.early()
				b := c.prepare("p0c1 b")
				c.execute(b).quit()
			},
			account: "answered=4 errors=1 session replayed",
			paces:   oneByOne,
		},
	})
}

// A client that pipelines two queries behind its login, as Connector/J does, and
// waits for each answer from then on.
func TestPipelinedOnce(t *testing.T) {
	run(t, []scenario{{
		name: "then the first PREPARE fails",
		client: func(c *client) {
			c.login().pipeline(func() { c.queries(2) })
			c.prepare("!nonsense")
			for range 3 {
				a := c.prepare("p0c1 a")
				c.execute(a).close(a)
			}
			c.quit()
		},
		account: "answered=13 errors=1 session replayed",
		paces:   oneByOne,
	}})
}

// The answer that settled a PREPARE counts once more when the client reads it:
// the command between is no longer owed, and its error is taken for the refusal
// of the next PREPARE.
func TestSettledTwice(t *testing.T) {
	for _, refused := range []string{"", "^"} {
		run(t, []scenario{{
			name: "three commands of a client that pipelines, " + refused,
			client: func(c *client) {
				c.login()
				from := c.prod
				c.piped = true
				c.prepare("p0c0 a")
				c.items = append(c.items, c.later...) // the answer is on its way to the client
				c.later = nil
				c.query("bad")
				c.read = from.Add(16) // that to a, and no more
				p := c.prepare(refused + "p0c0 p")
				c.items = append(c.items, item{kind: itemPrepared, b: refusedHead, at: from.Add(16), ack: c.nxt})
				c.items = append(c.items, c.later...)
				c.later, c.piped, c.read = nil, false, c.prod
				c.execute(p)
				if refused != "" {
					c.forget(1)
				}
				c.quit()
			},
			account: map[string]string{
				"":  "answered=5 errors=1 session replayed",
				"^": "answered=4 skipped.statement_id=1 errors=2 session replayed",
			}[refused],
			paces: oneByOne,
		}})
	}
}
