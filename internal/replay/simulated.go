package replay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/control"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// A Simulated is a shard without sockets and clock: internal/simulation gives it
// frames and messages, and takes what it sends. A turn of it, in the order of the
// shard's loop, is Begin, any of Frame, LinkUp, LinkDown, Messages and Stop, and
// EndTurn.
type Simulated struct {
	s   *shard
	now time.Time
}

// simulatedStart is the wall clock's time when a simulation's shows 0.
var simulatedStart = time.Unix(1_700_000_000, 0)

// NewSimulated returns a shard of a host with the address own, and with a path of
// the given MTU to the target, to which send sends.
func NewSimulated(c Config, own netip.Addr, mtu int, send func(packet []byte)) *Simulated {
	m := &Simulated{now: simulatedStart}
	c.Shards = 1
	m.s = newShard(&c, 0, c.ServerIPs, newConnections(), &roster{limit: int64(c.MaxSessions)})
	m.s.abort = func(err error) { panic(err) }
	m.s.clock = clock{start: simulatedStart, wall: func() time.Time { return m.now }}
	m.s.link = &link{log: c.Log}
	sender := &simulatedSender{target: m.s.target, own: own, mtu: mtu, send: send}
	m.s.sender, m.s.mss = sender, maxSegment(mtu, m.s.target.Addr)
	return m
}

// Begin begins a turn at now, a reading of the simulation's clock, which is not 0.
func (m *Simulated) Begin(now time.Duration) {
	m.now = SimulatedTime(now)
	m.s.env.Now = now
}

// Frame takes a frame, which was captured at the time at. A shard that was stopped
// reads none.
func (m *Simulated) Frame(ip []byte, size int, at time.Duration) {
	if m.s.stage > lastFrames {
		return
	}
	m.s.frame(&capture.Frame{IP: ip, Size: size, Stamp: SimulatedTime(at).UnixNano()})
}

// LinkUp says that an intercept is connected, LinkDown that the connection has
// ended.
func (m *Simulated) LinkUp(w control.Welcome) { m.s.linkUp(&linkUp{welcome: w}) }

// LinkDown is LinkUp's reverse.
func (m *Simulated) LinkDown() {
	if m.s.up {
		m.s.linkDown()
	}
}

// Messages takes a batch of the intercept's.
func (m *Simulated) Messages(batch []byte) error { return m.s.messages(batch) }

// Looked gives the shard what the observer saw.
func (m *Simulated) Looked(l *observer.Look) { m.s.looked(l) }

// SimulatedTime is the wall clock's time when a simulation's shows now.
func SimulatedTime(now time.Duration) time.Time { return simulatedStart.Add(now) }

// Stop asks the shard to stop capturing and to let the target catch up.
func (m *Simulated) Stop() {
	if m.s.stage == running {
		m.s.stage, m.s.stopAt = lastFrames, m.s.env.Now+ringRest
	}
}

// Stopped reports whether that is done.
func (m *Simulated) Stopped() bool { return m.s.stage == stopped }

// EndTurn ends the turn. It returns the messages for the intercept; what is for the
// target was sent.
func (m *Simulated) EndTurn() (messages []byte) {
	s := m.s
	s.handle()
	if s.up {
		messages = append(messages, s.control...)
	}
	s.flush()
	return messages
}

// Wait returns how long from now on the shard may sleep.
func (m *Simulated) Wait(now time.Duration) time.Duration { return m.s.patience(now) }

// Hello is what the shard says to an intercept first.
func (m *Simulated) Hello() control.Hello {
	return control.Hello{Shards: 1, Target: m.s.target}
}

// Counts returns the account as it stands.
func (m *Simulated) Counts() (c ledger.Counts) {
	m.s.count(&c)
	return c
}

// Commands returns the account of commands, without the gauge of those pending.
func (m *Simulated) Commands() ledger.Commands { return m.s.env.Counts.Commands }

// Memory returns the octets that sessions hold, their number included.
func (m *Simulated) Memory() int { return m.s.memory() }

// Sessions returns how many captured connections are remembered.
func (m *Simulated) Sessions() int { return len(m.s.entries) }

