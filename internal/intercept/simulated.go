package intercept

import (
	"fmt"
	"net/netip"
	"time"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/control"
	"mrtecopy/internal/rawsend"
)

// A Simulated is the engine without sockets and clock: internal/simulation gives
// it frames and messages, and takes what it sends. A turn of it, in the order of
// the engine's loop, is Messages, Frame and EndTurn.
//
// It serves one shard of one mrtecopy.
type Simulated struct {
	e    *engine
	conn *simulatedConn // nil: mrtecopy is away
}

// NewSimulated returns an intercept that has the addresses own, and sends its
// resets by send.
func NewSimulated(c Config, own []netip.Addr, send func(packet []byte)) (*Simulated, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	e := newEngine(c)
	e.addrs.Store(&own)
	e.due.addrs = 1<<63 - 1 // they do not change
	e.resets.open = func(rawsend.Config) (sender, error) { return &simulatedSender{send: send}, nil }
	return &Simulated{e: e}, nil
}

// Connect says that a mrtecopy has connected, and returns what it is welcomed
// with. The connection before, if it has not ended, is replaced.
func (s *Simulated) Connect(now time.Duration, h control.Hello) (control.Welcome, error) {
	s.conn = &simulatedConn{hello: h}
	s.e.connected(now, s.conn)
	return s.e.welcome(h)
}

// Disconnect says that the connection has ended.
func (s *Simulated) Disconnect(now time.Duration) {
	if s.conn != nil {
		s.e.disconnected(now, s.conn)
		s.conn = nil
	}
}

// Messages takes a batch of mrtecopy's.
func (s *Simulated) Messages(now time.Duration, batch []byte) {
	if s.conn != nil && len(batch) > 0 {
		s.e.obey(now, s.conn, batch)
	}
}

// Frame takes a frame that came over an interface.
func (s *Simulated) Frame(now time.Duration, f *capture.Frame, path uint8) { s.e.frame(now, f, path) }

// EndTurn ends the turn. It returns the messages for mrtecopy, and an error if
// the connection was given up.
func (s *Simulated) EndTurn(now time.Duration) ([]byte, error) {
	s.e.keepHouse(now)
	s.e.replyInTime(now)
	if s.conn == nil {
		return nil, nil
	}
	out := s.conn.out
	s.conn.out = nil
	return out, s.conn.err
}

// Wait returns how long from now on the engine may sleep.
func (s *Simulated) Wait(now time.Duration) time.Duration { return s.e.due.wait(s.e, now) }

// Summary returns the counters.
func (s *Simulated) Summary() Summary { return s.e.summary(s.e.start) }

// Check looks whether what the engine holds fits together between two turns, and
// keeps to its bounds.
func (s *Simulated) Check() error {
	e, storage, holding := s.e, 0, make(map[*session]bool)
	for _, o := range e.holding {
		holding[o] = true
	}
	for client, o := range e.sessions {
		switch {
		case o.client != client, o.owner == nil, o.owner.sessions[o.id] != o:
			return fmt.Errorf("%v: the tables of sessions differ", client)
		case o.turn != 0 && s.e.reportAt == 0:
			return fmt.Errorf("%v: a turn was not reported", client)
		case o.back == nil:
			continue
		case !holding[o]:
			return fmt.Errorf("%v: nobody looks after what is held", client)
		case o.back.empty() || o.is(lost):
			return fmt.Errorf("%v: a backlog is kept for nothing", client)
		case len(o.back.pieces) > maxPieces || o.back.size > maxHeld:
			return fmt.Errorf("%v: %d octets in %d pieces are held", client, o.back.size, len(o.back.pieces))
		}
		size := o.back.rest.Cap()
		for i := range o.back.pieces {
			size += o.back.pieces[i].data.Cap()
		}
		if size != o.back.size {
			return fmt.Errorf("%v: %d octets are held, and counted as %d", client, size, o.back.size)
		}
		storage += size
	}
	if n := e.work.pool.InUse(); n != storage || n > e.work.limit {
		return fmt.Errorf("%d octets of storage are in use, sessions hold %d, the limit is %d", n, storage, e.work.limit)
	}
	return nil
}

// A simulatedConn takes what the engine says to mrtecopy.
type simulatedConn struct {
	hello control.Hello
	out   []byte
	err   error
}

func (c *simulatedConn) Hello() control.Hello   { return c.hello }
func (c *simulatedConn) Remote() netip.AddrPort { return netip.AddrPort{} }
func (c *simulatedConn) FD() int                { return -1 }
func (c *simulatedConn) Events() int16          { return 0 }
func (c *simulatedConn) Receive() []byte        { return nil }
func (c *simulatedConn) More() bool             { return false }
func (c *simulatedConn) Flush()                 {}
func (c *simulatedConn) Tick(time.Duration)     {}
func (c *simulatedConn) Close()                 {}
func (c *simulatedConn) Err() error             { return c.err }
func (c *simulatedConn) Abort(err error)        { c.err = err }

func (c *simulatedConn) Send(b []byte) error {
	c.out = append(c.out, b...)
	return nil
}

// A simulatedSender hands packets to the simulation.
type simulatedSender struct {
	send  func(packet []byte)
	stats rawsend.Stats
}

func (s *simulatedSender) Next() []byte         { return nil }
func (s *simulatedSender) Flush()               {}
func (s *simulatedSender) Stats() rawsend.Stats { return s.stats }
func (s *simulatedSender) Close() error         { return nil }

func (s *simulatedSender) Commit(packet []byte) {
	s.stats.Packets++
	s.send(packet)
}
