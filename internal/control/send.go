package control

import "fmt"

const (
	// MaxPending bounds what was sent and not written, in octets.
	MaxPending = 32 << 20
	// maxWrite is how much is encrypted ahead of what the kernel takes.
	maxWrite = 256 << 10
	// maxKeptBuffer is the size above which a buffer is not used again.
	maxKeptBuffer = 1 << 20
)

var errPending = fmt.Errorf("the other side does not keep up: %d octets wait to be written", MaxPending)

// Send sends b, which holds whole messages and may be used again when it
// returns. It never blocks: what the kernel does not take waits for Flush. When too
// much waits the connection ends. The error is Err's, or net.ErrClosed after Close.
func (c *Conn) Send(b []byte) error {
	if c.err != nil {
		return c.err
	}
	if c.Pending()+len(b) > MaxPending {
		c.Abort(errPending)
		return c.err
	}
	c.said = true
	if c.Pending() == 0 {
		b = c.write(b)
	}
	c.pending.add(b)
	c.flush()
	return c.err
}

// Pending returns the octets that wait to be written.
func (c *Conn) Pending() int { return c.pending.size() + c.socket.out.size() }

// Flush writes on, to be called when the descriptor is writable.
func (c *Conn) Flush() {
	if c.err == nil {
		c.flush()
	}
}

// flush writes what there is, as far as the kernel takes it.
func (c *Conn) flush() {
	for c.err == nil {
		took, err := c.socket.flush()
		if c.took = c.took || took; err != nil {
			c.failed(err)
			return
		}
		rest := c.pending.octets()
		if c.socket.out.size() > 0 || len(rest) == 0 {
			return
		}
		if left := c.write(rest); c.err == nil {
			c.pending.take(len(rest) - len(left))
		}
	}
}

// write hands the first octets of b to the stream, which encrypts them, and returns
// the others.
func (c *Conn) write(b []byte) (rest []byte) {
	n := min(len(b), maxWrite)
	if _, err := c.stream.Write(b[:n]); err != nil {
		c.failed(err)
		return nil
	}
	return b[n:]
}

// A queue holds octets that are to be written.
type queue struct {
	b     []byte
	taken int // of b
}

func (q *queue) octets() []byte { return q.b[q.taken:] }
func (q *queue) size() int      { return len(q.b) - q.taken }
func (q *queue) add(b []byte)   { q.b = append(q.b, b...) }

// take takes the first n octets out. The rest is moved to the beginning not for
// each of them, but for an eighth of it: a peer may take little at a time.
func (q *queue) take(n int) {
	q.taken += n
	switch left := q.size(); {
	case left == 0 && cap(q.b) > maxKeptBuffer:
		*q = queue{}
	case q.taken >= left/8:
		q.b, q.taken = q.b[:copy(q.b, q.octets())], 0
	}
}
