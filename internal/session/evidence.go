package session

import (
	"slices"
	"time"

	"mrtecopy/internal/seq"
)

// A place is where a PREPARE stands in the conversation with production, as far
// as the client's octets show it.
type place struct {
	end    seq.Num // the client's sequence number behind it
	ack    seq.Num // its ACK number: production's answer begins there at the earliest
	nth    uint32  // of the client's commands that have a response
	lone   bool    // nothing before it waits for its answer, which so begins at ack
	behind bool    // a command with the same ACK number waits, so it begins behind ack
	owed   uint32  // answers to come before it, at most
	moves  uint32  // how often the client's ACK number has moved between two commands so far
	blind  bool    // the answer that begins there may be one to what was not captured
	step   bool    // the client has always waited for each answer, and does
	exact  bool    // so the answer begins at ack: octets were not captured, and less would tell nothing

	bounded bool    // a later command was lone:
	until   seq.Num // production's answer begins before its ACK number, unless the client sends within an answer
}

// may reports whether an answer that begins at at, and acknowledges the client's
// octets up to ack, may be the one to p.
func (p *place) may(at, ack seq.Num) bool {
	if p.exact {
		return p.ack == at && !p.end.After(ack)
	}
	return !p.end.After(ack) && (p.ack.Before(at) || p.ack == at && !p.behind)
}

// An answer is production's to a PREPARE, as it was captured.
type answer struct {
	id     uint32  // 0: an ERR
	params uint16  // placeholders
	at     seq.Num // production's sequence number of its first octet
	ack    seq.Num // production's ACK number with it
}

// maxAnswers bounds the answers that wait for their PREPARE to be told, which may
// take until the target has answered what is queued before it.
const maxAnswers = 1024

// fits reports whether a may be production's answer to s, whatever the target
// says: the outcomes of the two servers may differ.
func (s *statement) fits(a *answer) bool {
	return s.open() && (a.id == 0 || s.within(a.id)) && s.at.may(a.at, a.ack)
}

// open reports whether production's answer to s is not known.
func (s *statement) open() bool { return s.flags&(known|failed) == 0 }

// productionAnswered takes production's answer to a PREPARE, or an ERR, which may
// answer any command. The client's octets before read were read.
func (t *statements) productionAnswered(a answer, read seq.Num) {
	switch {
	case read.Before(a.ack): // it may answer what is not read yet: see catchUp
		if len(t.early) < maxEarly {
			t.early = append(t.early, a)
		}
	case a.id == 0:
		t.refused(a)
	case !t.isKnown(a.id): // else a repeated segment: ids are not used twice on a connection
		t.accepted(a)
	}
}

// maxEarly bounds the answers that were captured before the commands: on another
// interface, or behind a hole whose end is not known yet.
const maxEarly = 1024

// catchUp takes the answers that were captured before what they may answer, once
// the client's octets before read were read.
func (t *statements) catchUp(read seq.Num) {
	if t == nil {
		return
	}
	n := 0
	for n < len(t.early) && !read.Before(t.early[n].ack) {
		n++
	}
	for _, a := range t.early[:n] {
		if !t.holes { // else it is recall's, or an answer to what was not captured
			t.productionAnswered(a, read)
		}
	}
	if t.early = slices.Delete(t.early, 0, n); len(t.early) == 0 {
		t.early = nil
	}
}

// accepted takes an OK.
func (t *statements) accepted(a answer) {
	if s := t.lone(a.at, a.ack, a.id); s != nil {
		t.learn(s, &a)
	} else if t.mayHide(&a) {
		return
	} else if s := t.wronged(&a); s != nil {
		s.flags &^= failed
		t.learn(s, &a)
	} else {
		t.wait(a)
	}
	t.match()
}

// wronged returns the PREPARE that was taken for refused although a is the answer
// to it, for it can be to no other, captured or not.
func (t *statements) wronged(a *answer) (only *statement) {
	for i := range t.all {
		s := &t.all[i]
		switch {
		case s.fits(a):
			return nil
		case s.flags&failed == 0 || !s.within(a.id) || !s.at.may(a.at, a.ack):
		case only != nil, s.flags&unsure != 0:
			return nil
		default:
			only = s
		}
	}
	return only
}

