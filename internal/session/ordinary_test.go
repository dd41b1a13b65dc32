package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
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
		m.peer.server.nextID = uint32(1 + r.IntN(60))
		if r.IntN(2) == 0 {
			m.peer.server.version = "9.7.4"
		}
		c := newClient()
		if r.IntN(2) == 0 {
			c.nextID = uint32(1 + r.IntN(60))
		}
		c.prod = seq.Num(r.Uint32())
		c.read = c.prod
		l := testLogin
		if r.IntN(2) == 0 {
			l.Capabilities &^= mysql.ClientDeprecateEOF
		}
		optional := r.IntN(4) == 0
		if optional {
			c.dialect.Capabilities |= mysql.ClientOptionalResultsetMetadata
			l.Capabilities |= mysql.ClientOptionalResultsetMetadata
		}
		c.loginAs(l)
		var ids []uint32
		var heads []item
		refusedByTarget := map[uint32]bool{}
		skipped := uint64(0)
		head := func() {
			it := &c.items[len(c.items)-1]
			if optional && it.b[4] == 0 {
				b := slices.Concat(it.b[:16], []byte{1}, it.b[16:])
				b[0] = 13
				it.b = b
				c.prod = c.prod.Add(1)
				c.read = c.prod
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
				c.forget(1)
				skipped++
			}
		}
		for n := range 10 + r.IntN(120) {
			if len(heads) > 0 && r.IntN(6) == 0 { // repeated
				h := heads[r.IntN(len(heads))]
				if r.IntN(2) == 0 {
					h.ack = c.nxt
				}
				c.items = append(c.items, h)
			}
			switch k := r.IntN(24); {
			case k < 4:
				c.command(mysql.ComQuery, fmt.Sprintf("select %d", n), 11+r.IntN(100000))
			case k < 6:
				c.command(mysql.ComQuery, "bad", 0)
				c.answered(refusedHead, 20)
				heads = append(heads, c.items[len(c.items)-1])
			case k < 7:
				c.nextID += uint32(r.IntN(3)) // SQL PREPARE
				c.query("select 'PREPARE'")
			case k < 11:
				ids = append(ids, c.prepare(fmt.Sprintf("p%dc%d number %d", r.IntN(3), r.IntN(300)%256, n)))
				head()
			case k < 13:
				c.prepare(fmt.Sprintf("%c%d", "!~"[r.IntN(2)], n))
				head()
			case k < 14:
				id := c.prepare(fmt.Sprintf("^p0c0 %d", n))
				head()
				ids = append(ids, id)
				refusedByTarget[id] = true
			case k < 18:
				use(func(id uint32) { c.execute(id) })
			case k < 19:
				use(func(id uint32) { c.statement(mysql.ComStmtSendLongData, id, "\x00\x00x") })
			case k < 21:
				if len(ids) > 0 {
					i := r.IntN(len(ids))
					id := ids[i]
					c.close(id)
					if refusedByTarget[id] {
						c.forget(1)
						skipped++
					}
					ids = slices.Delete(ids, i, i+1)
				}
			case k < 22:
				c.reset()
				ids = nil
			case k < 23 && r.IntN(4) == 0:
				c.changeUser("other", "")
				ids = nil
			default:
				c.command(mysql.ComStatistics, "", 30)
			}
		}
		c.quit()
		if limit := []int{1 << 20, 200, 20, 3}[r.IntN(4)]; limit < 1<<20 {
			c.split(func() int { return 1 + r.IntN(limit) })
		}
		p := []pace{atOnce, lockstep, func() int { return 1 }, func() int { return r.IntN(6) - 1 }}[r.IntN(4)]
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			m.tb = t
			m.play(c, p)
			m.executed(c.expect)
			k := m.env.Counts.Commands
			if k.Lost.Total() > 0 || k.Skipped.Total() != skipped || k.Answered != c.commands-skipped {
				t.Errorf("%d commands, %d skipped, but the account is %s", c.commands, skipped, m.account())
			}
			m.over()
		})
	}
}
