package intercept

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/control"
	"mrtecopy/internal/mysql"
)

// maxPending bounds the unanswered commands of one connection, an octet each.
const maxPending = 1 << 20

// An ownerKey names a shard of a mrtecopy process.
type ownerKey struct {
	process [16]byte
	shard   uint16
}

// A conn is a control connection: a control.Conn, or that of a simulation.
type conn interface {
	Hello() control.Hello
	Remote() netip.AddrPort
	FD() int
	Events() int16
	Receive() []byte
	More() bool
	Send(b []byte) error
	Flush()
	Tick(now time.Duration)
	Abort(err error)
	Close()
	Err() error
}

// An owner is a shard of a mrtecopy, and whom to tell about its sessions.
type owner struct {
	key      ownerKey
	conn     conn // nil: it is away
	sessions map[uint32]*session
	out      []byte        // messages for conn, to be sent at the end of the turn
	deadline time.Duration // away: when its sessions are reset; back: when those that are stale are; 0: none
}

// connected takes over a control connection.
func (e *engine) connected(now time.Duration, c conn) {
	h := c.Hello()
	key := ownerKey{h.Owner, h.Shard}
	o := e.owners[key]
	if o == nil {
		o = &owner{key: key, sessions: make(map[uint32]*session)}
		e.owners[key] = o
	}
	if o.conn != nil {
		// It has noticed before us that the old connection is dead.
		delete(e.conns, o.conn)
		o.conn.Abort(errReplaced)
		e.open.Add(-1)
	}
	o.conn, o.out = c, o.out[:0]
	e.conns[c] = o
	e.stats.Control.Connections++
	if len(o.sessions) > 0 {
		for _, s := range o.sessions {
			s.stale = true
			e.untouch(s)
			s.drop(&e.work)
		}
		o.deadline = now + e.config.OwnerAway/3
	}
	e.config.Log.Info("mrtecopy connected", "from", c.Remote(), "shard", h.Shard, "shards", h.Shards, "sessions", len(o.sessions))
}

// disconnected notes that a control connection has ended.
func (e *engine) disconnected(now time.Duration, c conn) {
	o := e.conns[c]
	if o == nil {
		return // it was replaced
	}
	delete(e.conns, c)
	e.open.Add(-1)
	o.conn, o.out = nil, nil
	e.config.Log.Info("mrtecopy disconnected", "from", c.Remote(), "shard", o.key.shard, "sessions", len(o.sessions), "why", c.Err())
	if len(o.sessions) == 0 {
		delete(e.owners, o.key)
		return
	}
	o.deadline = now + e.config.OwnerAway
	for _, s := range o.sessions {
		s.drop(&e.work) // what it would be told of
	}
}

// maxBatches is how many batches of one connection are taken in a turn at the most.
const maxBatches = 8

// readConns takes what the control connections say.
func (e *engine) readConns(now time.Duration) {
	for i, c := range e.heard {
		revents := e.polled[1+i].Revents
		if revents&unix.POLLOUT != 0 {
			c.Flush()
		}
		if revents&^unix.POLLOUT != 0 || c.More() {
			for range maxBatches {
				batch := c.Receive()
				if batch == nil {
					break
				}
				e.obey(now, c, batch)
			}
		}
		if c.Err() != nil {
			e.disconnected(now, c)
		}
	}
	clear(e.heard)
}

// tickConns tells the control connections the time.
func (e *engine) tickConns(now time.Duration) {
	for c := range e.conns {
		c.Tick(now)
	}
}

// obey does what the messages of a batch say. A message that is not understood
// ends the connection: its sender is another program than we think.
func (e *engine) obey(now time.Duration, c conn, batch []byte) {
	o := e.conns[c]
	if o == nil {
		return
	}
	e.reply() // what the messages change is not pending then
	for t, body, rest := control.Next(batch); t != 0; t, body, rest = control.Next(rest) {
		ok := false
		switch t {
		case control.TypeRegister:
			var m control.Register
			if m, ok = control.ParseRegister(body); ok {
				e.register(now, o, &m)
			}
		case control.TypeLogin:
			var m control.Login
			if m, ok = control.ParseLogin(body); ok {
				if s := o.sessions[m.ID]; s != nil {
					s.tracker.SetCapabilities(mysql.Capabilities(m.Caps), mysql.Extended(m.Extended))
				}
			}
		case control.TypeKinds:
			var m control.Kinds
			if m, ok = control.ParseKinds(body); ok {
				if s := o.sessions[m.ID]; s != nil {
					e.expect(now, s, m.Kinds)
				}
			}
		case control.TypeUnregister:
			var m control.Unregister
			if m, ok = control.ParseUnregister(body); ok {
				if s := o.sessions[m.ID]; s != nil {
					e.forget(s)
				}
			}
		}
		if !ok {
			c.Abort(control.Malformed(t))
			return
		}
	}
}