// refused takes an ERR. A PREPARE whose answer has to begin there it refuses, and
// where only PREPAREs wait for their answers, one of them.
func (t *statements) refused(a answer) {
	open := false
	for i := range t.all {
		if s := &t.all[i]; s.open() && s.at.may(a.at, a.ack) && (!s.at.bounded || a.at.Before(s.at.until)) {
			s.flags |= denied
			open = true
		}
	}
	if s := t.lone(a.at, a.ack, 0); s != nil {
		t.learn(s, &a)
		t.match()
		return
	}
	if open && !slices.ContainsFunc(t.errors, func(b answer) bool { return b.at == a.at }) {
		if len(t.errors) == maxErrors {
			t.errors = slices.Delete(t.errors, 0, maxErrors/4)
		}
		t.errors = append(t.errors, a)
	}
	if !t.repeated(a.at) && t.onlyPrepares(&a) {
		t.wait(a)
		t.match()
	}
}

// maxErrors bounds statements.errors; the latest are kept.
const maxErrors = 1024

// recall looks for the answer to s, which was just read, among those that were
// captured before it: while a hole is waited for, what is behind it is not read.
// Only a client that has always waited for each answer shows which it is.
func (t *statements) recall(s *statement) {
	later := t.early[:0]
	for _, a := range t.early {
		switch {
		case s.at.end.Before(a.ack):
			later = append(later, a)
		case s.at.exact && s.open() && s.fits(&a):
			t.learn(s, &a)
		}
	}
	if t.early = later; len(later) == 0 {
		t.early = nil
	}
}

// repeated reports whether the ERR that begins at at is known.
func (t *statements) repeated(at seq.Num) bool {
	for i := range t.all {
		if s := &t.all[i]; s.flags&failed != 0 && s.refusedAt == at {
			return true
		}
	}
	return t.sweptErr && !at.After(t.sweptAt)
}

// wait keeps an answer until its PREPARE can be told.
func (t *statements) wait(a answer) {
	at, found := slices.BinarySearchFunc(t.answers, a.at, func(b answer, at seq.Num) int { return at.To(b.at) })
	if !found && len(t.answers) < maxAnswers {
		t.answers = slices.Insert(t.answers, at, a)
	}
}

// onlyPrepares reports whether all commands that a, an ERR, may answer are
// PREPAREs.
func (t *statements) onlyPrepares(a *answer) bool {
	nth, end := uint32(0), a.ack
	for i := range t.all {
		switch s := &t.all[i]; {
		case nth == 0 && (s.flags&(known|failed) != 0 || !s.at.may(a.at, a.ack)):
			continue
		case nth == 0 && !s.at.lone && s.at.nth != t.settled+1: // another may be owed still
			return false
		case s.at.end.After(a.ack):
		case nth > 0 && s.at.nth != nth+1:
			return false
		default:
			nth, end = s.at.nth, s.at.end
		}
	}
	return nth > 0 && end == a.ack && !t.holes
}

// lone returns the PREPARE whose answer has to begin at at; nil if there is none,
// or that to another one may: the ACK number with which a client sends may lie
// within an answer. Then an id, which is 0 where production refused, shows that
// those between took one each, and nothing else did.
func (t *statements) lone(at, ack seq.Num, id uint32) *statement {
	for i := range t.all {
		if s := &t.all[i]; s.at.exact && s.flags&(known|failed) == 0 && s.at.may(at, ack) {
			return s
		}
	}
	before, nth := t.highest, t.topmost // the last one whose id is known
	others := false
	for i := range t.all {
		s := &t.all[i]
		switch {
		case s.flags&known != 0:
			before, nth, others = s.production, s.nth, false
		case s.flags&failed != 0 || !s.at.may(at, ack):
		case !s.at.lone || s.at.blind || s.at.ack != at:
			others = true
		case !others || id == before+s.nth-nth:
			return s
		default:
			others = true
		}
	}
	return nil
}

