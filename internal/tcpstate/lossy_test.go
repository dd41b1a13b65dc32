package tcpstate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// Whatever the link loses, repeats and reorders, all data arrives in order and
// both ends close, with SACK and without.
func TestEverythingArrivesOverALossyLink(t *testing.T) {
	links := []link{
		{loss: 0.01}, {loss: 0.05}, {loss: 0.2},
		{reorder: 0.1}, {repeat: 0.2}, {loss: 0.03, repeat: 0.05, reorder: 0.1},
	}
	for seed := range uint64(40) {
		for i := range links {
			for _, noSACK := range []bool{false, true} {
				l := links[i]
				t.Run(fmt.Sprintf("seed=%d/loss=%v,repeat=%v,reorder=%v/nosack=%v", seed, l.loss, l.repeat, l.reorder, noSACK), func(t *testing.T) {
					l.rng = rand.New(rand.NewPCG(seed, 9))
					arrives(t, &l, noSACK)
				})
			}
		}
	}
}

func arrives(t *testing.T, l *link, noSACK bool) {
	rng := l.rng
	var pool buffer.Pool
	var c Conn
	p := newPeer(t)
	p.noSACK = noSACK
	now := time.Second
	c.Open(now, testFlow, seq.Num(rng.Uint32()), 1000+rng.IntN(500))
	var want []byte
	for range 1 + rng.IntN(20) {
		data := make([]byte, rng.IntN(20000))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		c.Write(&pool, data)
		want = append(want, data...)
		exchange(&c, p, &pool, &now, l, time.Duration(rng.IntN(300))*ms)
	}
	if rng.IntN(2) == 0 {
		p.wnd = 0 // the window closes for a while
		exchange(&c, p, &pool, &now, l, 20*time.Second)
		p.wnd = 0xffff
	}
	c.Close()
	exchange(&c, p, &pool, &now, l, time.Hour)
	if c.Fate() == TimedOut || c.Fate() == Unreachable {
		if l.loss < 0.2 {
			t.Fatalf("gave up: %v", c.Fate())
		}
		return
	}
	if !bytes.Equal(p.got, want) || !p.finSeen {
		t.Fatalf("the peer has %d of %d octets, FIN %v, state %v, deadline %v at %v", len(p.got), len(want), p.finSeen, c.State(), c.Deadline(), now)
	}
	p.sndNxt = p.sndNxt.Add(1)
	for i := 0; c.Fate() == Alive && i < 100; i++ {
		p.ack()
		p.r.Flags |= wire.FIN
		exchange(&c, p, &pool, &now, l, 3*time.Second)
	}
	if c.Fate() != Done || pool.InUse() != 0 {
		t.Errorf("fate %v, state %v, pool holds %d", c.Fate(), c.State(), pool.InUse())
	}
}
