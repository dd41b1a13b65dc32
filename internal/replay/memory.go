package replay

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/session"
)

// A roster counts the connections that all shards know.
type roster struct {
	limit int64
	n     atomic.Int64
}

// join takes a place, or reports that there is none.
func (r *roster) join() bool {
	if r.n.Add(1) > r.limit {
		r.n.Add(-1)
		return false
	}
	return true
}

func (r *roster) leave() { r.n.Add(-1) }

// memory returns the octets the shard's connections hold.
func (s *shard) memory() int {
	return s.env.Pool.InUse() + s.env.Records + len(s.entries)*entryCost + s.observed.held
}

// cost returns the octets e holds beside its entryCost.
func (e *entry) cost() int { return e.sess.Storage() + e.stream.Storage() }

// account brings Env.Records up to date with what e's stream holds.
func (s *shard) account(e *entry) {
	n := e.stream.Records()
	s.env.Records += n - e.counted
	e.counted = n
}

// place makes room for one more connection, or says why there is none. Only one
// whose beginning was captured is worth that another is forgotten for it.
func (s *shard) place(opens bool) ledger.Reason {
	if s.memory()+entryCost > s.budget && !(opens && s.evict(ledger.Memory)) {
		s.fullMemory.warn(s, "memory limit reached: new sessions are skipped; raise --max-memory", "limit", s.budget)
		return ledger.Memory
	}
	if !s.roster.join() && !(opens && s.evict(ledger.SessionLimit) && s.roster.join()) {
		s.fullRoster.warn(s, "session limit reached: new sessions are skipped; raise --max-sessions, and --max-memory with it", "limit", s.roster.limit)
		return ledger.SessionLimit
	}
	return ledger.None
}

// evict makes room for one session: it forgets a connection of which nothing is
// expected, because it is not replayed, or because more than a second after its
// SYN nothing followed. A flood of SYNs, or of stray data, fills the memory with
// these. One whose state is awaited is skipped for why. Some entries are looked at,
// in the map's random order. Those that Stop left open have to stay, to be counted
// as such.
func (s *shard) evict(why ledger.Reason) bool {
	if s.stage >= draining {
		return false
	}
	tries := 16
	for e := range s.entries {
		phase := e.sess.Phase()
		silent := phase == session.Reading && e.seenAt+time.Second <= s.env.Now
		if !e.dirty && !e.detached && (silent || phase == session.Over) && e.stream.Deadline() == 0 {
			e.sess.ClientGone(&s.env)
			if e.sess.AwaitsState() {
				e.sess.Skip(&s.env, why)
			}
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

// A costly is an entry with its cost at the time of looking.
type costly struct {
	entry *entry
	size  int
}

// shedAgain is how long shed rests when it could not free enough, unless a
// sixteenth of the limit came on top: what is over it then belongs to sessions
// that are being stopped, or to so many that are over that the turn has to end.
const shedAgain = 10 * time.Millisecond

// shed ends the sessions that hold most when the memory is over its limit, and
// drops what is held behind holes of those that are only counted. It goes a
// sixteenth below, so that a limit that is reached all the time does not have
// all entries looked at all the time.
func (s *shard) shed() {
	if m := s.memory(); m <= s.budget || m < s.shedAbove && s.env.Now < s.shedNext {
		return
	}
	for s.memory() > s.budget && s.evict(ledger.Memory) {
	}
	if s.memory() <= s.budget {
		return
	}
	for e := range s.entries {
		n := e.cost()
		if j := s.observed.joining[e]; j != nil {
			n += j.seen.Size()
		}
		if n > 0 && (e.sess.Undecided() || e.stream.Storage() > 0) {
			s.costly = append(s.costly, costly{e, n})
		}
	}
	slices.SortFunc(s.costly, func(a, b costly) int { return cmp.Compare(b.size, a.size) })
	for _, c := range s.costly {
		if s.memory() <= s.budget-s.budget/16 {
			break
		}
		s.shedMemory.warn(s, "memory limit reached: the sessions that hold most are given up; raise --max-memory, or see why the target is slower than production",
			"session", c.entry.key.Src, "octets", c.size, "limit", s.budget)
		s.giveUp(c.entry, ledger.Memory)
	}
	clear(s.costly)
	s.costly = s.costly[:0]
	if s.memory() > s.budget {
		s.shedNext, s.shedAbove = s.env.Now+shedAgain, s.memory()+s.budget/16
	}
}

// checkSize ends e's session if it alone holds more than one may.
func (s *shard) checkSize(e *entry) {
	n := e.cost()
	if n <= s.sessionBudget {
		return
	}
	s.shedSession.warn(s, "a session holds more than one may and is given up; raise --max-session-memory, or see why the target is slower than production",
		"session", e.key.Src, "octets", n, "limit", s.sessionBudget)
	s.giveUp(e, ledger.SessionMemory)
}

// giveUp ends e's replay and frees what it holds.
func (s *shard) giveUp(e *entry, why ledger.Reason) {
	e.sess.Lose(&s.env, why)
	s.unask(e)
	s.take(e)
	e.stream.Release(&s.env.Pool)
	s.account(e)
	s.touch(e)
}

// A seldom keeps what clients can cause from filling the log.
type seldom struct {
	at     time.Duration // of the last line
	untold int
}

// saySeldom is how much time lies between two lines of a kind.
const saySeldom = 10 * time.Second

// warn logs, unless it did so a moment ago.
func (l *seldom) warn(s *shard, msg string, args ...any) {
	if l.at != 0 && s.env.Now-l.at < saySeldom {
		l.untold++
		return
	}
	s.log.Warn(msg, append(args, "shard", s.index, "more", l.untold)...)
	l.at, l.untold = s.env.Now, 0
}
