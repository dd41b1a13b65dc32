package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	// MaxPending bounds what was sent and not written, in octets.
	MaxPending = 32 << 20
	// maxWrite bounds one write: the peer has deadAfter to take that much.
	maxWrite = 256 << 10
	// maxKeptBuffer is the size above which a buffer is not used again.
	maxKeptBuffer = 1 << 20
)

var errPending = fmt.Errorf("the other side does not keep up: %d octets wait to be written", MaxPending)

// Send sends b, which holds whole messages and may be used again when it
// returns. It never blocks. When too much waits to be written the connection
// ends. The error is Err's, or net.ErrClosed after Close.
func (c *Conn) Send(b []byte) error {
	c.mu.Lock()
	switch {
	case c.err != nil:
		defer c.mu.Unlock()
		return c.err
	case c.closed:
		c.mu.Unlock()
		return net.ErrClosed
	case len(c.pending)+c.writing+len(b) > MaxPending:
		c.mu.Unlock()
		c.Abort(errPending)
		return c.Err()
	}
	wake := len(c.pending) == 0
	c.pending = append(c.pending, b...)
	c.mu.Unlock()
	if wake {
		select {
		case c.kick <- struct{}{}:
		default:
		}
	}
	return nil
}

// Pending returns the octets that wait to be written.
func (c *Conn) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) + c.writing
}

// take exchanges the writer's buffer, which has been written, for what is
// pending.
func (c *Conn) take(written []byte) []byte {
	if cap(written) > maxKeptBuffer {
		written = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.pending
	c.pending, c.writing = written[:0], len(b)
	return b
}

// wrote says that what take returned is not waiting any more.
func (c *Conn) wrote() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = 0
}

// write runs until the connection ends.
func (c *Conn) write() {
	silence := time.NewTicker(pingEvery)
	defer silence.Stop()
	var b []byte
	for last := false; !last; {
		quiet := false
		select {
		case <-c.done:
			return
		case <-c.kick:
		case <-silence.C:
			quiet = true
		case <-c.closing:
			last = true
		}
		if b = c.take(b); len(b) == 0 && quiet {
			b = append(b, ping[:]...)
		}
		if err := c.writeAll(b); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = fmt.Errorf("the other side took nothing for %v: %w", deadAfter, os.ErrDeadlineExceeded)
			}
			c.Abort(err)
			return
		}
		c.wrote()
	}
	if err := c.stream.CloseWrite(); err != nil {
		c.Abort(err)
	}
}

func (c *Conn) writeAll(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxWrite)
		_ = c.stream.SetWriteDeadline(time.Now().Add(deadAfter)) // fails only where Write will
		if _, err := c.stream.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
