package intercept

import (
	"cmp"
	"slices"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/mysql"
)

// A work is what the receivers of one goroutine share: storage, its bound, and
// scratch space. A call of a receiver adds to heads, which the caller takes out
// with takeHeads.
type work struct {
	pool   buffer.Pool
	limit  int // octets all receivers together may hold
	kinds  int // octets of what is expected on all connections
	free   []*backlog
	lent   []*backlog
	sorted []*backlog // scratch space of shed
	events []mysql.Event
	heads  []head
	bytes  []byte // the payloads of heads

	refused uint64 // segments not accepted for want of room
	shed    uint64 // connections of which what they held was dropped
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

// get lends an empty backlog.
func (w *work) get() *backlog {
	var b *backlog
	if n := len(w.free); n > 0 {
		b = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		b = new(backlog)
	}
	b.at = len(w.lent)
	w.lent = append(w.lent, b)
	return b
}

// put takes back b, which is empty.
func (w *work) put(b *backlog) {
	last := len(w.lent) - 1
	w.lent[b.at] = w.lent[last]
	w.lent[b.at].at = b.at
	w.lent[last] = nil
	w.lent = w.lent[:last]
	const keep = 1024
	if len(w.free) < keep {
		*b = backlog{pieces: b.pieces[:0:min(cap(b.pieces), 64)]}
		w.free = append(w.free, b)
	}
}

// held returns the octets that all receivers hold.
func (w *work) held() int { return w.pool.InUse() + w.kinds }

// room reports whether b may take n octets more. Where all hold too much, those
// that hold most make room for it.
func (w *work) room(b *backlog, n int) bool {
	if b.size+n <= maxHeld && w.held()+n > w.limit {
		w.makeRoom(b.size+n, n)
	}
	if b.size+n > maxHeld || w.held()+n > w.limit {
		w.refused++
		return false
	}
	return true
}

// makeRoom drops, for n octets, what the connections hold that have more than
// least, from the one with most on: nothing of it is acknowledged, so the target
// sends it again (RFC 2018, section 8, allows to drop what a SACK named). It
// goes a sixteenth below the limit, so as not to look at all of them each time.
func (w *work) makeRoom(least, n int) {
	for _, b := range w.lent {
		if b.size > least {
			w.sorted = append(w.sorted, b)
		}
	}
	slices.SortFunc(w.sorted, func(a, b *backlog) int { return cmp.Compare(b.size, a.size) })
	for _, b := range w.sorted {
		if w.held()+n <= w.limit-w.limit/16 {
			break
		}
		b.dropPieces(w)
		b.truncateRest(w)
		w.shed++
	}
	clear(w.sorted)
	w.sorted = w.sorted[:0]
}
