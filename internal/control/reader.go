package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	// batchSize is the size of a batch's buffer: two TLS records. One that must
	// hold a longer frame is larger, and is not kept.
	batchSize = 32 << 10
	// maxBatches is how many batches may be with the receiver.
	maxBatches = 32
)

// A reader cuts the stream into batches.
type reader struct {
	c     *Conn
	buf   []byte // being filled
	n     int    // octets in it
	made  int    // buffers in all
	carry []byte // the beginning of a frame whose end was not in the batch
}

// read runs until the connection ends.
func (c *Conn) read() {
	defer c.deliver(c, nil)
	r := reader{c: c}
	err := r.run()
	switch {
	case isClosed(c.closing):
		// The receiver wants no more. Reading on to the peer's end keeps TCP
		// from resetting the connection, which would lose what was just sent.
		_, _ = io.Copy(io.Discard, c.stream)
		c.end(net.ErrClosed)
		return
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("closed by the other side: %w", io.EOF)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("nothing heard for %v: %w", deadAfter, os.ErrDeadlineExceeded)
	}
	c.Abort(err)
}

// run returns when nothing more can be read or is wanted; Conn.err, if set, says
// why better than its error.
func (r *reader) run() error {
	if !r.renew(headerSize) {
		return net.ErrClosed
	}
	for {
		// This fails only where Read will, which knows better why.
		_ = r.c.stream.SetReadDeadline(time.Now().Add(deadAfter))
		n, err := r.c.stream.Read(r.buf[r.n:])
		r.n += n
		if n > 0 && !r.hand() {
			return net.ErrClosed
		}
		if err != nil {
			return err
		}
	}
}

// hand delivers the whole frames in the buffer, and leaves room for more in the
// buffer it leaves. It reports false when the connection must or did end.
func (r *reader) hand() bool {
	s, ok := scanFrames(r.buf[:r.n])
	if !s.messages { // only pings, or nothing whole
		r.n = copy(r.buf, r.buf[s.whole:r.n])
		if ok && s.need <= len(r.buf) {
			return true
		}
		r.carry = append(r.carry[:0], r.buf[:r.n]...)
	} else {
		if isClosed(r.c.closing) {
			return false
		}
		r.carry = append(r.carry[:0], r.buf[s.whole:r.n]...)
		batch := r.buf[:s.whole]
		r.buf = nil
		r.c.deliver(r.c, batch)
	}
	if !ok {
		r.c.Abort(errFrame)
		return false
	}
	return r.renew(s.need)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var errFrame = errors.New("impossible frame")

// renew begins a new buffer, in which a frame of need octets has room, with what
// was carried over.
func (r *reader) renew(need int) bool {
	if r.buf == nil && !r.get() {
		return false
	}
	if need > len(r.buf) {
		r.buf = make([]byte, need)
	}
	r.n = copy(r.buf, r.carry)
	return true
}

// get gets a buffer, from the receiver if it has too many.
func (r *reader) get() bool {
	select {
	case r.buf = <-r.c.spare:
	default:
		if r.made < maxBatches {
			r.made++
			break
		}
		select {
		case r.buf = <-r.c.spare:
		case <-r.c.closing:
			return false
		case <-r.c.done:
			return false
		}
	}
	if r.buf == nil {
		r.buf = make([]byte, batchSize)
	}
	return true
}

// Release gives a delivered batch back: the slice as it was, once.
func (c *Conn) Release(batch []byte) {
	if batch = batch[:cap(batch)]; len(batch) != batchSize {
		batch = nil // a longer one, or not the slice as it was: a new one is made
	}
	select {
	case c.spare <- batch:
	default: // released twice
	}
}
