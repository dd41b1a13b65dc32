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
	free  [maxShift - minShift + 1][]*storage
	kept  int // octets of storage in free
	inUse int // octets of storage handed out
}

// InUse returns the octets of storage handed out and not returned.
func (p *Pool) InUse() int { return p.inUse }

// get returns empty storage for n octets at least.
func (p *Pool) get(n int) *storage {
	shift := max(bits.Len(uint(n-1)), minShift)
	size := 1 << shift
	p.inUse += size
	if shift <= maxShift {
		list := &p.free[shift-minShift]
		if k := len(*list); k > 0 {
			s := (*list)[k-1]
			(*list)[k-1] = nil
			*list = (*list)[:k-1]
			p.kept -= size
			return s
		}
	}
	return &storage{b: make([]byte, 0, size)}
}

// put takes back s, which get returned. Storage beyond the pool's share goes to
// the garbage collector.
func (p *Pool) put(s *storage) {
	size := cap(s.b)
	p.inUse -= size
	shift := bits.Len(uint(size - 1))
	if shift > maxShift || p.kept+size > maxKept {
		return
	}
	s.b, s.head = s.b[:0], 0
	p.kept += size
	list := &p.free[shift-minShift]
	*list = append(*list, s)
}

// A Buffer is a queue of octets. The zero value is an empty one, which holds no
// storage, and takes no more than a pointer: most are empty most of the time.
type Buffer struct {
	s *storage // nil: the queue is empty
}

type storage struct {
	b    []byte // b[head:] are the octets
	head int
}

// Len returns the number of octets in the queue.
func (q *Buffer) Len() int {
	if q.s == nil {
		return 0
	}
	return len(q.s.b) - q.s.head
}

// Cap returns the octets of storage the queue holds.
func (q *Buffer) Cap() int {
	if q.s == nil {
		return 0
	}
	return cap(q.s.b)
}

// Bytes returns the octets, valid until the next call of Append or Discard.
func (q *Buffer) Bytes() []byte {
	if q.s == nil {
		return nil
	}
	return q.s.b[q.s.head:]
}

// Append puts data behind the octets in the queue.
func (q *Buffer) Append(p *Pool, data []byte) {
	if len(data) == 0 {
		return
	}
	s, n := q.s, q.Len()
	switch {
	case s == nil:
		s = p.get(len(data))
	case len(s.b)+len(data) <= cap(s.b):
	case n+len(data) <= cap(s.b) && s.head >= n:
		// At least as much was taken out as moves: the copy is paid for.
		s.b = s.b[:copy(s.b, s.b[s.head:])]
		s.head = 0
	default:
		s = p.get(n + len(data))
		s.b = append(s.b, q.Bytes()...)
		p.put(q.s)
	}
	s.b = append(s.b, data...)
	q.s = s
}

// Discard takes the first n octets out. An empty queue gives its storage back.
func (q *Buffer) Discard(p *Pool, n int) {
	if n > q.Len() {
		panic("buffer: discard of more than is there")
	}
	if q.s == nil {
		return
	}
	if q.s.head += n; q.s.head == len(q.s.b) {
		p.put(q.s)
		q.s = nil
	}
}

// Truncate takes octets out at the end, so that n are left.
func (q *Buffer) Truncate(p *Pool, n int) {
	if n > q.Len() {
		panic("buffer: truncate to more than is there")
	}
	if q.s == nil {
		return
	}
	q.s.b = q.s.b[:q.s.head+n]
	q.Discard(p, 0)
}

// Forget takes q's storage out of the pool's account and leaves it to the
// garbage collector, for octets that are still being read. q is empty then.
func (p *Pool) Forget(q *Buffer) {
	p.inUse -= q.Cap()
	*q = Buffer{}
}
