package replay

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/flow"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/poll"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// A shard replays the connections whose frames hash to it. Its run goroutine
// alone touches its rings, sessions, timers and counters, so nothing has a lock
// but the inbox.
type shard struct {
	index   int
	port    uint16
	servers map[wire.Addr]struct{}
	target  wire.Endpoint
	log     *slog.Logger

	budget        int // octets of memory
	sessionBudget int // of these, of one session
	roster        *roster

	taps   []*tap
	sender sender
	link   *link
	inbox  inbox

	env      session.Env
	clock    clock
	wheel    wheel
	flows    map[wire.Flow]*entry     // by captured 4-tuple, the newest connection of each
	ids      map[uint32]*entry        // by id on the control channel
	sources  map[wire.Endpoint]*entry // by forged client address: in use toward the target
	entries  map[*entry]struct{}
	dialects map[wire.Addr]*session.Dialect // of the servers, as they last greeted
	lastID   uint32
	nth      uint64   // of the last entry
	opening  []*entry // sessions that wait for an intercept
	dirty    []*entry // touched in this turn
	more     []*entry // that have more to send in the next turn

	returning []*entry // sessions that are to be registered with a new intercept

	observed    observed
	adoptRules  []AdoptRule
	adoptSchema string

	interceptAddrs map[wire.Addr]struct{} // the blackhole host's own addresses
	up             bool                   // an intercept is connected
	mss            int
	routeLost      bool          // said
	checkAt        time.Duration // when the path's MTU and the interfaces are looked at next
	tickAt         time.Duration // when the link is told the time next

	control   []byte // messages of this turn
	news      []any
	frames    []capture.Frame
	events    []flow.Event
	due       []*entry
	seg       wire.Segment
	polls     []unix.PollFd // the inbox, the link, and a ring for each tap that has one
	poller    poll.Poller
	said      map[string]struct{} // refusals logged
	costly    []costly
	shedNext  time.Duration // when shed may look again,
	shedAbove int           // or from how many octets on

	fullMemory, fullRoster, shedMemory, shedSession seldom

	opens   bucket // of connections to the target
	guard   guard
	guarded seldom
	paced   seldom
	abort   func(error) // ends the whole replay

	stage  stage
	stopAt time.Duration // when the stage ends
	drain  time.Duration
}

// A sender sends packets to the target: a rawsend.Sender, or that of a simulation.
type sender interface {
	Next() []byte
	Commit(packet []byte)
	Flush()
	MTU() int
	Source() netip.Addr
	Refresh() error
	Stats() rawsend.Stats
	Close() error
}

// A stage is where the shard stands in its life.
type stage uint8

const (
	running    stage = iota
	lastFrames       // a stop was asked for: what the kernel holds is read
	draining         // nothing is captured any more; the target catches up
	closing          // every connection is being closed
	resetting        // all are; the last RSTs wait for their turn
	stopped
)

const (
	// ringRest is how long after a stop the rings are read: a block is handed over
	// after its retire time at the latest.
	ringRest = 25 * time.Millisecond
	// closeRest is how long the connections may take to close at the end.
	closeRest  = 1500 * time.Millisecond
	checkEvery = time.Second
	maxSaid    = 1000
)

// run turns until the stages are passed.
func (s *shard) run() error {
	for s.stage != stopped {
		if err := s.wait(); err != nil {
			return err
		}
		s.env.Now = s.clock.now()
		if s.stage <= lastFrames {
			s.readRings()
		}
		s.readLink(s.polls[linkPoll].Revents)
		if s.polls[inboxPoll].Revents != 0 {
			s.readInbox()
		}
		s.handle()
		s.flush()
	}
	return nil
}

// handle does what is to be done in a turn behind its news.
func (s *shard) handle() {
	s.registerAgain()
	s.expire()
	s.resumeMore()
	s.settle()
	s.openQueued()
	s.nextStage()
	s.settle()
}

// Where what is waited for stands in polls.
const (
	inboxPoll = iota
	linkPoll
	ringPolls
)

// wait blocks until a ring, the link, the inbox or a timer has something.
func (s *shard) wait() error {
	s.polls = append(s.polls[:0], unix.PollFd{Fd: int32(s.inbox.fd), Events: unix.POLLIN}, s.link.poll())
	if s.stage <= lastFrames {
		for _, t := range s.taps {
			if t.ring != nil {
				s.polls = append(s.polls, unix.PollFd{Fd: int32(t.ring.FD()), Events: unix.POLLIN})
			}
		}
	}
	if err := s.poller.Wait(s.polls, s.patience(s.clock.now())); err != nil {
		return fmt.Errorf("shard %d: wait for frames: %w", s.index, err)
	}
	return nil
}

// patience returns how long the shard may wait from now on.
func (s *shard) patience(now time.Duration) time.Duration {
	if len(s.more) > 0 || s.link.more() {
		return 0
	}
	d := time.Second
	if s.stage != running {
		d = 5 * time.Millisecond
	}
	if next, ok := s.wheel.next(now); ok {
		d = min(d, next)
	}
	if len(s.guard.held) > 0 || s.up && len(s.opening)+len(s.returning) > 0 {
		d = min(d, paceEvery)
	}
	return d
}

