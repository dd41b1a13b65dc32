package control

import "errors"

// batchSize is how much is received at once: two TLS records. A longer frame has
// the buffer grow, for as long as it is.
const batchSize = 32 << 10

// maxReads is how often Receive reads without finding a message. A record may hold
// one octet of a frame, or what TLS alone understands, and pings may come as fast
// as they are read: the owner has other things to do.
const maxReads = 8

var errFrame = errors.New("impossible frame")

// Receive returns a batch of what has arrived: one or more whole frames, of which
// Next makes messages. It is valid until the next call. nil is the end of what
// there is for now, or of the connection; see Err, and More.
func (c *Conn) Receive() []byte {
	if !c.more {
		c.socket.drained = false
	}
	for reads := 0; c.err == nil; {
		if c.used > 0 { // else a frame that comes octet by octet would be copied each time
			c.n, c.used = copy(c.in, c.in[c.used:c.n]), 0
		}
		s, ok := scanFrames(c.in[:c.n])
		switch {
		case s.messages:
			c.used = s.whole
			return c.in[:c.used]
		case !ok:
			c.Abort(errFrame)
			return nil
		case s.whole > 0: // pings
			c.used = s.whole
			continue
		case reads == maxReads:
			return nil // there is more
		}
		c.makeRoom(s.need)
		reads++
		n, err := c.stream.Read(c.in[c.n:])
		c.n += n
		c.heard = c.heard || n > 0
		if n == 0 && err != nil {
			if c.more = false; !errors.Is(err, wouldBlock{}) {
				c.failed(err)
			}
			return nil
		}
		c.more = true
	}
	return nil
}

// More reports whether there may be more to receive, whatever poll says: Receive
// did not come to the end of what there is.
func (c *Conn) More() bool { return c.more }

// makeRoom has the buffer hold a frame of need octets, of which some are there.
func (c *Conn) makeRoom(need int) {
	size := max(need, batchSize)
	if len(c.in) == size || len(c.in) > size && c.n > 0 {
		return
	}
	in := make([]byte, size)
	copy(in, c.in[:c.n])
	c.in = in
}
