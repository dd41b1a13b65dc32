// Package buffer holds octet queues whose storage comes from a pool that one
// goroutine owns, so that thousands of mostly idle connections share a little
// memory, and that memory is counted.
//
// Nothing here locks: a Pool and the Buffers fed from it belong to one shard.
package buffer

import "math/bits"

const (
	minShift = 9  // the smallest piece of storage: 512 octets
	maxShift = 26 // the largest that is kept for reuse by class: 64 MiB
	maxKept  = 8 << 20
)

// A Pool hands out storage in powers of two and takes it back.
type Pool struct {
	free  [maxShift - minShift + 1][][]byte
	kept  int // octets of storage in free
	inUse int // octets of storage handed out
}

// InUse returns the octets of storage handed out and not returned.
func (p *Pool) InUse() int { return p.inUse }

// get returns empty storage for n octets at least.
func (p *Pool) get(n int) []byte {
	shift := max(bits.Len(uint(n-1)), minShift)
	size := 1 << shift
	p.inUse += size
	if shift <= maxShift {
		list := &p.free[shift-minShift]
		if k := len(*list); k > 0 {
			b := (*list)[k-1]
			(*list)[k-1] = nil
			*list = (*list)[:k-1]
			p.kept -= size
			return b
		}
	}
	return make([]byte, 0, size)
}

// put takes back b, which get returned. Storage beyond the pool's share goes to
// the garbage collector.
func (p *Pool) put(b []byte) {
	size := cap(b)
	p.inUse -= size
	shift := bits.Len(uint(size - 1))
	if shift > maxShift || p.kept+size > maxKept {
		return
	}
	p.kept += size
	list := &p.free[shift-minShift]
	*list = append(*list, b[:0])
}

// A Buffer is a queue of octets. The zero value is an empty one, which holds no
// storage.
type Buffer struct {
	b    []byte // b[head:] are the octets
	head int
}

// Len returns the number of octets in the queue.
func (q *Buffer) Len() int { return len(q.b) - q.head }

// Cap returns the octets of storage the queue holds.
func (q *Buffer) Cap() int { return cap(q.b) }

// Bytes returns the octets, valid until the next call of Append or Discard.
func (q *Buffer) Bytes() []byte { return q.b[q.head:] }

// Append puts data behind the octets in the queue.
func (q *Buffer) Append(p *Pool, data []byte) {
	if len(data) == 0 {
		return
	}
	n := q.Len()
	switch {
	case len(q.b)+len(data) <= cap(q.b):
	case n+len(data) <= cap(q.b) && q.head >= n:
		// At least as much was taken out as moves: the copy is paid for.
		q.b = q.b[:copy(q.b, q.b[q.head:])]
		q.head = 0
	default:
		b := append(p.get(n+len(data)), q.b[q.head:]...)
		if q.b != nil {
			p.put(q.b)
		}
		q.b, q.head = b, 0
	}
	q.b = append(q.b, data...)
}

// Discard takes the first n octets out. An empty queue gives its storage back.
func (q *Buffer) Discard(p *Pool, n int) {
	q.head += n
	if q.head > len(q.b) {
		panic("buffer: discard of more than is there")
	}
	if q.head == len(q.b) && q.b != nil {
		p.put(q.b)
		q.b, q.head = nil, 0
	}
}

// Truncate takes octets out at the end, so that n are left.
func (q *Buffer) Truncate(p *Pool, n int) {
	if n > q.Len() {
		panic("buffer: truncate to more than is there")
	}
	q.b = q.b[:q.head+n]
	q.Discard(p, 0)
}

// Forget takes q's storage out of the pool's account and leaves it to the
// garbage collector, for octets that are still being read. q is empty then.
func (p *Pool) Forget(q *Buffer) {
	p.inUse -= cap(q.b)
	*q = Buffer{}
}