// Check looks whether what the shard holds fits together between two turns, and
// whether the account balances.
func (m *Simulated) Check() error { return m.s.check() }

// Describe says what is left.
func (m *Simulated) Describe() (text []string) {
	for _, e := range m.s.inOrder() {
		text = append(text, fmt.Sprintf("%v: phase %d, registration %d, %v, detached %v, seen at %v, deadline %v, %d commands pending",
			e.key.Src, e.sess.Phase(), e.reg, e.sess.Conn.State(), e.detached, e.seenAt, e.sess.Deadline(), e.sess.Pending()))
	}
	return text
}

// check is Simulated.Check, for any shard.
func (s *shard) check() error {
	for id, e := range s.ids {
		if _, ok := s.entries[e]; !ok || e.id != id {
			return fmt.Errorf("id %d is of a forgotten session (its id: %d)", id, e.id)
		}
	}
	for src, e := range s.sources {
		if _, ok := s.entries[e]; !ok || e.src != src || e.id == 0 {
			return fmt.Errorf("source %v is of a forgotten session", src)
		}
	}
	for key, e := range s.flows {
		if _, ok := s.entries[e]; !ok || e.key != key || e.detached {
			return fmt.Errorf("flow %v is of a forgotten session", key)
		}
	}
	storage := 0
	held := 0
	for e := range s.entries {
		storage += e.sess.Storage() + e.stream.Storage()
		if j := s.observed.joining[e]; j != nil {
			held += j.seen.Size()
		}
		phase := e.sess.Phase()
		var wrong string
		switch {
		case !e.detached && s.flows[e.key] != e:
			wrong = "an entry is not in flows"
		case e.dirty:
			wrong = "an entry is left dirty"
		case e.id != 0 && s.ids[e.id] != e:
			wrong = "an entry is not in ids"
		case phase == session.Over && e.id != 0:
			wrong = "a session that is over is registered"
		case phase == session.Queued && e.reg == unregistered && (e.queuedAt == 0 || !slices.Contains(s.opening, e)) && s.stage == running:
			wrong = "a queued session waits for nothing"
		case (phase == session.Reading || phase == session.Over || phase == session.Closing) && e.timer.slot == 0:
			wrong = "a session has no timer"
		case e.detached && phase == session.Over:
			wrong = "a detached session that is over is kept"
		}
		if wrong != "" {
			return fmt.Errorf("%v in phase %d: %s", e.key.Src, phase, wrong)
		}
	}
	if n := s.env.Pool.InUse() + s.env.Records; n != storage {
		return fmt.Errorf("%d octets of storage are counted, sessions hold %d", n, storage)
	}
	if s.observed.held != held {
		return fmt.Errorf("%d octets of what was told are counted, %d are there", s.observed.held, held)
	}
	for e := range s.observed.joining {
		if _, ok := s.entries[e]; !ok {
			return fmt.Errorf("%v is forgotten, and asked about", e.key.Src)
		}
	}
	return s.balance()
}

// balance looks whether the account balances.
func (s *shard) balance() error {
	c := ledger.Counts{Commands: s.env.Counts.Commands, Sessions: s.env.Counts.Sessions}
	for e := range s.entries {
		c.Commands.Pending += e.sess.Pending()
		if e.sess.Undecided() {
			c.Sessions.Open++
		}
	}
	if c.Commands.Stalled > 0 {
		return errors.New("a command waited although pipelining is allowed")
	}
	return c.Balance()
}

// A simulatedSender hands packets to the simulation.
type simulatedSender struct {
	target wire.Endpoint
	own    netip.Addr
	mtu    int
	send   func(packet []byte)
}

func (s *simulatedSender) Next() []byte         { return nil }
func (s *simulatedSender) Flush()               {}
func (s *simulatedSender) MTU() int             { return s.mtu }
func (s *simulatedSender) Source() netip.Addr   { return s.own }
func (s *simulatedSender) Refresh() error       { return nil }
func (s *simulatedSender) Stats() rawsend.Stats { return rawsend.Stats{} }
func (s *simulatedSender) Close() error         { return nil }

func (s *simulatedSender) Commit(packet []byte) { s.send(packet) }