// mayHide reports whether a may answer a PREPARE that was not captured.
func (t *statements) mayHide(a *answer) bool {
	for i := range t.all {
		if s := &t.all[i]; s.flags&unsure != 0 && s.fits(a) {
			return true
		}
	}
	return false
}

// match finds out which PREPAREs the answers belong to. Both are in order, and no
// answer is without its PREPARE but a repeated one to a statement that is gone, or
// in front of what comes after a hole. So
// an answer belongs to a PREPARE for certain if that is the first it can have, and
// the last.
func (t *statements) match() {
	if len(t.answers) == 0 {
		return
	}
	begin := slices.IndexFunc(t.all, func(s statement) bool { return s.open() })
	open := t.all[max(begin, 0):]
	t.answers = slices.DeleteFunc(t.answers, func(a answer) bool {
		for i := range open {
			if !open[i].at.blind && open[i].fits(&a) {
				return false
			}
		}
		return true
	})
	n := len(t.answers)
	if n == 0 {
		t.answers = nil
		return
	}
	var few [32]struct{ first, last int }
	spans := few[:]
	if n > len(few) {
		spans = make([]struct{ first, last int }, n)
	}
	at := 0
	for i := range n {
		for at < len(open) && !open[at].fits(&t.answers[i]) {
			at++
		}
		if at == len(open) {
			return
		}
		spans[i].first = at
		at++
	}
	at = len(open) - 1
	for i := n - 1; i >= 0; i-- {
		for !open[at].fits(&t.answers[i]) {
			at--
		}
		spans[i].last = at
		at--
	}
	kept := t.answers[:0]
	for i, a := range t.answers {
		if spans[i].first == spans[i].last {
			t.learn(&open[spans[i].first], &a)
		} else {
			kept = append(kept, a)
		}
	}
	t.answers = kept
}

// trustOutcomes takes for granted that production refused what the target refused,
// where an error of production's was seen that may be the answer, if there is an
// answer to each of the other PREPAREs: then none was missed. That is looked at up
// to the id that is asked for: the target may be behind.
func (t *statements) trustOutcomes(id uint32) {
	var ids []answer
	for _, a := range t.answers {
		if a.id != 0 && a.id <= id {
			ids = append(ids, a)
		}
	}
	var whose []*statement
	errors := t.errors
	for i := range t.all {
		s := &t.all[i]
		if s.above >= id {
			break
		}
		if s.fruitless() && s.open() { // an error refuses one
			at := slices.IndexFunc(errors, func(a answer) bool { return s.at.may(a.at, a.ack) })
			if at < 0 {
				return
			}
			errors = errors[at+1:]
		}
		if s.fruitless() || !slices.ContainsFunc(ids, func(a answer) bool { return s.fits(&a) }) {
			continue
		}
		if s.at.blind || len(whose) == len(ids) || !s.fits(&ids[len(whose)]) {
			return
		}
		whose = append(whose, s)
	}
	if len(whose) < len(ids) {
		return
	}
	for i, s := range whose {
		t.learn(s, &ids[i])
	}
	t.match() // which drops what is known
}

// learn takes a for production's answer to s.
func (t *statements) learn(s *statement, a *answer) {
	if a.id == 0 {
		s.flags |= failed
		s.refusedAt = a.at
	} else {
		t.know(s, a.id)
		s.spoken, s.counted = a.params, true
	}
	if s.at.nth > t.settled {
		t.settled, t.settledAt, t.settling = s.at.nth, a.at, true
	}
	if !s.at.exact {
		return
	}
	for i := range t.all { // the answers to those before s fell into a hole
		if o := &t.all[i]; o.nth < s.nth && o.open() {
			t.abandon(o)
		}
	}
}

