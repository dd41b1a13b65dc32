package replay

import (
	"net/netip"
	"time"

	"mrtecopy/internal/control"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// maxTries is how many source ports are tried for a session.
const maxTries = 16

// openQueued registers the sessions whose login was captured, or gives up those
// that waited too long for an intercept. At the end none is opened any more.
func (s *shard) openQueued() {
	if len(s.opening) == 0 || s.stage >= closing {
		return
	}
	kept := s.opening[:0]
	for _, e := range s.opening {
		switch {
		case e.sess.Phase() != session.Queued || e.reg != unregistered:
			e.queuedAt = 0
		case s.up && !s.opens.take(s.env.Now):
			e.queuedAt = s.env.Now // it does not wait for an intercept
			if !e.delayed {
				e.delayed = true
				s.env.Counts.Sessions.Delayed++
			}
			s.paced.warn(s, "clients connect faster than the target is to be connected to: sessions begin later; see --max-connects")
			kept = append(kept, e)
		case s.up:
			e.queuedAt = 0
			s.register(e)
		case s.env.Now-e.queuedAt >= interceptPatience:
			e.queuedAt = 0
			e.sess.Lose(&s.env, ledger.InterceptGone)
			s.take(e)
			s.touch(e)
		default:
			kept = append(kept, e)
		}
	}
	clear(s.opening[len(kept):])
	s.opening = kept
}

// register asks the intercept to watch for the replies to a session that is
// about to open. Nothing is sent to the target before it has agreed: the
// 4-tuple may belong to another's session.
func (s *shard) register(e *entry) {
	if !s.chooseSource(e) {
		return
	}
	for s.lastID++; s.lastID == 0 || s.ids[s.lastID] != nil; s.lastID++ {
		// A thousand connections a second use all numbers up in fifty days.
	}
	e.id = s.lastID
	e.reg, e.askedAt = registering, s.env.Now
	s.ids[e.id] = e
	e.iss = initialSequence(wire.Flow{Src: e.src, Dst: s.target}, s.clock.wall())
	s.control = control.AppendRegister(s.control, &control.Register{
		ID: e.id, Client: e.src, Target: s.target, SndUna: e.iss, Kinds: e.sess.Unanswered(nil),
	})
}

// reregister makes an intercept know an open session again.
func (s *shard) reregister(e *entry) {
	caps, extended := e.sess.InEffect()
	e.reg, e.askedAt = registering, s.env.Now
	s.control = control.AppendRegister(s.control, &control.Register{
		ID: e.id, Client: e.src, Target: s.target, Resume: true,
		RcvNxt: e.sess.Conn.RcvNxt(), SndUna: e.sess.Conn.SndUna(),
		Caps: uint32(caps), Extended: uint32(extended),
		Frame: e.sess.Frame(), Kinds: e.sess.Unanswered(nil),
	})
}

// unregister ends the intercept's watch and frees the 4-tuple.
func (s *shard) unregister(e *entry) {
	if e.reg != unregistered {
		s.control = control.AppendUnregister(s.control, &control.Unregister{ID: e.id})
	}
	e.reg = unregistered
	if e.id != 0 {
		delete(s.ids, e.id)
		e.id = 0
	}
	if s.sources[e.src] == e {
		delete(s.sources, e.src)
	}
}

// registered takes the intercept's answer to Register.
func (s *shard) registered(e *entry, status control.RegStatus) {
	if e.reg != registering {
		return
	}
	if status == control.RegOK {
		e.reg = registered
		if e.sess.Phase() == session.Queued {
			e.sess.Open(&s.env, wire.Flow{Src: e.src, Dst: s.target}, e.iss, s.mss)
		} else {
			e.sess.Resume(&s.env)
		}
		s.touch(e)
		return
	}
	fresh := e.sess.Phase() == session.Queued
	e.reg = unregistered
	s.unregister(e)
	switch {
	case status == control.RegDuplicate && fresh:
		if e.tries++; e.tries < maxTries {
			s.register(e)
			return
		}
		e.sess.Lose(&s.env, ledger.PortInUse)
	case status == control.RegLimit:
		e.sess.Lose(&s.env, ledger.Memory)
	default:
		e.sess.Lose(&s.env, ledger.InterceptGone)
	}
	s.take(e)
	s.touch(e)
}

// chooseSource decides from which address and port the session is forged: the
// client's own where that can be. It reports false when there is none, and the
// session has ended.
func (s *shard) chooseSource(e *entry) bool {
	client := e.key.Src
	src := client
	if !forgeable(client.Addr.Netip(), s.target.Addr.Is4()) {
		src.Addr = s.own()
		if !e.mapped {
			e.mapped = true
			s.env.Counts.Sessions.Mapped++
		}
	}
	if _, ok := s.interceptAddrs[src.Addr]; ok || src.Addr == s.target.Addr || src.Addr == (wire.Addr{}) {
		e.sess.Skip(&s.env, ledger.UnmappableClient)
		s.take(e)
		s.touch(e)
		return false
	}
	for ; ; e.tries++ {
		if e.tries >= maxTries {
			e.sess.Lose(&s.env, ledger.PortInUse)
			s.take(e)
			s.touch(e)
			return false
		}
		src.Port = sourcePort(client.Port, int(e.tries), s.index)
		if s.sources[src] == nil {
			break
		}
	}
	if src.Port != client.Port && !e.moved {
		e.moved = true
		s.env.Counts.Sessions.PortChanged++
	}
	e.src = src
	s.sources[src] = e
	return true
}

// own returns this host's address toward the target; zero where it has none.
func (s *shard) own() (a wire.Addr) {
	if own := s.sender.Source(); own.IsValid() {
		a = wire.AddrFrom(own)
	}
	return a
}

// forgeable reports whether packets from a can be sent to a target of the given
// family: what is not unicast or not routed cannot.
func forgeable(a netip.Addr, target4 bool) bool {
	return a.Is4() == target4 && !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// sourcePort returns the port of the given try: first the client's own, then
// ports that are spread over the range that is not reserved, differently in
// every shard.
func sourcePort(own uint16, try, shard int) uint16 {
	if try == 0 {
		return own
	}
	const low, n = 1024, 65536 - 1024
	return uint16(low + (int(own)+try*9973+shard*4099+31*try*try)%n)
}

// initialSequence returns the ISN (RFC 9293, section 3.4.1): a clock of 4 µs
// plus a hash of the 4-tuple. The hash has no secret and the clock is the wall's,
// so that it goes on rising over restarts of the program and a 4-tuple's old
// connection on the target is always behind it.
func initialSequence(f wire.Flow, now time.Time) seq.Num {
	h := uint32(2166136261) // FNV-1a
	mix := func(b byte) { h = (h ^ uint32(b)) * 16777619 }
	for _, e := range [2]wire.Endpoint{f.Src, f.Dst} {
		for _, b := range e.Addr {
			mix(b)
		}
		mix(byte(e.Port >> 8))
		mix(byte(e.Port))
	}
	return seq.Num(h + uint32(now.UnixMicro()/4))
}
