package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pingEvery is how long a side says nothing before it says so.
	pingEvery = 5 * time.Second
	// deadAfter is how long the other side may be silent, or not read.
	deadAfter = 15 * time.Second
	// linger is how long Close waits for the other side.
	linger = time.Second
	// tickAtMost is how much time one Tick may count: its owner was stopped for
	// the rest, and could not hear the other side.
	tickAtMost = 2 * time.Second
)

// A Conn is a control connection, of either side, after its handshake. It has no
// goroutine: the one that owns it polls FD for Events, calls Receive when it is
// readable, Send with what there is to say, and Tick once a second. None of them
// blocks. Who owns it may change; Done alone may be used by others.
//
// When the connection ends, for whatever reason, Err says why, and Done is closed.
type Conn struct {
	socket *socket
	stream stream // socket, or TLS over it
	peer   string // what to call the other side in errors
	remote netip.AddrPort
	hello  Hello

	in   []byte // what was received
	n    int    // octets in it
	used int    // of which the last batch

	more    bool  // there may be something to receive that poll does not tell
	pending queue // sent, and not written

	heard, said, took bool // since the last Tick: from the peer; to it; by it
	ticked            time.Duration
	silent            time.Duration // for how long nothing was heard,
	quiet             time.Duration // said,
	stuck             time.Duration // or taken of what there is

	err  error
	done chan struct{} // closed with err
}

// newConn returns the connection over s, at whose bottom is the socket.
func newConn(socket *socket, s stream, peer string, hello Hello) (*Conn, error) {
	c := &Conn{socket: socket, stream: s, peer: peer, remote: addrPort(socket.RemoteAddr()), hello: hello, done: make(chan struct{})}
	c.more = true // TLS may have read more than the handshake
	if err := socket.detach(); err != nil {
		return nil, fmt.Errorf("control connection with %s: %w", peer, err)
	}
	return c, nil
}

// Hello returns what the client said.
func (c *Conn) Hello() Hello { return c.hello }

// Remote returns the address of the other side.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// FD returns the descriptor to poll; -1 when the connection has ended.
func (c *Conn) FD() int { return c.socket.fd }

// Events returns what to poll it for.
func (c *Conn) Events() int16 {
	if c.socket.out.size() > 0 {
		return unix.POLLIN | unix.POLLOUT
	}
	return unix.POLLIN
}

// Done returns a channel that is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns nil while the connection lives, then why it ended: net.ErrClosed
// after Close, an error that wraps io.EOF after the peer's.
func (c *Conn) Err() error { return c.err }

// Abort ends the connection at once: what was not written yet is lost. The
// error, which says why, will be Err's. It does nothing to one that has ended.
func (c *Conn) Abort(err error) { c.end(fmt.Errorf("control connection with %s: %w", c.peer, err)) }

// end is the end, the first time it is called.
func (c *Conn) end(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.pending, c.in, c.n, c.used, c.more = queue{}, nil, 0, 0, false
	_ = c.socket.Close() // under TLS's feet: an alert might block
	close(c.done)
}

// Tick looks whether the other side lives, and tells it that this one does. now is
// any clock's reading; it is to be called once a second, or more often, behind
// Receive.
func (c *Conn) Tick(now time.Duration) {
	if c.err != nil {
		return
	}
	whole := max(now-c.ticked, 0)
	if c.ticked == 0 {
		whole = 0
	}
	c.ticked = now
	d := min(whole, tickAtMost)
	c.silent = passed(c.heard, c.silent, d)
	c.quiet = passed(c.said, c.quiet, whole) // the other side has waited all the time
	c.stuck = passed(c.took || c.socket.out.size() == 0, c.stuck, d)
	c.heard, c.said, c.took = false, false, false
	switch {
	case c.silent >= deadAfter:
		c.Abort(fmt.Errorf("nothing heard for %v", deadAfter))
	case c.stuck >= deadAfter:
		c.Abort(fmt.Errorf("the other side took nothing for %v", deadAfter))
	case c.quiet >= pingEvery:
		_ = c.Send(ping[:]) // an error is the connection's end
	}
}

// passed adds d to how long something did not happen, unless it did.
func passed(did bool, since, d time.Duration) time.Duration {
	if did {
		return 0
	}
	return since + d
}

// Close ends the connection in order: what was sent is written, if the peer takes
// it within a second, for which Close waits. What the peer sends meanwhile is
// dropped.
func (c *Conn) Close() {
	deadline := time.Now().Add(linger)
	for c.err == nil && c.Pending() > 0 && time.Now().Before(deadline) && c.await(unix.POLLOUT, deadline) {
		c.flush()
	}
	if c.err == nil && c.Pending() == 0 {
		c.hangUp(deadline)
	}
	c.end(net.ErrClosed)
}

// hangUp says that nothing more comes, and reads on to the peer's end: else TCP
// would reset the connection, and lose what was just sent.
func (c *Conn) hangUp(deadline time.Time) {
	if err := c.stream.CloseWrite(); err != nil {
		return
	}
	c.flush() // TLS's alert
	var b [4 << 10]byte
	for c.err == nil && time.Now().Before(deadline) { // else who sends on could keep us
		c.socket.drained = false
		_, err := c.stream.Read(b[:])
		if err != nil && (!errors.Is(err, wouldBlock{}) || !c.await(unix.POLLIN, deadline)) {
			return
		}
	}
}

// await waits for events, and reports whether they came before the deadline.
func (c *Conn) await(events int16, deadline time.Time) bool {
	for {
		fds := [1]unix.PollFd{{Fd: int32(c.socket.fd), Events: events}}
		left := unix.NsecToTimespec(int64(max(time.Until(deadline), 0)))
		n, err := unix.Ppoll(fds[:], &left, nil)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// failed ends the connection by what reading or writing failed of.
func (c *Conn) failed(err error) {
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("closed by the other side: %w", io.EOF)
	}
	c.Abort(err)
}
