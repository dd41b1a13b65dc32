package replay

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/control"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// A link keeps a shard connected to an intercept: it dials the list in order,
// hands the connection over, and dials again when it has ended.
type link struct {
	addrs  []string
	config control.Config
	inbox  *inbox
	log    *slog.Logger
	conn   *control.Conn // the shard's: set by linkUp, cleared by linkDown
}

// A linkUp is a link's news for its shard, which owns the connection from then on.
type linkUp struct {
	conn    *control.Conn
	welcome control.Welcome
}

const (
	redialMin = 200 * time.Millisecond
	redialMax = 2 * time.Second
	tickEvery = time.Second
	// steady is how long a connection lives that is worth to be made again at once.
	// One that ends sooner, time and again, is with an intercept that does not
	// understand us, or means us ill: it must not keep us busy, nor fill the log.
	steady = 10 * time.Second
)

// A redial says how long to wait before the next attempt.
type redial struct{ pause time.Duration }

// after returns the pause behind a connection that lived so long; 0: there was
// none.
func (r *redial) after(lived time.Duration) time.Duration {
	if lived >= steady {
		r.pause = 0
		return 0
	}
	r.pause = min(max(2*r.pause, redialMin), redialMax)
	return r.pause
}

// run dials until ctx ends.
func (l *link) run(ctx context.Context) {
	var again redial
	lastErr := ""
	for ctx.Err() == nil {
		conn, welcome, err := control.Dial(ctx, l.addrs, l.config)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if err.Error() != lastErr {
				lastErr = err.Error()
				l.log.Warn("no intercept: sessions wait", "error", err)
			}
			sleep(ctx, again.after(0))
			continue
		}
		lastErr = ""
		began := time.Now()
		l.log.Info("connected to intercept", "addr", conn.Remote())
		l.inbox.put(&linkUp{conn, welcome})
		select {
		case <-conn.Done():
			if ctx.Err() == nil {
				l.log.Warn("the connection to the intercept ended: open sessions pause, new ones wait", "addr", conn.Remote(), "error", conn.Err())
			}
			sleep(ctx, again.after(time.Since(began)))
		case <-ctx.Done(): // the shard's end: nobody else has the connection now
			conn.Close() // what was sent is written
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// send hands b to the intercept that is connected. Without one it is dropped:
// registering again says everything anew.
func (l *link) send(b []byte) {
	if l.conn != nil {
		_ = l.conn.Send(b) // an error is the connection's end, which readLink sees
	}
}

// pending returns how many octets the intercept has not taken yet.
func (l *link) pending() int {
	if l.conn == nil {
		return 0
	}
	return l.conn.Pending()
}

// more reports whether the shard must not wait before it reads the link.
func (l *link) more() bool { return l.conn != nil && (l.conn.More() || l.conn.Err() != nil) }

// poll returns what to wait for.
func (l *link) poll() unix.PollFd {
	if l.conn == nil {
		return unix.PollFd{Fd: -1}
	}
	return unix.PollFd{Fd: int32(l.conn.FD()), Events: l.conn.Events()}
}

// maxBatches is how many batches of the intercept's are taken in a turn at the most.
const maxBatches = 8

// readLink takes what the intercept says. revents are poll's findings.
func (s *shard) readLink(revents int16) {
	c := s.link.conn
	if c == nil {
		return
	}
	if revents&unix.POLLOUT != 0 {
		c.Flush()
	}
	if revents&^unix.POLLOUT != 0 || c.More() {
		for range maxBatches {
			batch := c.Receive()
			if batch == nil {
				break
			}
			if err := s.messages(batch); err != nil {
				c.Abort(err)
			}
		}
	}
	if s.tickAt <= s.env.Now {
		s.tickAt = s.env.Now + tickEvery
		c.Tick(s.env.Now)
	}
	if c.Err() != nil {
		s.linkDown()
	}
}

// readInbox handles what other goroutines brought.
func (s *shard) readInbox() {
	s.news = s.inbox.get(s.news[:0])
	for _, n := range s.news {
		switch n := n.(type) {
		case *linkUp:
			s.linkUp(n)
		case *observer.Look:
			s.looked(n)
		case *snapshot:
			n.take(s)
		case stopNow:
			if s.stage == running {
				s.stage, s.stopAt = lastFrames, s.env.Now+ringRest
			}
			if n.atOnce {
				s.stopAt, s.drain = s.env.Now, 0
			}
		}
	}
	clear(s.news)
}

// linkUp has every open session registered with the new intercept; what was queued
// follows in openQueued.
func (s *shard) linkUp(n *linkUp) {
	if s.up {
		s.linkDown() // which was not seen yet
	}
	s.link.conn, s.up = n.conn, true
	s.control = s.control[:0]
	s.interceptAddrs = addrSet(n.welcome.Addrs)
	s.returning = s.inOrder()
	s.registerAgain()
}

// registerAtOnce is about how many octets of registrations are said in a turn, and
// how many may wait to be written: control.MaxPending ends the connection.
const registerAtOnce = 1 << 20

// registerAgain registers as many of the sessions that a new intercept does not
// know yet as it can be told at once.
func (s *shard) registerAgain() {
	if len(s.returning) == 0 || s.link.pending() > registerAtOnce {
		return
	}
	n := 0
	for n < len(s.returning) && len(s.control) < registerAtOnce {
		if e := s.returning[n]; e.id != 0 && e.reg == unregistered {
			s.reregister(e)
		}
		n++
	}
	if s.returning = s.returning[n:]; len(s.returning) == 0 {
		s.returning = nil
	}
}

// linkDown pauses every open session.
func (s *shard) linkDown() {
	s.link.conn, s.up = nil, false
	s.control = s.control[:0]
	s.returning = nil
	for _, e := range s.inOrder() {
		if e.reg == unregistered {
			continue
		}
		e.sess.Pause(&s.env)
		s.take(e)
		e.reg = unregistered
		if e.sess.Phase() < session.Ready {
			s.unregister(e) // it starts over, with a new id
		}
		s.touch(e)
	}
}

// messages handles a batch from the intercept. An error is a message that cannot
// be understood.
func (s *shard) messages(batch []byte) error {
	for t, body, rest := control.Next(batch); t != 0; t, body, rest = control.Next(rest) {
		ok := false
		switch t {
		case control.TypeRegistered:
			var m control.Registered
			if m, ok = control.ParseRegistered(body); ok {
				if e := s.ids[m.ID]; e != nil {
					s.registered(e, m.Status)
				}
			}
		case control.TypeReport:
			var m control.Report
			if m, ok = control.ParseReport(body); ok {
				if e := s.ids[m.ID]; e != nil {
					e.sess.Report(&s.env, &m.Report, int(m.Ended), int(m.Errors), m.Frame)
					s.take(e)
					s.touch(e)
				}
			}
		case control.TypeHead:
			var m control.Head
			if m, ok = control.ParseHead(body); ok {
				if e := s.ids[m.ID]; e != nil {
					e.sess.Head(&s.env, mysql.Kind(m.Kind), m.Sequence, m.Payload)
					s.take(e)
					s.touch(e)
				}
			}
		case control.TypeLost:
			var m control.Lost
			if m, ok = control.ParseLost(body); ok {
				if e := s.ids[m.ID]; e != nil {
					e.sess.Lose(&s.env, ledger.ResponseGap)
					s.take(e)
					s.touch(e)
				}
			}
		}
		if !ok {
			return control.Malformed(t)
		}
	}
	return nil
}

// controlConfig returns what a shard's connections to the intercept start with.
func controlConfig(c Config, owner [16]byte, shard int) control.Config {
	return control.Config{Key: c.Key, Hello: control.Hello{
		Owner: owner, Shard: uint16(shard), Shards: uint16(c.Shards), Target: wire.EndpointFrom(c.Target),
	}}
}
