package control

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// pingEvery is how long a side says nothing before it says so.
	pingEvery = 5 * time.Second
	// deadAfter is how long the other side may be silent, or not read.
	deadAfter = 15 * time.Second
	// linger is how long Close waits for the other side.
	linger = time.Second
)

// A Conn is a control connection, of either side, after its handshake. Its
// methods may be called from any goroutine.
//
// Once started it has two goroutines of its own: one reads, decrypts and hands
// over batches, one encrypts and writes. When the connection ends, for whatever
// reason, Done is closed, Err says why, and the last delivery is a nil batch.
type Conn struct {
	raw     net.Conn // the TCP connection
	stream  stream   // raw, or TLS over it
	peer    string   // what to call the other side in errors
	hello   Hello
	deliver func(*Conn, []byte)

	spare   chan []byte   // buffers given back; nil stands for one that was not kept
	kick    chan struct{} // there is something to write
	closing chan struct{} // closed by Close
	done    chan struct{} // closed with err
	running sync.WaitGroup

	mu      sync.Mutex
	started bool
	closed  bool   // closing is closed
	pending []byte // not yet with the writer
	writing int    // octets the writer has
	err     error
}

// newConn returns the connection over s, at whose bottom is raw. Only Start
// gives it goroutines.
func newConn(raw net.Conn, s stream, peer string, hello Hello) *Conn {
	return &Conn{
		raw:     raw,
		stream:  s,
		peer:    peer,
		hello:   hello,
		spare:   make(chan []byte, maxBatches),
		kick:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
}

// Start begins to read and write; it is called once. The reader calls deliver
// with each batch: one or more whole frames, of which Next makes messages. The
// batch belongs to the receiver until it gives it back with Release. With
// maxBatches not given back the reader waits, and so in the end does the peer.
//
// deliver must not block and must not call Close. Its last call is with a nil
// batch, after Done was closed, and comes always; it needs no Release.
func (c *Conn) Start(deliver func(c *Conn, batch []byte)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		panic("control: connection started twice")
	}
	c.started = true
	c.deliver = deliver
	c.running.Go(c.read)
	c.running.Go(c.write)
}

// Hello returns what the client said.
func (c *Conn) Hello() Hello { return c.hello }

// Remote returns the address of the other side.
func (c *Conn) Remote() netip.AddrPort { return addrPort(c.raw.RemoteAddr()) }

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Done returns a channel that is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns nil while the connection lives, then why it ended: net.ErrClosed
// after Close, an error that wraps io.EOF after the peer's.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Abort ends the connection at once: what was not written yet is lost. The
// error, which says why, will be Err's. It does nothing to one that has ended.
func (c *Conn) Abort(err error) { c.end(fmt.Errorf("control connection with %s: %w", c.peer, err)) }

// end is the end, the first time it is called.
func (c *Conn) end(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		c.pending = nil
		close(c.done)
	}
	c.mu.Unlock()
	if first {
		_ = c.raw.Close() // under TLS's feet: an alert might block
	}
}

// Close ends the connection in order: what was sent is written, if the peer takes
// it within a second. What the peer sends meanwhile is dropped. Close returns
// when the connection's goroutines have.
func (c *Conn) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
	}
	started := c.started
	c.mu.Unlock()
	if !started {
		c.end(net.ErrClosed)
		return
	}
	t := time.AfterFunc(linger, func() { c.end(net.ErrClosed) })
	c.running.Wait()
	t.Stop()
}
