package intercept

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/control"
	"mrtecopy/internal/poll"
	"mrtecopy/internal/wire"
)

var errReplaced = errors.New("the same mrtecopy has connected again")

// An engine is all of intercept. Its run goroutine alone touches it, but for the
// inbox, which others fill, and addrs.
type engine struct {
	config Config
	target wire.Endpoint
	start  time.Time
	addrs  atomic.Pointer[[]netip.Addr] // this host's own
	inbox  inbox

	taps     []tap
	polled   []unix.PollFd // the inbox, a control connection each, a tap each
	heard    []conn        // the connections among polled
	poller   poll.Poller
	frames   []capture.Frame
	segment  wire.Segment               // the one being looked at
	sessions map[wire.Endpoint]*session // by client
	owners   map[ownerKey]*owner
	conns    map[conn]*owner
	early    early
	work     work
	turns    []turn        // since the last reports
	urgent   bool          // of which one cannot wait
	reportAt time.Duration // when the others can no longer; 0: there are none
	holding  []*session    // that hold something
	resets   resets
	pace     pace
	due      schedule
	status   status
	stats    Summary
	limited  map[string]*limit
	open     atomic.Int32                   // control connections
	told     struct{ shed, refused uint64 } // of work's, when last told
}

// run is the engine's loop, until ctx is done.
func (e *engine) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, e.inbox.wake)
	defer stop()
	for ctx.Err() == nil {
		if err := e.wait(); err != nil {
			return err
		}
		now := e.now()
		e.readConns(now)
		if e.polled[0].Revents != 0 {
			for _, c := range e.inbox.take() {
				e.connected(now, c)
			}
		}
		n := e.takeFrames(now)
		e.keepHouse(now)
		e.replyInTime(now)
		e.pace.rest(n, e.now, e.polled[:1+len(e.heard)])
	}
	e.reply()
	return nil
}

// now is the engine's clock. It never shows 0, which stands for never.
func (e *engine) now() time.Duration { return time.Since(e.start) + time.Second }

// wait returns when there is something to do.
func (e *engine) wait() error {
	e.heard = e.heard[:0]
	e.polled = append(e.polled[:0], unix.PollFd{Fd: int32(e.inbox.fd), Events: unix.POLLIN})
	d := e.due.wait(e, e.now())
	for c := range e.conns {
		e.heard = append(e.heard, c)
		e.polled = append(e.polled, unix.PollFd{Fd: int32(c.FD()), Events: c.Events()})
		if c.More() || c.Err() != nil {
			d = 0
		}
	}
	for i := range e.taps {
		e.polled = append(e.polled, unix.PollFd{Fd: int32(e.taps[i].ring.FD()), Events: unix.POLLIN})
	}
	return e.poller.Wait(e.polled, d)
}

// deliver takes a segment of the target.
func (e *engine) deliver(now time.Duration, g *wire.Segment, path uint8) {
	s := e.sessions[g.Dst]
	if s == nil {
		e.stranger(now, g, path)
		return
	}
	e.stats.Segments.Received++
	if s.owner.conn == nil || s.stale || s.is(lost) {
		if s.overhear(g) && s.owner.conn == nil {
			// Somebody sends what the target acknowledges: the mrtecopy is cut off from
			// here only, and may live by another intercept.
			s.owner.deadline = now + e.config.OwnerAway
		}
		return
	}
	t := e.touch(s)
	if t.full(s.una, g) {
		e.report(s)
		t = e.touch(s)
	}
	if !s.receive(now, g, path, &e.work, t) {
		e.stats.Segments.Repeated++
		return
	}
	t.any = true
	e.urgent = e.urgent || t.urgent()
	e.settle(s)
}

// stranger counts a segment of a connection that nobody has registered. It is
// never answered.
func (e *engine) stranger(now time.Duration, g *wire.Segment, path uint8) {
	if g.Flags&(wire.SYN|wire.RST) == 0 || !e.early.put(now, g, path) {
		e.stats.Segments.Strangers++
	}
}

