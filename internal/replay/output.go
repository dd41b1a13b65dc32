package replay

import (
	"strings"

	"mrtecopy/internal/control"
	"mrtecopy/internal/wire"
)

// take empties the output of the last call on e's session: segments go into the
// send batch, what was sent is told to the intercept. It must follow every call,
// for the segments are views.
func (s *shard) take(e *entry) {
	out := &s.env.Out
	if out.InEffect || len(out.Kinds) > 0 {
		if e.reg != unregistered {
			if out.InEffect {
				s.control = control.AppendLogin(s.control, &control.Login{ID: e.id, Caps: uint32(out.Caps), Extended: uint32(out.Extended)})
			}
			s.control = control.AppendKinds(s.control, &control.Kinds{ID: e.id, Kinds: out.Kinds})
		}
		out.InEffect = false
		out.Kinds = out.Kinds[:0]
	}
	if len(out.Segments) > 0 {
		for i := range out.Segments {
			seg := &out.Segments[i]
			if !s.guard.passes(s.env.Now, seg) {
				s.env.Counts.Send.HeldBack++
				s.guarded.warn(s, "more SYNs and RSTs than the target is to get in a second: they wait, or are sent again; see --max-connects")
				continue
			}
			s.transmit(seg)
		}
		clear(out.Segments)
		out.Segments = out.Segments[:0]
	}
	if out.Unknown {
		out.Unknown = false
		user := brief(out.UnknownUser)
		s.sayOnce("unknown user\x00"+user, "no credentials for a user, whose sessions are skipped", "user", user)
	}
	if r := out.Refused; r != nil {
		out.Refused = nil
		s.sayRefused(r.User, r.Target, r.Text)
	}
}

// transmit adds seg to the send batch.
func (s *shard) transmit(seg *wire.Segment) {
	b := seg.Append(s.sender.Next())
	send := &s.env.Counts.Send
	send.Segments++
	send.Bytes += uint64(len(b))
	s.sender.Commit(b)
}

// sayRefused logs a refused login, once per user and reason.
func (s *shard) sayRefused(user, target, text string) {
	const most = 512 // the target wrote it
	text = text[:min(len(text), most)]
	user, target = brief(user), brief(target)
	s.sayOnce(user+"\x00"+target+"\x00"+text, "the target refused a login", "user", user, "as", target, "error", text)
}

// brief returns as much of a name as any server takes for one (MariaDB: 128
// characters); a client may write 64 KiB.
func brief(name string) string { return strings.Clone(name[:min(len(name), 4*128)]) }

// sayOnce logs a message once for each key.
func (s *shard) sayOnce(key, message string, args ...any) {
	if _, ok := s.said[key]; ok || len(s.said) >= maxSaid {
		return
	}
	s.said[key] = struct{}{}
	s.log.Warn(message, args...)
}

// flush sends what the turn produced: first what the intercept must know of it.
func (s *shard) flush() {
	if len(s.control) > 0 {
		s.link.send(s.control)
		s.control = s.control[:0]
	}
	s.sendHeld()
	s.sender.Flush()
}