// frame routes one captured frame.
func (s *shard) frame(f *capture.Frame) {
	c := &s.env.Counts.Capture
	c.Frames++
	c.Bytes += uint64(f.Size)
	seg := &s.seg
	if !wire.Parse(f.IP, f.Size, seg) {
		c.Foreign++
		return
	}
	s.env.At = s.clock.stamp(f.Stamp)
	switch {
	case seg.Dst.Port == s.port && s.isServer(seg.Dst.Addr):
		s.clientSegment(seg)
	case seg.Src.Port == s.port && s.isServer(seg.Src.Addr):
		s.serverSegment(seg)
	}
}

func (s *shard) isServer(a wire.Addr) bool {
	_, ok := s.servers[a]
	return ok
}

// clientSegment takes a segment from a client to production.
func (s *shard) clientSegment(seg *wire.Segment) {
	e := s.flows[seg.Flow]
	if e != nil && e.stream.Begins(seg) {
		if s.isOurs(seg) {
			s.abort(errLoop)
			return
		}
		s.detach(e)
		e = nil
	}
	if e == nil {
		if s.isObserver(seg.Src) {
			return
		}
		opens := seg.Flags&(wire.SYN|wire.ACK) == wire.SYN
		if !opens && len(seg.Payload) == 0 {
			return // the end of a connection that was not replayed
		}
		if opens && s.isOurs(seg) {
			s.abort(errLoop)
			return
		}
		if e = s.newEntry(seg.Flow, opens); e == nil {
			return
		}
	}
	e.seenAt = s.env.Now
	if j := s.observed.joining[e]; j != nil && len(seg.Payload) > 0 {
		j.saidAt = s.env.At
	}
	s.events = e.stream.Segment(s.env.Now, &s.env.Pool, seg, s.events[:0])
	s.flowEvents(e)
}

// flowEvents hands what a flow brought to its session.
func (s *shard) flowEvents(e *entry) {
	for i := range s.events {
		switch ev := &s.events[i]; ev.Type {
		case flow.Data:
			e.sess.Data(&s.env, ev.Payload, ev.Ack, ev.End)
		case flow.Gap:
			e.sess.Gap(&s.env, ev.Missing, ev.End)
		case flow.FIN:
			e.sess.ClientClosed(&s.env)
		case flow.RST:
			e.sess.ClientReset(&s.env)
		case flow.KeepAlive:
			e.sess.ClientKeepsAlive()
		}
		s.take(e)
	}
	clear(s.events)
	s.account(e)
	s.touch(e)
	s.checkSize(e)
	s.shed()
}

// serverSegment takes what the kernel's filter passes of production's direction:
// its greeting, the beginning of its answer to a PREPARE, and its end of a
// connection, behind which the client's may be missed or never come.
func (s *shard) serverSegment(seg *wire.Segment) {
	e := s.flows[seg.Flow.Reverse()]
	if e == nil {
		return
	}
	if seg.Flags&(wire.FIN|wire.RST) != 0 && e.leftAt == 0 {
		e.leftAt = s.env.Now
		s.touch(e)
	}
	switch {
	case len(seg.Payload) == 0:
	case e.sess.AwaitsLogin():
		if d, id := s.greeting(seg); d != nil {
			e.sess.ProductionGreeted(d, true)
			e.sess.ProductionConnected(id)
		}
	default:
		e.sess.ProductionHead(&s.env, seg)
		s.take(e)
		s.touch(e)
	}
}

// greeting returns the dialect that production's greeting in seg tells, and its
// id of the connection; nil if there is none in it.
func (s *shard) greeting(seg *wire.Segment) (d *session.Dialect, id uint32) {
	h, ok := mysql.ParseHeader(seg.Payload)
	if !ok || h.Sequence != 0 || len(seg.Payload) < mysql.HeaderSize+h.Length {
		return nil, 0
	}
	g, err := mysql.ParseGreeting(seg.Payload[mysql.HeaderSize : mysql.HeaderSize+h.Length])
	if err != nil {
		return nil, 0
	}
	said := session.DialectOf(&g)
	if d = s.dialects[seg.Src.Addr]; d == nil || *d != said {
		d = &said
		s.dialects[seg.Src.Addr] = d
	}
	return d, g.ConnectionID
}

// newEntry begins a session, if there is room for it.
func (s *shard) newEntry(key wire.Flow, opens bool) *entry {
	s.nth++
	e := &entry{key: key, nth: s.nth}
	if why := s.place(opens); why != ledger.None {
		if opens { // else every segment of a connection that was turned away would count one
			e.sess.Captured(&s.env, opens)
			e.sess.Skip(&s.env, why)
		}
		return nil
	}
	e.sess.Captured(&s.env, opens)
	e.sess.ProductionGreeted(s.dialects[key.Dst.Addr], false)
	s.flows[key] = e
	s.entries[e] = struct{}{}
	if e.sess.AwaitsState() {
		s.adopt(e)
	} else if s.observed.Observer != nil {
		s.observed.Recall(key.Src) // another connection's
	}
	return e
}

