package policy

// A Why is why a statement is replayed or not.
type Why uint8

const (
	// Replayed: nothing speaks against it.
	Replayed Why = iota
	// ByPolicy: the table skips its class.
	ByPolicy
	// ByOnlyRead: it may write, lock or cannot be judged, and only reads are
	// wanted.
	ByOnlyRead
	// ByExclude: one of the operator's expressions matches.
	ByExclude
)

// String returns a word for it.
func (w Why) String() string {
	switch w {
	case Replayed:
		return "replayed"
	case ByPolicy:
		return "policy"
	case ByOnlyRead:
		return "only_read"
	case ByExclude:
		return "exclude"
	}
	return "unknown"
}

// A Verdict is what becomes of a statement or command.
type Verdict struct {
	Why   Why
	Class Class // of the rule, with ByPolicy
	Kill  Kill  // with Replayed, for a KILL
}

// A Kill is where a statement that kills names the connection: production's id,
// which has to be replaced by the target's. The zero Kill is none.
type Kill struct {
	ID uint64
	// Query: only what the connection is doing is killed, not the connection.
	Query bool
	// Start and End are the octets of the id: decimal digits in the text of a
	// KILL, int<4> in the payload of a COM_PROCESS_KILL.
	Start, End int
}
