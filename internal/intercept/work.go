package intercept

import (
	"mrtecopy/internal/buffer"
	"mrtecopy/internal/mysql"
)

// A work is what the receivers of one goroutine share: storage, its bound, and
// scratch space. A call of a receiver adds to heads, which the caller takes out
// with takeHeads.
type work struct {
	pool   buffer.Pool
	limit  int // octets of storage all receivers together may hold
	free   []*backlog
	events []mysql.Event
	heads  []head
	bytes  []byte // the payloads of heads

	refused uint64 // segments not accepted for want of room
}

// A head is a packet of the target that mrtecopy needs to see.
type head struct {
	kind     uint8
	sequence uint8
	payload  []byte
}

// addHead copies payload: the octets it lies in may be given back before the
// head is taken.
func (w *work) addHead(kind, sequence uint8, payload []byte) {
	at := len(w.bytes)
	w.bytes = append(w.bytes, payload...)
	w.heads = append(w.heads, head{kind, sequence, w.bytes[at:]})
}

// takeHeads returns the heads added since the last call. They hold until the
// next head is added.
func (w *work) takeHeads() []head {
	h := w.heads
	w.heads, w.bytes = w.heads[:0], w.bytes[:0]
	return h
}

// get returns an empty backlog.
func (w *work) get() *backlog {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	return new(backlog)
}

// put takes back b, which is empty.
func (w *work) put(b *backlog) {
	const keep = 1024
	if len(w.free) < keep {
		*b = backlog{pieces: b.pieces[:0:min(cap(b.pieces), 64)]}
		w.free = append(w.free, b)
	}
}

// room reports whether b may take n octets more.
func (w *work) room(b *backlog, n int) bool {
	if b.size+n > maxHeld || w.pool.InUse()+n > w.limit {
		w.refused++
		return false
	}
	return true
}
