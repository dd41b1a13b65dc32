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
	c.pending = append(c.pending, b...)
	c.flush()
	return c.err
}

// Pending returns the octets that wait to be written.
func (c *Conn) Pending() int { return len(c.pending) + len(c.socket.out) }

// Flush writes on, to be called when the descriptor is writable.
func (c *Conn) Flush() {
	if c.err == nil {
		c.flush()
	}
}

// flush writes what there is, as far as the kernel takes it.
func (c *Conn) flush() {
	rest := c.pending
	for c.err == nil {
		took, err := c.socket.flush()
		if c.took = c.took || took; err != nil {
			c.failed(err)
			return
		}
		if len(c.socket.out) > 0 || len(rest) == 0 {
			break
		}
		rest = c.write(rest)
	}
	if c.err == nil {
		c.pending = kept(c.pending, rest)
	}
}

// kept returns rest, the end of b, at b's beginning; nil in place of nothing in a
// large buffer.
func kept(b, rest []byte) []byte {
	if len(rest) == 0 && cap(b) > maxKeptBuffer {
		return nil
	}
	return b[:copy(b, rest)]
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
