package buffer

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestBufferIsAQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var p Pool
	var q Buffer
	var want []byte
	for range 20000 {
		switch rng.IntN(5) {
		case 0, 1:
			data := make([]byte, rng.IntN(3000))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			q.Append(&p, data)
			want = append(want, data...)
		case 2, 3:
			n := rng.IntN(min(len(want), 4000) + 1)
			q.Discard(&p, n)
			want = want[n:]
		case 4:
			n := len(want) - rng.IntN(min(len(want), 100)+1)
			q.Truncate(&p, n)
			want = want[:n]
		}
		if q.Len() != len(want) || !bytes.Equal(q.Bytes(), want) {
			t.Fatalf("queue holds %d octets, want %d", q.Len(), len(want))
		}
		if q.Len() == 0 && (q.Cap() != 0 || p.InUse() != 0) {
			t.Fatalf("an empty queue holds %d octets of storage, pool counts %d", q.Cap(), p.InUse())
		}
		if p.InUse() != q.Cap() {
			t.Fatalf("pool counts %d octets in use, the queue holds %d", p.InUse(), q.Cap())
		}
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	var p Pool
	var q Buffer
	data := make([]byte, 700)
	n := testing.AllocsPerRun(1000, func() {
		q.Append(&p, data)
		q.Append(&p, data)
		q.Discard(&p, 1400)
	})
	if n != 0 {
		t.Errorf("append and discard allocate %v times, want 0", n)
	}
}

func TestPoolKeepsLittle(t *testing.T) {
	var p Pool
	var qs [40]Buffer
	for i := range qs {
		qs[i].Append(&p, make([]byte, 1<<20))
	}
	for i := range qs {
		qs[i].Discard(&p, qs[i].Len())
	}
	if p.InUse() != 0 || p.kept > maxKept {
		t.Errorf("in use %d, kept %d of at most %d", p.InUse(), p.kept, maxKept)
	}
}
