package replay

import (
	"slices"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

const (
	// observerPatience is how long a connection waits for what the observer knows.
	// Its commands are kept meanwhile.
	observerPatience = 30 * time.Second
	// betterPatience is how long one waits, of which something is known, for a look
	// that finds it at rest.
	betterPatience = 15 * time.Second
	// maxAsks is how often the observer is asked about a connection that it does not
	// know, or that was in use whenever it looked.
	maxAsks = 2
)

// An observed is what a shard keeps of what the observer told, and what it waits
// for.
type observed struct {
	*observer.Observer
	dialect  *session.Dialect           // nil: unknown
	awaiting map[wire.Endpoint][]*entry // those whose answer is awaited
	joining  map[*entry]*joining        // those that are not adopted yet
	held     int                        // octets of what these were told
}

// A joining is a connection that the observer is asked about.
type joining struct {
	asks   int            // how often it was
	seen   *observer.Seen // what it told last, while it is asked again
	saidAt time.Duration  // when the last octets of the client were captured
	tellBy time.Duration  // when what is known must be told
}

// isObserver reports whether a client is the observer itself, which is not
// replayed.
func (s *shard) isObserver(client wire.Endpoint) bool {
	return s.observed.Observer != nil && s.observed.Own(client)
}

// observe begins the adoption of a connection that was open before, by what the
// observer knows of it, or will find out.
func (s *shard) observe(e *entry) {
	seen, ended, ok := s.observed.Recall(e.key.Src)
	if ok && seen.Idle && ended.Sub(s.clock.start) < s.env.At {
		// It slept when it was looked at, and this is the first that is captured of
		// it since.
		s.adoptSeen(e, seen, true)
		return
	}
	j := &joining{tellBy: s.env.Now + observerPatience}
	s.observed.joining[e] = j
	s.ask(e, j)
}

// ask asks the observer about a connection, without waiting.
func (s *shard) ask(e *entry, j *joining) {
	j.asks++
	s.observed.awaiting[e.key.Src] = append(s.observed.awaiting[e.key.Src], e)
	s.observed.Ask(e.key.Src)
}

// looked takes what the observer saw.
func (s *shard) looked(l *observer.Look) {
	o := &s.observed
	if l.Dialect != nil && o.dialect == nil {
		o.dialect = l.Dialect
	}
	began := l.Began.Sub(s.clock.start)
	for client, seen := range l.Told {
		waiting := o.awaiting[client]
		delete(o.awaiting, client)
		for _, e := range waiting {
			s.tell(e, seen, began)
		}
		if s.captured(client) {
			o.Recall(client) // nobody will
		}
	}
}

// captured reports whether a connection of a client is known, whose address is
// zero where production has only its name.
func (s *shard) captured(client wire.Endpoint) bool {
	if client == observer.ByPort(client) {
		for flow := range s.flows {
			if flow.Src.Port == client.Port {
				return true
			}
		}
		return false
	}
	for server := range s.servers {
		if s.flows[wire.Flow{Src: client, Dst: wire.Endpoint{Addr: server, Port: s.port}}] != nil {
			return true
		}
	}
	return false
}

// tell takes what a look, since began, saw of a connection that was asked about;
// nil: production does not know it.
func (s *shard) tell(e *entry, seen *observer.Seen, began time.Duration) {
	j := s.observed.joining[e]
	if j == nil || !e.sess.AwaitsState() {
		return
	}
	quiet := seen != nil && seen.Idle && j.saidAt < began // nothing was captured of it since
	if seen == nil {
		seen = j.seen // its client has left meanwhile
	}
	s.hold(j, nil)
	switch {
	case !quiet && j.asks < maxAsks:
		s.hold(j, seen)
		if seen != nil {
			j.tellBy = min(j.tellBy, s.env.Now+betterPatience)
			s.touch(e) // for its timer
		}
		s.ask(e, j)
	case seen != nil:
		s.adoptSeen(e, seen, quiet)
	default:
		s.adoptBare(e)
	}
}

// hold keeps what was told of a connection while it is asked about again.
func (s *shard) hold(j *joining, seen *observer.Seen) {
	s.observed.held += seen.Size() - j.seen.Size()
	j.seen = seen
}

// adoptSeen adopts a connection with its state; quiet says that it is as it was
// read.
func (s *shard) adoptSeen(e *entry, seen *observer.Seen, quiet bool) {
	st := seen.State
	if st.Quiet = quiet; !quiet {
		st.Lacks = st.Lacks.With(ledger.LacksQuiet)
		st.Completeness = ledger.Partly
	}
	if s.dialects[e.key.Dst.Addr] == nil && s.observed.dialect != nil {
		e.sess.ProductionGreeted(s.observed.dialect, false)
	}
	s.unask(e)
	e.sess.Adopt(&s.env, &st)
	s.take(e)
	s.touch(e)
}

// notTold adopts a connection without its state, as far as it may be, when the
// observer has not told it in time.
func (s *shard) notTold(e *entry) {
	switch j := s.observed.joining[e]; {
	case j == nil || j.tellBy > s.env.Now || !e.sess.AwaitsState():
	case j.seen != nil:
		s.adoptSeen(e, j.seen, false)
	default:
		s.adoptBare(e)
	}
}

// unask forgets that the observer was asked about a connection.
func (s *shard) unask(e *entry) {
	waiting := s.observed.awaiting
	j := s.observed.joining[e]
	if j == nil {
		return
	}
	s.hold(j, nil)
	delete(s.observed.joining, e)
	rest := slices.DeleteFunc(waiting[e.key.Src], func(o *entry) bool { return o == e })
	if len(rest) == 0 {
		delete(waiting, e.key.Src)
	} else {
		waiting[e.key.Src] = rest
	}
}
