package session

// ConnectionIDs say which connection on the target replays one of production's,
// by the ids that the servers gave them in their greetings: a client that kills
// another one names it by production's id.
type ConnectionIDs interface {
	// Add says that production's connection is replayed by the target's.
	Add(production, target uint32)
	// Remove takes that back.
	Remove(production, target uint32)
	// Target returns the target's connection for production's.
	Target(production uint64) (target uint32, ok bool)
	// Kill says that a KILL of production's connection is replayed.
	Kill(production uint64)
	// Killed reports whether that was said.
	Killed(production uint32) bool
}

// connected makes the session known under production's id of its connection.
func (s *Session) connected(e *Env) {
	if e.IDs != nil && s.productionID != 0 {
		e.IDs.Add(s.productionID, s.targetID)
	}
}

// killed reports whether a client's KILL of the session was replayed.
func (s *Session) killed(e *Env) bool {
	return e.IDs != nil && s.productionID != 0 && e.IDs.Killed(s.productionID)
}

// disconnected takes that back.
func (s *Session) disconnected(e *Env) {
	if e.IDs != nil && s.productionID != 0 && s.phase >= Ready {
		e.IDs.Remove(s.productionID, s.targetID)
	}
}
