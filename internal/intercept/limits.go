package intercept

import (
	"cmp"
	"slices"

	"mrtecopy/internal/control"
)

// maxConnections bounds the control connections of those who have the key: a
// mrtecopy makes one for each shard, and each may take 45 MiB to send.
const maxConnections = 256

// account brings work.kinds up to date with what is expected on s.
func (e *engine) account(s *session) {
	n := int32(s.tracker.Storage())
	e.work.kinds += int(n - s.kinds)
	s.kinds = n
}

// shed makes room where all sessions together hold too much: first of what the
// target sends again, then the sessions are given up on which most commands are
// unanswered.
func (e *engine) shed() {
	e.work.makeRoom(0, 0)
	if e.work.held() <= e.config.MaxHeld {
		return
	}
	var most []*session
	for _, s := range e.sessions {
		if s.kinds > 0 {
			most = append(most, s)
		}
	}
	slices.SortFunc(most, func(a, b *session) int { return cmp.Compare(b.kinds, a.kinds) })
	for _, s := range most {
		if e.work.held() <= e.config.MaxHeld-e.config.MaxHeld/16 {
			break
		}
		e.lose(s, control.LostMemory)
	}
}

// tellLimits says that a limit was reached, and what mends it.
func (e *engine) tellLimits() {
	w := &e.work
	if w.shed > e.told.shed {
		e.warn("held", "memory limit reached: what the sessions that hold most held is dropped, and the target sends it again; raise --max-memory",
			"sessions", w.shed-e.told.shed, "limit", w.limit)
		e.told.shed = w.shed
	}
	if w.refused > e.told.refused {
		e.warn("refused", "no room for segments out of order: the target sends them again; see the drops of kernel and network, or raise --max-memory",
			"segments", w.refused-e.told.refused)
		e.told.refused = w.refused
	}
}