// register begins to look after a connection, or looks after it anew: what the
// mrtecopy says replaces what is known here.
func (e *engine) register(now time.Duration, o *owner, m *control.Register) {
	status := e.admit(o, m)
	o.out = control.AppendRegistered(o.out, &control.Registered{ID: m.ID, Status: status})
	if status != control.RegOK {
		e.stats.Sessions.Rejected++
		return
	}
	e.stats.Sessions.Registered++
	if old := o.sessions[m.ID]; old != nil && old.client != m.Client {
		e.forget(old) // its ID is in use again, so it is over
	}
	s := e.sessions[m.Client]
	if s == nil {
		s = &session{client: m.Client, owner: o}
		e.sessions[m.Client] = s
	} else {
		delete(o.sessions, s.id)
		e.untouch(s)
	}
	s.id, s.stale = m.ID, false
	o.sessions[m.ID] = s
	if m.Resume {
		s.resume(&e.work, m.RcvNxt, m.SndUna, m.Frame)
	} else {
		s.listen(&e.work, m.SndUna)
	}
	s.tracker.SetCapabilities(mysql.Capabilities(m.Caps), mysql.Extended(m.Extended))
	e.expect(now, s, m.Kinds)
	e.hold(s)
	if segment, path := e.early.take(now, m.Client); segment != nil && !m.Resume {
		e.deliver(now, segment, path)
	}
}

// admit decides on a registration.
func (e *engine) admit(o *owner, m *control.Register) control.RegStatus {
	s := e.sessions[m.Client]
	switch {
	case m.Target != e.target || m.Client.Addr.Is4() != m.Target.Addr.Is4():
		return control.RegMismatch
	case s != nil && s.owner != o:
		return control.RegDuplicate
	case s == nil && len(e.sessions) >= e.config.MaxSessions:
		e.warn("sessions", "session limit reached: registrations are refused; raise --max-sessions", "limit", e.config.MaxSessions)
		return control.RegLimit
	}
	return control.RegOK
}

// expect notes which responses are to come on s.
func (e *engine) expect(now time.Duration, s *session, kinds []byte) {
	if s.is(lost) {
		return
	}
	if s.tracker.Pending()+len(kinds) > maxPending {
		e.lose(s, control.LostMemory)
		return
	}
	for _, k := range kinds {
		s.tracker.Push(mysql.Kind(k))
		if c := mysql.Command(k); c == mysql.ComStmtPrepare || c == mysql.ComChangeUser {
			e.pace.urgent(now) // commands wait for the answer
		}
	}
	e.account(s)
	if e.work.held() > e.config.MaxHeld {
		e.shed()
	}
	if s.back == nil || s.is(lost) {
		return
	}
	t := e.touch(s)
	before := s.nxt
	s.reframe(now, &e.work, t)
	t.any = t.any || s.nxt != before
	e.settle(s)
}

// forget stops looking after s.
func (e *engine) forget(s *session) {
	e.untouch(s)
	s.drop(&e.work)
	s.tracker = mysql.Tracker{}
	e.account(s)
	delete(e.sessions, s.client)
	delete(s.owner.sessions, s.id)
	s.owner = nil
}

// lose gives a session up: it is not reported on any more. Its owner will end
// it; until then it is known, so that it is reset if the owner does not.
func (e *engine) lose(s *session, why control.LostReason) {
	e.untouch(s)
	s.drop(&e.work)
	s.tracker = mysql.Tracker{}
	e.account(s)
	s.state |= lost
	e.stats.Sessions.Lost++
	s.owner.out = control.AppendLost(s.owner.out, &control.Lost{ID: s.id, Reason: why})
	e.warn("lost", "session given up", "client", s.client, "why", why)
}
