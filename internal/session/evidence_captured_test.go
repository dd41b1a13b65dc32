package session

import (
	"slices"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// unseen takes the last captured head of production's back.
func unseen(c *simulation.Client) *simulation.Client {
	for i := len(c.Items) - 1; i >= 0; i-- {
		if c.Items[i].Kind == simulation.ItemPrepared {
			c.Items = slices.Delete(c.Items, i, i+1)
			return c
		}
	}
	panic("no head")
}

// early moves the last captured head before the client's command, as where the
// directions are captured on two interfaces.
func early(c *simulation.Client) *simulation.Client {
	n := len(c.Items)
	c.Items[n-1], c.Items[n-2] = c.Items[n-2], c.Items[n-1]
	if c.Items[n-2].Kind != simulation.ItemPrepared || c.Items[n-1].Kind != simulation.ItemData {
		panic("not early")
	}
	return c
}

func zlibClient(c *simulation.Client) *simulation.Client {
	c.Speak(false, mysql.CompressionZlib)
	return c.LoginSpeaking()
}

// A refusal that was not captured leaves the ids behind it to be told by their
// numbers.
func TestCompressedRefusal(t *testing.T) {
	run(t, []scenario{
		{
			name: "the first PREPARE fails",
			client: func(c *simulation.Client) {
				zlibClient(c)
				c.Prepare("!nonsense")
				unseen(c)
				for range 3 {
					a := c.Prepare("p0c1 a")
					c.Execute(a).Close(a)
				}
				c.Quit()
			},
			account: "answered=11 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "behind a closed one",
			client: func(c *simulation.Client) {
				zlibClient(c)
				a := c.Prepare("p0c1 a")
				c.Execute(a).Close(a)
				c.Prepare("!nonsense")
				unseen(c)
				b := c.Prepare("p0c1 b")
				c.Execute(b).Close(b).Quit()
			},
			account: "answered=8 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "behind a reset",
			client: func(c *simulation.Client) {
				zlibClient(c)
				c.Execute(c.Prepare("p0c1 a")).Reset()
				c.Prepare("!nonsense")
				unseen(c)
				b := c.Prepare("p0c1 b")
				c.Execute(b).Quit()
			},
			account: "answered=7 errors=1 session replayed",
			paces:   oneByOne,
		},
		{
			name: "behind an open one it is told by its id",
			client: func(c *simulation.Client) {
				zlibClient(c)
				c.Execute(c.Prepare("p0c1 a"))
				c.Prepare("!nonsense")
				unseen(c)
				b := c.Prepare("p0c1 b")
				c.Execute(b).Quit()
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
			client: func(c *simulation.Client) {
				c.NextID = 7
				c.Login()
				a := c.Prepare("p0c1 a")
				early(c)
				b := c.Prepare("p0c1 b")
				early(c)
				c.Execute(a).Execute(b).Quit()
			},
			account: "answered=5 session replayed",
			paces:   oneByOne,
		},
		{
			name: "the first fails",
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("!nonsense")
				early(c)
				b := c.Prepare("p0c1 b")
				c.Execute(b).Quit()
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
		client: func(c *simulation.Client) {
			c.Login().Pipeline(func() { c.Queries(2) })
			c.Prepare("!nonsense")
			for range 3 {
				a := c.Prepare("p0c1 a")
				c.Execute(a).Close(a)
			}
			c.Quit()
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
			client: func(c *simulation.Client) {
				c.Login()
				from := c.Prod
				c.Piped = true
				c.Prepare("p0c0 a")
				c.Items = append(c.Items, c.Later...) // the answer is on its way to the client
				c.Later = nil
				c.Query("bad")
				c.Read = from.Add(16) // that to a, and no more
				p := c.Prepare(refused + "p0c0 p")
				c.Items = append(c.Items, simulation.Item{Kind: simulation.ItemPrepared, B: simulation.RefusedHead, At: from.Add(16), Ack: c.Nxt})
				c.Items = append(c.Items, c.Later...)
				c.Later, c.Piped, c.Read = nil, false, c.Prod
				c.Execute(p)
				if refused != "" {
					c.Forget(1)
				}
				c.Quit()
			},
			account: map[string]string{
				"":  "answered=5 errors=1 session replayed",
				"^": "answered=4 skipped.statement_id=1 errors=2 session replayed",
			}[refused],
			paces: oneByOne,
		}})
	}
}
