package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"mrtecopy/internal/mysql"
)

// Habits are what one random client does and another does not.
type Habits struct {
	Resets bool   // it may end the connection by a RST
	Schema string // of its login; "": TestLogin's
	Short  bool   // what it says is seldom longer than a segment
}

// leftOut are statements that the default policy leaves out.
var leftOut = []string{
	"SHUTDOWN", "set global max_connections = 5", "GRANT ALL ON *.* TO somebody", "/* a */ drop user somebody",
	"select 1 into outfile '/tmp/x'", "STOP REPLICA", "flush tables with read lock",
}

// RandomClient makes a client that does what clients do.
func RandomClient(r *rand.Rand, h Habits) *Client {
	c := NewClient()
	if r.IntN(2) == 0 {
		c.NextID = 40 // a cached thread's
	}
	l := TestLogin
	l.Schema = cmp.Or(h.Schema, l.Schema)
	if r.IntN(2) == 0 {
		l.Capabilities &^= mysql.ClientDeprecateEOF
	}
	if r.IntN(2) == 0 {
		l.Capabilities |= mysql.ClientQueryAttributes
	}
	if l.Capabilities.Has(mysql.ClientQueryAttributes) || r.IntN(3) == 0 {
		how := []mysql.Compression{mysql.CompressionNone, mysql.CompressionZlib, mysql.CompressionZstd}[r.IntN(3)]
		c.Speak(l.Capabilities.Has(mysql.ClientQueryAttributes) && r.IntN(3) > 0, how)
		l.Capabilities |= Announce(how)
	}
	c.LoginAs(l)
	if r.IntN(3) == 0 {
		c.LoggedIn = false
		c.Packet(3, make([]byte, 1+r.IntN(256)))
		c.Answer(11)
		c.LoggedIn = true
	}
	// Behind commands that were pipelined, how many answers are owed is known again
	// from the next OK to a PREPARE: until then, none is refused.
	pipelines, owes := r.IntN(2) == 0, false
	var ids []uint32
	settle := func() {
		if owes {
			ids = append(ids, c.Prepare("p0c0 settles"))
			owes = false
		}
	}
	longest := 20_000
	if h.Short {
		longest = 2000
	}
	text := func() string { return strings.Repeat("x", r.IntN([]int{5, 50, 500, longest}[r.IntN(4)])) }
	for n := range 5 + r.IntN(50) {
		c.Pause()
		any := func() uint32 { return ids[r.IntN(len(ids))] }
		switch k := r.IntN(30); {
		case k < 6 || len(ids) == 0 && k < 20:
			c.Query(fmt.Sprintf("select %d %s", n, text()))
		case k < 8 && pipelines:
			owes = true
			c.Pipeline(func() {
				for i := range r.IntN(20) {
					c.Query(fmt.Sprintf("select %d-%d", n, i))
					if len(ids) > 0 && r.IntN(2) == 0 {
						c.Execute(any())
					}
				}
			})
		case k < 9:
			c.Query("bad " + text())
		case k < 10:
			c.Query("insert " + text())
		case k < 13:
			c.Execute(any())
		case k < 14:
			c.bulkOf(any(), 1+r.IntN(30))
		case k < 16:
			c.Statement(mysql.ComStmtSendLongData, any(), "\x00\x00"+text())
		case k < 17:
			c.Statement(mysql.ComStmtFetch, any(), "\x05\x00\x00\x00")
		case k < 19:
			i := r.IntN(len(ids))
			c.Close(ids[i])
			ids = slices.Delete(ids, i, i+1)
		case k < 20:
			c.Statement(mysql.ComStmtReset, any(), "")
		case k < 24:
			ids = append(ids, c.Prepare(fmt.Sprintf("p%dc%d number %d", r.IntN(3), r.IntN(3), n)))
		case k < 25:
			settle()
			c.Prepare(fmt.Sprintf("%c%d", "!~"[r.IntN(2)], n))
		case k < 26:
			c.Reset()
			ids = nil
		case k < 27:
			c.ChangeUser("other", h.Schema)
			ids = nil
		case k < 28:
			chunks := make([]string, 1+r.IntN(20))
			for i := range chunks {
				chunks[i] = "row" + text()
			}
			c.Load(fmt.Sprintf("LOAD DATA LOCAL INFILE '%d'", n), chunks...)
		case k < 29 && pipelines:
			settle()
			c.Pipeline(func() {
				for i := range 2 + r.IntN(4) {
					if r.IntN(4) == 0 {
						c.Prepare(fmt.Sprintf("!%d-%d", n, i))
					} else {
						ids = append(ids, c.Prepare(fmt.Sprintf("p%dc1 number %d-%d", r.IntN(2), n, i)))
					}
				}
			})
		case r.IntN(2) == 0:
			text := leftOut[r.IntN(len(leftOut))]
			if settle(); r.IntN(3) > 0 {
				c.Query(text).LeaveOut()
				continue
			}
			id := c.Prepare(text)
			c.LeaveOut()
			if r.IntN(2) == 0 {
				c.Execute(id).LeaveOut()
			}
			if r.IntN(2) == 0 {
				c.Close(id).LeaveOut()
			}
		default:
			c.Command(mysql.ComStatistics, "", 30)
		}
	}
	switch {
	case r.IntN(3) > 0:
		c.Quit()
	case h.Resets && r.IntN(2) == 0:
		c.Rst()
	default:
		c.Fin()
	}
	return c
}
