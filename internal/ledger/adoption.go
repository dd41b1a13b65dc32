package ledger

import (
	"fmt"
	"strings"
)

// A Completeness says how much of an adopted session's state was known: what its
// client had done before the capture began.
type Completeness uint8

const (
	// Whole: all that a server tells of a connection was set up on the target.
	Whole Completeness = iota
	// Partly: some of it was; Lacks say what was not.
	Partly
	// Bare: nothing is known but the commands that came since.
	Bare

	// NumCompleteness is the length of an array indexed by Completeness.
	NumCompleteness
)

var completenessNames = [NumCompleteness]string{"whole", "partly", "bare"}

// String returns the name that the summary uses.
func (c Completeness) String() string { return completenessNames[c] }

// A Lack is something of a partly adopted session's state that could not be set
// up on the target.
type Lack uint8

const (
	// LacksVariables: production does not tell its session variables.
	LacksVariables Lack = iota
	// LacksUserVariables: production does not tell its user variables, or not
	// whole.
	LacksUserVariables
	// LacksStatements: production does not tell its prepared statements, or the
	// text of one is cut.
	LacksStatements
	// LacksTransaction: it was joined in the middle of a transaction.
	LacksTransaction
	// LacksTemporaryTables: it had temporary tables, which cannot be rebuilt.
	LacksTemporaryTables
	// LacksLocks: it held locks: GET_LOCK, LOCK TABLES.
	LacksLocks
	// LacksQuiet: it was in use whenever it was looked at, so what was read may be
	// a moment younger than the first commands replayed.
	LacksQuiet
	// LacksSettings: the target refused a part of the set-up.
	LacksSettings

	// NumLacks is the length of an array indexed by Lack.
	NumLacks
)

var lackNames = [NumLacks]string{"variables", "user_variables", "statements", "transaction", "temporary_tables", "locks", "quiet", "settings"}

// String returns the name that the summary uses.
func (l Lack) String() string { return lackNames[l] }

// Lacks is a set of them.
type Lacks uint16

// With returns the set with l in it.
func (s Lacks) With(l Lack) Lacks { return s | 1<<l }

// Has reports whether l is in the set.
func (s Lacks) Has(l Lack) bool { return s&(1<<l) != 0 }

// Adoption counts the sessions that were open before the capture began and are
// replayed from some command on.
type Adoption struct {
	Sessions [NumCompleteness]uint64 // of Sessions.Captured
	Without  [NumLacks]uint64        // of these: what could not be set up
}

// Adopted counts a session whose state lacks these.
func (a *Adoption) Adopted(c Completeness, lacks Lacks) {
	a.Sessions[c]++
	for l := range NumLacks {
		if lacks.Has(l) {
			a.Without[l]++
		}
	}
}

// Lacking says that an adopted session that was whole or partly adopted turned
// out to lack l as well. It was counted with had.
func (a *Adoption) Lacking(c Completeness, had Lacks, l Lack) {
	if had.Has(l) {
		return
	}
	a.Without[l]++
	if c == Whole && had == 0 {
		a.Sessions[Whole]--
		a.Sessions[Partly]++
	}
}

// Total is how many sessions were adopted.
func (a *Adoption) Total() (n uint64) {
	for _, v := range a.Sessions {
		n += v
	}
	return n
}

func (a *Adoption) add(o *Adoption) {
	for i := range a.Sessions {
		a.Sessions[i] += o.Sessions[i]
	}
	for i := range a.Without {
		a.Without[i] += o.Without[i]
	}
}

// AdoptionSummary is an Adoption in the form of --summary.
type AdoptionSummary struct {
	Whole   uint64            `json:"whole"`
	Partly  uint64            `json:"partly"`
	Bare    uint64            `json:"bare"`
	Without map[string]uint64 `json:"without"`
}

func (a *Adoption) summary() AdoptionSummary {
	s := AdoptionSummary{Whole: a.Sessions[Whole], Partly: a.Sessions[Partly], Bare: a.Sessions[Bare], Without: make(map[string]uint64)}
	for l, n := range a.Without {
		if n > 0 {
			s.Without[Lack(l).String()] = n
		}
	}
	return s
}

// text says how complete the sessions were adopted.
func (a *AdoptionSummary) text() string {
	var parts []string
	part := func(n uint64, what string) {
		if n > 0 {
			parts = append(parts, grouped(n)+" "+what)
		}
	}
	part(a.Whole, "with their state")
	part(a.Partly, "with a part of it")
	part(a.Bare, "from their packets alone")
	for _, lack := range largestFirst(a.Without) {
		parts = append(parts, fmt.Sprintf("without %s: %s", lackText(lack), grouped(a.Without[lack])))
	}
	return strings.Join(parts, ", ")
}

// lackText is what a lack is for a reader.
func lackText(name string) string { return strings.ReplaceAll(name, "_", " ") }
