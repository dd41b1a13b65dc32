package replay

import (
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/session"
)

// memory returns the octets the shard's sessions hold.
func (s *shard) memory() int { return s.env.Pool.InUse() + s.env.Records + len(s.entries)*entryCost }

// evict makes room for one session: it forgets a connection of which nothing is
// expected, because it is not replayed, or because more than a second after its
// SYN nothing followed. A flood of SYNs, or of stray data, fills the memory with
// these. Some entries are looked at, in the map's random order.
func (s *shard) evict() bool {
	tries := 16
	for e := range s.entries {
		phase := e.sess.Phase()
		silent := phase == session.Reading && e.seenAt+time.Second <= s.env.Now
		if !e.dirty && !e.detached && (silent || phase == session.Over) && e.stream.Deadline() == 0 {
			e.sess.ClientGone(&s.env)
			s.take(e)
			s.remove(e)
			return true
		}
		if tries--; tries == 0 {
			break
		}
	}
	return false
}

// shedAgain is how long shed rests when it found nothing to end: what is over the
// limit then is held behind holes, or counted and not replayed, for a moment.
const shedAgain = 10 * time.Millisecond

// shed ends the sessions that hold most until the memory is within its limit.
func (s *shard) shed() {
	for s.memory() > s.budget && s.env.Now >= s.shedNext {
		if s.evict() {
			continue
		}
		var most *entry
		size := 0
		for e := range s.entries {
			if n := e.sess.Storage(); n > size && e.sess.Undecided() {
				most, size = e, n
			}
		}
		if most == nil {
			s.shedNext = s.env.Now + shedAgain
			return
		}
		s.sayShed(most.key.Src.String(), size)
		most.sess.Lose(&s.env, ledger.Memory)
		s.take(most)
		s.touch(most)
		if most.sess.Undecided() {
			return // stopped: its outcome stays open, and so does its storage
		}
	}
}

// sayShed logs a shed session, every ten seconds at the most.
func (s *shard) sayShed(who string, size int) {
	if s.shedAt != 0 && s.env.Now-s.shedAt < 10*time.Second {
		return
	}
	s.shedAt = s.env.Now
	s.log.Warn("memory limit reached: sessions are shed; raise --max-memory, or the target is slower than production",
		"session", who, "octets", size, "limit", s.budget, "shard", s.index)
}
