package replay

import (
	"net/netip"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// An Adoption says what becomes of the connections that were open before the
// capture began.
type Adoption uint8

const (
	// AdoptNone: they are skipped.
	AdoptNone Adoption = iota
	// AdoptPackets: what their packets tell is all that is known of them.
	AdoptPackets
	// AdoptObserver: production is asked about them.
	AdoptObserver
)

// An AdoptRule says as which user, by the names of production, sessions are adopted
// of which nothing else tells the user.
type AdoptRule struct {
	From netip.Prefix // their clients' network
	User string
}

// bareState is what is assumed of a connection of which nothing is known but its
// client's address; nil where no rule names a user.
func (s *shard) bareState(client wire.Addr) *session.State {
	a := client.Netip()
	for _, r := range s.adoptRules {
		if r.From.Contains(a) {
			return &session.State{User: r.User, Schema: s.adoptSchema, Completeness: ledger.Bare}
		}
	}
	return nil
}

// adopt begins to adopt a connection that is seen for the first time, in its
// middle.
func (s *shard) adopt(e *entry) {
	if s.observed.Observer != nil {
		s.observe(e)
	} else {
		s.adoptBare(e)
	}
}

// adoptBare adopts a connection of which nothing is known, where a rule allows it.
func (s *shard) adoptBare(e *entry) {
	s.unask(e)
	if st := s.bareState(e.key.Src.Addr); st != nil {
		e.sess.Adopt(&s.env, st)
	} else {
		e.sess.Skip(&s.env, ledger.OpenedBeforeStart)
	}
	s.take(e)
	s.touch(e)
}

// joinDeadline returns when a connection whose middle was seen is given up; 0: it
// is none.
func (s *shard) joinDeadline(e *entry) time.Duration {
	switch j := s.observed.joining[e]; {
	case j != nil && e.sess.AwaitsState():
		return j.tellBy
	case e.sess.Joining():
		return e.seenAt + idleLimit
	}
	return 0
}