// detach separates e from its 4-tuple, which the client uses for a new
// connection; the replay of the old one goes on to its end.
func (s *shard) detach(e *entry) {
	e.detached = true
	e.stream.Release(&s.env.Pool)
	s.account(e)
	delete(s.flows, e.key)
	e.sess.ClientGone(&s.env)
	s.take(e)
	s.touch(e)
}

// touch marks e for this turn's settle.
func (s *shard) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		s.dirty = append(s.dirty, e)
	}
}

// expire handles the timers that are due.
func (s *shard) expire() {
	s.due = s.wheel.expire(s.env.Now, s.due[:0])
	for _, e := range s.due {
		s.touch(e) // so that evict leaves it alone
	}
	for _, e := range s.due {
		s.env.At = s.env.Now
		if d := e.stream.Deadline(); d != 0 && d <= s.env.Now {
			s.events = e.stream.Expire(s.env.Now, &s.env.Pool, s.events[:0])
			s.flowEvents(e)
		}
		s.idle(e)
	}
	clear(s.due)
	if s.checkAt <= s.env.Now {
		s.checkAt = s.env.Now + checkEvery
		s.checkMTU()
		s.mendTaps()
	}
}

// idle ends sessions whose client cannot be there any more, and those of which
// the intercept does not say that it watches them.
func (s *shard) idle(e *entry) {
	if e.reg == registering && e.askedAt+registerPatience <= s.env.Now {
		e.sess.Lose(&s.env, ledger.InterceptGone)
		s.take(e)
	}
	s.notTold(e)
	if d := s.idleDeadline(e); d != 0 && d <= s.env.Now {
		e.sess.ClientGone(&s.env)
		s.take(e)
	}
}

// idleDeadline returns when a connection without a frame is given up; 0: never,
// for it is replayed and the target keeps it as well.
func (s *shard) idleDeadline(e *entry) time.Duration {
	switch {
	case e.reg == registering && e.sess.Phase() != session.Over:
		return e.askedAt + registerPatience
	case e.sess.Joining():
		return s.joinDeadline(e)
	case e.detached:
		return 0
	case e.sess.Phase() == session.Reading:
		return e.seenAt + loginPatience
	case e.sess.Finished():
		return e.seenAt + lateFrames
	case e.sess.Phase() == session.Over:
		return e.seenAt + idleLimit
	case e.leftAt != 0 && !e.sess.ClientLeft():
		return e.leftAt + endPatience
	}
	return 0
}

// settle lets every touched session send, sets its timer, and forgets it when it
// has ended.
func (s *shard) settle() {
	for i := 0; i < len(s.dirty); i++ {
		e := s.dirty[i]
		e.dirty = false
		e.sess.Poll(&s.env)
		s.take(e)
		if e.sess.Phase() == session.Over {
			s.unregister(e)
			if e.detached || e.sess.Finished() && e.seenAt+lateFrames <= s.env.Now {
				s.remove(e)
				continue
			}
		}
		if e.sess.Phase() == session.Queued && e.reg == unregistered && e.queuedAt == 0 {
			e.queuedAt = s.env.Now
			s.opening = append(s.opening, e)
		}
		if e.sess.Conn.More() {
			s.more = append(s.more, e)
		}
		s.wheel.set(e, earliest(e.sess.Deadline(), e.stream.Deadline(), s.idleDeadline(e)))
	}
	clear(s.dirty)
	s.dirty = s.dirty[:0]
}

// resumeMore touches the sessions that stopped short in the last turn.
func (s *shard) resumeMore() {
	for _, e := range s.more {
		s.touch(e)
	}
	clear(s.more)
	s.more = s.more[:0]
}

// inOrder returns the entries in the order of their beginning, where the order of
// what is sent should not be a map's.
func (s *shard) inOrder() []*entry {
	return slices.SortedFunc(maps.Keys(s.entries), func(a, b *entry) int { return cmp.Compare(a.nth, b.nth) })
}

// earliest returns the first of the deadlines that are set.
func earliest(ds ...time.Duration) (first time.Duration) {
	for _, d := range ds {
		if d != 0 && (first == 0 || d < first) {
			first = d
		}
	}
	return first
}

// remove forgets an entry.
func (s *shard) remove(e *entry) {
	s.wheel.clear(e)
	s.unask(e)
	e.stream.Release(&s.env.Pool)
	e.sess.Release(&s.env)
	s.account(e)
	s.roster.leave()
	if s.flows[e.key] == e {
		delete(s.flows, e.key)
	}
	delete(s.entries, e)
}

// addrSet makes a set for look-ups by wire address.
func addrSet(addrs []netip.Addr) map[wire.Addr]struct{} {
	m := make(map[wire.Addr]struct{}, len(addrs))
	for _, a := range addrs {
		m[wire.AddrFrom(a)] = struct{}{}
	}
	return m
}