// between returns how many ids at least lie between those of the client's nth
// PREPARE and a later one: each takes an id, also one that fails, and begins
// behind all before it. What was read behind a hole may be none.
func (t *statements) between(nth, later uint32) uint32 {
	if t.holes {
		return 0
	}
	return later - nth - 1
}

// know takes production's id for s. Ids rise in the order of the PREPAREs.
func (t *statements) know(s *statement, id uint32) {
	for i := range t.all {
		switch o := &t.all[i]; {
		case o.flags&known != 0:
		case o.nth > s.nth:
			o.above = max(o.above, id+t.between(s.nth, o.nth))
		case o.nth < s.nth:
			below := id - min(id, t.between(o.nth, s.nth))
			if o.below == 0 || below < o.below {
				o.below = max(below, 1)
			}
		}
		if o := &t.all[i]; o.production == id {
			o.flags &^= guessed
		}
	}
	s.production = id
	s.flags = s.flags&^guessed | known
	if id > t.highest {
		t.highest, t.topmost = id, s.nth
	}
}

// isKnown reports whether id is some statement's.
func (t *statements) isKnown(id uint32) bool {
	for i := range t.all {
		if s := &t.all[i]; s.flags&known != 0 && s.production == id {
			return true
		}
	}
	return false
}

// idWait is how long a command waits for production's answer to the PREPARE of
// its statement, and where PREPAREs are pipelined for those to others: what the
// target answered is evidence only where no more are to be expected. Production
// gave it before the client used it, but on another interface it may be captured a
// little later.
const idWait = 50 * time.Millisecond

// identify returns the statement that a command means by an id that is nobody's
// yet; nil where that cannot be told. Or it says what to wait for.
func (t *statements) identify(now time.Duration, u use) (*statement, gate) {
	t.match()
	if s := t.find(u.id); s != nil {
		return s, gateNone
	}
	if t.candidates(u, answered) {
		return nil, gateStatement // the target's answer may tell
	}
	if u.id != t.vain && now-u.at < idWait {
		return nil, gateProductionID
	}
	t.vain = u.id
	if !t.earlier {
		t.trustOutcomes(u.id)
	}
	if s := t.find(u.id); s != nil {
		return s, gateNone
	}
	s := t.infer(u)
	if s != nil {
		s.production = u.id
		s.flags |= guessed
	}
	return s, gateNone
}

// infer returns the statement that the client means by an id which production
// gave unseen; nil where that is not certain. Servers give rising numbers, one
// for each PREPARE, and others in between that no client command shows (to
// PREPAREs in SQL). So an id belongs to the one statement between whose
// neighbours' ids it lies; or where the neighbours' show that there were no
// others in between, to the one in its place.
func (t *statements) infer(u use) *statement {
	if t.holes || t.earlier || slices.ContainsFunc(t.answers, func(a answer) bool { return a.id != 0 }) {
		return nil
	}
	var only, below *statement
	several := false
	for i := range t.all {
		s := &t.all[i]
		switch {
		case s.flags&known != 0 && s.production < u.id:
			only, below, several = nil, s, false
		case s.flags&known != 0:
			if below != nil && s.production-below.production == s.nth-below.nth {
				return t.unresolved(below.nth+u.id-below.production, u)
			}
			if several {
				return nil
			}
			return only
		case s.flags&sent == 0 || s.fruitless() || !s.meant(u):
		default:
			several = only != nil
			only = s
		}
	}
	if several {
		return nil
	}
	return only
}

// unresolved returns the nth PREPARE's statement if the command may mean it.
func (t *statements) unresolved(nth uint32, u use) *statement {
	for i := range t.all {
		if s := &t.all[i]; s.nth == nth && s.flags&(sent|gone|known) == sent && !s.fruitless() && s.meant(u) {
			return s
		}
	}
	return nil
}

// unknown reports whether production's answer to a PREPARE may still come.
func (t *statements) unknown() bool {
	if t == nil {
		return false
	}
	for i := range t.all {
		if t.all[i].flags&(known|gone|failed) == 0 {
			return true
		}
	}
	return false
}
