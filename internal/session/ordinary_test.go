package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/simulation"
)

// TestOrdinaryClients: clients that wait for each answer lose nothing.
func TestOrdinaryClients(t *testing.T) {
	for s := range uint64(600) {
		if t.Failed() {
			return
		}
		r := rand.New(rand.NewPCG(s, 5))
		m := newSim(t)
		m.env.StreamAbove = 64 + r.IntN(8000)
		m.peer.Server.NextID = uint32(1 + r.IntN(60))
		if r.IntN(2) == 0 {
			m.peer.Server.Version = "9.7.4"
		}
		c := simulation.NewClient()
		if r.IntN(2) == 0 {
			c.NextID = uint32(1 + r.IntN(60))
		}
		c.Prod = seq.Num(r.Uint32())
		c.Read = c.Prod
		l := simulation.TestLogin
		if r.IntN(2) == 0 {
			l.Capabilities &^= mysql.ClientDeprecateEOF
		}
		optional := r.IntN(4) == 0
		if optional {
			c.Greeting.Capabilities |= mysql.ClientOptionalResultsetMetadata
			l.Capabilities |= mysql.ClientOptionalResultsetMetadata
		}
		c.LoginAs(l)
		var ids []uint32
		var heads []simulation.Item
		refusedByTarget := map[uint32]bool{}
		skipped := uint64(0)
		head := func() {
			it := &c.Items[len(c.Items)-1]
			if optional && it.B[4] == 0 {
				b := slices.Concat(it.B[:16], []byte{1}, it.B[16:])
				b[0] = 13
				it.B = b
				c.Prod = c.Prod.Add(1)
				c.Read = c.Prod
			}
			heads = append(heads, *it)
		}
		use := func(f func(id uint32)) {
			if len(ids) == 0 {
				return
			}
			id := ids[r.IntN(len(ids))]
			f(id)
			if refusedByTarget[id] {
				c.Forget(1)
				skipped++
			}
		}
		for n := range 10 + r.IntN(120) {
			if len(heads) > 0 && r.IntN(6) == 0 { // repeated
				h := heads[r.IntN(len(heads))]
				if r.IntN(2) == 0 {
					h.Ack = c.Nxt
				}
				c.Items = append(c.Items, h)
			}
			switch k := r.IntN(24); {
			case k < 4:
				c.Command(mysql.ComQuery, fmt.Sprintf("select %d", n), 11+r.IntN(100000))
			case k < 6:
				c.Command(mysql.ComQuery, "bad", 0)
				c.Answered(simulation.RefusedHead, 20)
				heads = append(heads, c.Items[len(c.Items)-1])
			case k < 7:
				c.NextID += uint32(r.IntN(3)) // SQL PREPARE
				c.Query("select 'PREPARE'")
			case k < 11:
				ids = append(ids, c.Prepare(fmt.Sprintf("p%dc%d number %d", r.IntN(3), r.IntN(300)%256, n)))
				head()
			case k < 13:
				c.Prepare(fmt.Sprintf("%c%d", "!~"[r.IntN(2)], n))
				head()
			case k < 14:
				id := c.Prepare(fmt.Sprintf("^p0c0 %d", n))
				head()
				ids = append(ids, id)
				refusedByTarget[id] = true
			case k < 18:
				use(func(id uint32) { c.Execute(id) })
			case k < 19:
				use(func(id uint32) { c.Statement(mysql.ComStmtSendLongData, id, "\x00\x00x") })
			case k < 21:
				if len(ids) > 0 {
					i := r.IntN(len(ids))
					id := ids[i]
					c.Close(id)
					if refusedByTarget[id] {
						c.Forget(1)
						skipped++
					}
					ids = slices.Delete(ids, i, i+1)
				}
			case k < 22:
				c.Reset()
				ids = nil
			case k < 23 && r.IntN(4) == 0:
				c.ChangeUser("other", "")
				ids = nil
			default:
				c.Command(mysql.ComStatistics, "", 30)
			}
		}
		c.Quit()
		if limit := []int{1 << 20, 200, 20, 3}[r.IntN(4)]; limit < 1<<20 {
			c.Split(func() int { return 1 + r.IntN(limit) })
		}
		p := []pace{atOnce, lockstep, func() int { return 1 }, func() int { return r.IntN(6) - 1 }}[r.IntN(4)]
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			m.tb = t
			m.play(c, p)
			m.executed(c.Expect)
			k := m.env.Counts.Commands
			if k.Lost.Total() > 0 || k.Skipped.Total() != skipped || k.Answered != c.Commands-skipped {
				t.Errorf("%d commands, %d skipped, but the account is %s", c.Commands, skipped, m.account())
			}
			m.over()
		})
	}
}
