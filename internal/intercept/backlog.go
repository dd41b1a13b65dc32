package intercept

import (
	"math/bits"
	"slices"
	"sort"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

const (
	// maxHeld is how much one connection may hold, in octets of storage. What
	// exceeds it is not accepted; the target sends it again.
	maxHeld = 1 << 20
	// maxPieces bounds the work of finding a piece's place.
	maxPieces = 2048
)

// A backlog is what a receiver holds and has not framed: the rest, which begins
// at RCV.NXT, and pieces beyond a hole. Few connections have one at a time.
type backlog struct {
	rest   buffer.Buffer // from RCV.NXT on
	since  time.Duration // when rest last grew or was framed
	pieces []piece       // beyond rest, in order, apart or adjacent, never overlapping
	last   time.Duration // when the last piece came
	size   int           // octets of storage in rest and pieces
	fin    seq.Num       // the sequence number of the target's FIN, with hasFIN
	hasFIN bool
	nheld  uint8
	at     int           // index in work.lent
	held   [3]wire.Block // blocks of pieces, the most recent first (RFC 2018, section 4)
}

// A piece is data received out of order.
type piece struct {
	start, end seq.Num
	data       buffer.Buffer
}

// empty reports whether b holds nothing worth keeping.
func (b *backlog) empty() bool {
	return b.rest.Len() == 0 && len(b.pieces) == 0 && !b.hasFIN
}

func (b *backlog) reset(w *work) {
	b.dropRest(w)
	b.dropPieces(w)
	b.hasFIN = false
}

func (b *backlog) dropRest(w *work) {
	b.size -= b.rest.Cap()
	b.rest.Discard(&w.pool, b.rest.Len())
}

func (b *backlog) dropPieces(w *work) {
	for i := range b.pieces {
		b.free(w, &b.pieces[i])
	}
	b.pieces = b.pieces[:0]
	b.nheld = 0
}

// storage is what the pool hands out for n octets.
func storage(n int) int { return max(512, 1<<bits.Len(uint(n-1))) }

func (b *backlog) free(w *work, p *piece) {
	b.size -= p.data.Cap()
	p.data.Discard(&w.pool, p.data.Len())
	*p = piece{}
}

// truncateRest drops what of the rest is not acknowledged.
func (b *backlog) truncateRest(w *work) {
	if b.rest.Len() > maxBegun {
		before := b.rest.Cap()
		b.rest.Truncate(&w.pool, maxBegun)
		b.size += b.rest.Cap() - before
	}
}

// keep makes data the rest, whether there is room or not.
func (b *backlog) keep(data []byte, w *work) {
	b.rest.Append(&w.pool, data)
	b.size += b.rest.Cap()
}

// hold appends data to the rest, as far as there is room, and returns how much
// it took.
func (b *backlog) hold(now time.Duration, data []byte, w *work) int {
	before := b.rest.Cap()
	if n := len(data); n > before-b.rest.Len() && !w.room(b, storage(b.rest.Len()+n)) {
		return 0
	}
	b.rest.Append(&w.pool, data)
	b.size += b.rest.Cap() - before
	b.since = now
	return len(data)
}

// discard takes n framed octets out of the rest.
func (b *backlog) discard(now time.Duration, n int, w *work) {
	before := b.rest.Cap()
	b.rest.Discard(&w.pool, n)
	b.size += b.rest.Cap() - before
	b.since = now
}

// has reports whether the pieces cover [start, end).
func (b *backlog) has(start, end seq.Num) bool {
	for i := b.find(start); i < len(b.pieces) && !b.pieces[i].start.After(start); i++ {
		if start = b.pieces[i].end; !start.Before(end) {
			return true
		}
	}
	return false
}

// find returns the first piece that ends behind s.
func (b *backlog) find(s seq.Num) int {
	return sort.Search(len(b.pieces), func(i int) bool { return b.pieces[i].end.After(s) })
}

// insert keeps data, which begins at start, beyond a hole.
func (b *backlog) insert(now time.Duration, start seq.Num, data []byte, w *work) {
	b.last = now
	at := start
	i := b.find(at)
	for len(data) > 0 {
		n := len(data)
		if i < len(b.pieces) {
			if d := b.pieces[i].start.To(at); d >= 0 { // the beginning of data is there
				n = min(n, at.To(b.pieces[i].end))
				at, data = at.Add(n), data[n:]
				i++
				continue
			}
			n = min(n, at.To(b.pieces[i].start))
		}
		if len(b.pieces) >= maxPieces || !w.room(b, storage(n)) {
			break
		}
		p := piece{start: at, end: at.Add(n)}
		p.data.Append(&w.pool, data[:n])
		b.size += p.data.Cap()
		b.pieces = slices.Insert(b.pieces, i, p)
		at, data = at.Add(n), data[n:]
		i++
	}
	if start != at {
		b.mark(start)
	}
}

// mark puts the block that contains s at the front of the SACK blocks (RFC 2018,
// section 4: the first block names what the latest segment brought).
func (b *backlog) mark(s seq.Num) {
	i := b.find(s)
	lo, hi := i, i
	for lo > 0 && b.pieces[lo-1].end == b.pieces[lo].start {
		lo--
	}
	for hi+1 < len(b.pieces) && b.pieces[hi].end == b.pieces[hi+1].start {
		hi++
	}
	blocks := [3]wire.Block{{Start: b.pieces[lo].start, End: b.pieces[hi].end}}
	n := uint8(1)
	for _, o := range b.held[:b.nheld] {
		if n < 3 && (o.End.Before(blocks[0].Start) || o.Start.After(blocks[0].End)) {
			blocks[n] = o
			n++
		}
	}
	b.held, b.nheld = blocks, n
}

// unmark drops SACK blocks that RCV.NXT, or the rest behind it, has reached.
func (b *backlog) unmark(received seq.Num) {
	n := uint8(0)
	for _, o := range b.held[:b.nheld] {
		if o.Start.After(received) {
			b.held[n] = o
			n++
		}
	}
	b.nheld = n
}