// touch returns the record of what is to be reported of s.
func (e *engine) touch(s *session) *turn {
	if s.turn == 0 {
		e.turns = append(e.turns, turn{session: s})
		s.turn = int32(len(e.turns))
	}
	return &e.turns[s.turn-1]
}

// untouch gives that up, if there is something.
func (e *engine) untouch(s *session) {
	if s.turn != 0 {
		e.turns[s.turn-1] = turn{}
		s.turn = 0
	}
}

// settle follows each call of a receiver: it passes the heads on and sees
// whether the stream can still be framed.
func (e *engine) settle(s *session) {
	o := s.owner
	for _, h := range e.work.takeHeads() {
		e.stats.Control.Heads++
		if h.kind == HeadUnsolicited {
			e.stats.Responses.Unsolicited++
		}
		o.out = control.AppendHead(o.out, &control.Head{ID: s.id, Kind: h.kind, Sequence: h.sequence, Payload: h.payload})
	}
	e.account(s)
	e.hold(s)
	if s.is(broken) && !s.is(lost) {
		e.report(s)
		e.lose(s, control.LostFraming)
	}
	if len(o.out) >= enough {
		e.send(o)
	}
}

// enough is how much is sent before the turn is over.
const enough = 256 << 10

// hold remembers to look at s again if it holds something.
func (e *engine) hold(s *session) {
	if s.back != nil && !s.holding {
		s.holding = true
		e.holding = append(e.holding, s)
	}
}

// report appends what there is to be reported of s.
func (e *engine) report(s *session) {
	if s.turn == 0 {
		return
	}
	t := &e.turns[s.turn-1]
	s.turn, t.session = 0, nil
	if !t.any {
		return
	}
	e.stats.Responses.Ended += uint64(t.ended)
	e.stats.Responses.Errors += uint64(t.errors)
	m := control.Report{ID: s.id, Report: s.report(t), Frame: s.frame()}
	for {
		m.Ended = uint16(min(t.ended, 0xffff))
		m.Errors = uint16(min(t.errors, uint32(m.Ended)))
		s.owner.out = control.AppendReport(s.owner.out, &m)
		e.stats.Control.Reports++
		t.ended -= uint32(m.Ended)
		t.errors -= uint32(m.Errors)
		if t.ended == 0 {
			return
		}
		// More than a message can count: thousands of responses were held while
		// their kinds were on the way.
		m.Report = wire.Report{Flags: wire.ACK, Ack: m.Ack, Window: m.Window, RcvNxt: m.RcvNxt}
	}
}

// reportWithin is how long the end of a response may wait for others to be
// reported with it: to send a report, and to wake mrtecopy for it, costs far more
// than to look at a segment, and no command waits for it.
const reportWithin = 2 * time.Millisecond

// replyInTime reports everything if there is something that must not wait.
func (e *engine) replyInTime(now time.Duration) {
	for _, o := range e.conns {
		e.urgent = e.urgent || len(o.out) > 0
	}
	if e.urgent {
		e.pace.urgent(now)
	}
	switch {
	case e.urgent, e.reportAt != 0 && now >= e.reportAt, len(e.turns) > 0 && e.pace.calm(now): // calm: they have waited in the ring
		e.reply()
	case e.reportAt == 0 && len(e.turns) > 0:
		e.reportAt = now + reportWithin
	}
}

// reply reports everything.
func (e *engine) reply() {
	e.urgent, e.reportAt = false, 0
	for i := range e.turns {
		if s := e.turns[i].session; s != nil {
			e.report(s)
		}
	}
	clear(e.turns)
	e.turns = e.turns[:0]
	for _, o := range e.conns {
		e.send(o)
	}
}

// send hands an owner's messages to its connection.
func (e *engine) send(o *owner) {
	if len(o.out) == 0 {
		return
	}
	if o.conn != nil {
		_ = o.conn.Send(o.out) // an error is the connection's end, which readConns sees
	}
	if o.out = o.out[:0]; cap(o.out) > 4*enough {
		o.out = nil
	}
}
