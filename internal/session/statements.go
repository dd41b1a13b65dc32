package session

import (
	"slices"
	"sort"
	"time"
	"unsafe"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// lastPrepared is the statement id that MariaDB takes for the last statement
// prepared (MariaDB's documentation of COM_STMT_EXECUTE).
const lastPrepared = 0xffffffff

// A statement is one COM_STMT_PREPARE of the client.
type statement struct {
	production, target uint32 // the ids the servers gave
	at                 place
	refusedAt          seq.Num // where production's ERR began, with failed
	nth                uint32  // of the client's PREPAREs
	above, below       uint32  // where production's id lies, by those that are known; below 0: anywhere
	params             uint16  // placeholders by the target's answer
	spoken             uint16  // placeholders by production's answer, with counted
	flags              statementFlags
	counted            bool          // spoken is known
	longData           bool          // COM_STMT_SEND_LONG_DATA came since the last EXECUTE
	tainted            bool          // an EXECUTE that used up long data may not have been captured
	untyped            bool          // prepared before its session was adopted: the types of its parameters are not known
	why                ledger.Reason // refused by us: it was left out
	bound              *binding      // where its executions are rewritten; else nil
}

// A binding is what a COM_STMT_EXECUTE says by leaving it out.
type binding struct {
	types []byte // of the parameters: 2 bytes each
	long  []byte // a bit for each parameter that COM_STMT_SEND_LONG_DATA sent since the last EXECUTE
}

// differs reports whether the servers see another number of placeholders, as they
// do in executable comments: values cannot be told apart then.
func (s *statement) differs() bool {
	return s.flags&answered != 0 && s.counted && s.spoken != s.params
}

// fruitless reports whether s is nobody's, in all likelihood: the target refused
// it, and production refused what may have been it.
func (s *statement) fruitless() bool {
	return s.flags&(refused|denied|known) == refused|denied && s.why == ledger.None
}

// vague reports whether s did not come to the target, but may be on production.
func (s *statement) vague() bool { return s.flags&(refused|known|failed) == refused }

// mayBe reports whether id may be production's for s, which is not known.
func (s *statement) mayBe(id uint32) bool {
	return s.flags&(known|gone|failed) == 0 && s.within(id) && (s.flags&guessed == 0 || s.production == id)
}

// meant reports whether a command may mean s, which is not known: its client has
// read production's answer.
func (s *statement) meant(u use) bool { return s.mayBe(u.id) && s.at.ack.Before(u.ack) }

// within reports whether id lies where production's for s does.
func (s *statement) within(id uint32) bool {
	return s.above < id && (s.below == 0 || id < s.below)
}

// binding returns where s keeps what its executions leave out.
func (s *statement) binding() *binding {
	if s.bound == nil {
		s.bound = new(binding)
	}
	return s.bound
}

// addLongData notes that a parameter has no value in the next EXECUTE.
func (s *statement) addLongData(param uint16, stripping bool) {
	s.longData = true
	if !stripping && s.flags&doubtful == 0 || param >= s.params {
		return
	}
	b := s.binding()
	for len(b.long) <= int(param/8) {
		b.long = append(b.long, 0)
	}
	b.long[param/8] |= 1 << (param % 8)
}

// noLongData says that the long data was used up, or taken back.
func (s *statement) noLongData() {
	s.longData = false
	if s.bound != nil {
		s.bound.long = s.bound.long[:0]
	}
}

type statementFlags uint16

const (
	known    statementFlags = 1 << iota // production's id was captured
	guessed                             // production's id was not, but can be no other's
	answered                            // the target answered
	refused                             // with an error
	gone                                // closed by COM_STMT_CLOSE, or by a reset of the session, or given up
	sent                                // the PREPARE went to the target
	failed                              // production refused it
	denied                              // an error of production's was captured that may be the answer to it
	doubtful                            // octets were not captured, which may have been long data for its next EXECUTE
	unsure                              // behind it octets were not captured, which may have held another PREPARE
	orphan                              // nothing can name it any more, and it is open on the target
)

// statements maps the ids of prepared statements from production to the target,
// by the answers of both. Ids cannot be assumed: MariaDB's go on from whatever
// the server thread did before. What answer of production's belongs to which
// PREPARE is told in evidence.go.
type statements struct {
	all     []statement // in the order of the PREPAREs
	answers []answer    // of production's, in their order, whose PREPARE is not known yet
	sentTo  int         // all[:sentTo] were sent or left out
	ended   int         // all[:ended] were answered by the target
	count   uint32      // PREPAREs so far
	highest uint32      // of production's ids that are known
	topmost uint32      // which of the client's PREPAREs it was given to
	vain    uint32      // the last id whose answer was waited for in vain
	errors  []answer    // ERRs that may be the answer to one
	early   []answer    // captured before what they may answer
	unbound uint32      // PREPAREs at the end of all behind which no command was lone yet
	settled uint32      // so many of the client's commands production has answered, as far as this shows it
	holes   bool        // octets were not captured, which may have held a PREPARE
	gapped  bool        // and no command was behind them yet
	orphans bool        // there are some
	earlier bool        // what waits to be sent may name statements from before the session was adopted

	sweptErr bool    // a PREPARE that production refused was swept
	sweptAt  seq.Num // where the ERR began, of the last one

	settledAt seq.Num // where the answer to the last of them begins
	settling  bool    // the client has not read it

	// Of the last PREPARE that was sent or left out.
	last    uint32        // which of the client's it was
	lastWhy ledger.Reason // it was left out
	hidden  bool          // one behind it may not have been captured
}

// prepared returns the session's statements. Most sessions never prepare one.
func (s *Session) prepared() *statements {
	if s.statements == nil {
		s.statements = new(statements)
	}
	return s.statements
}

func (t *statements) storage() int {
	if t == nil {
		return 0
	}
	return int(unsafe.Sizeof(*t)) + cap(t.all)*int(unsafe.Sizeof(statement{})) + (cap(t.answers)+cap(t.early)+cap(t.errors))*int(unsafe.Sizeof(answer{}))
}

// prepare records a PREPARE that the client sent.
func (t *statements) prepare(at place) {
	if len(t.all) >= 16 && len(t.all) == cap(t.all) {
		t.sweep()
	}
	t.count++
	t.unbound++
	t.hidden = false
	if t.sweptErr && at.ack.After(t.sweptAt) {
		t.sweptErr = false // whatever is repeated lies before it
	}
	if t.holes {
		at.exact = at.step
		vague := 0
		for i := len(t.all) - 1; i >= 0; i-- { // the client has read answers enough to have read theirs, or there are too many
			s := &t.all[i]
			if s.flags&(known|failed|gone) != 0 {
				continue
			}
			if vague++; vague > maxVague || at.moves-s.at.moves >= s.at.owed+fewMoves {
				t.abandon(s)
			}
		}
	}
	t.all = append(t.all, statement{at: at, nth: t.count, above: t.highest + t.between(t.topmost, t.count)})
	if t.holes && t.early != nil {
		t.recall(&t.all[len(t.all)-1])
	}
}

// bound says that nothing is owed to the client at its ACK number ack.
func (t *statements) bound(ack seq.Num) {
	if t == nil {
		return
	}
	for i := len(t.all) - int(min(t.unbound, uint32(len(t.all)))); i < len(t.all); i++ {
		if p := &t.all[i].at; !p.bounded {
			p.bounded, p.until = true, ack
		}
	}
	t.unbound = 0
}

// unprepare takes the last PREPARE back: it does not go to the target.
func (t *statements) unprepare() { t.all = t.all[:len(t.all)-1] }

// targetAnswered takes the target's next answer to a PREPARE: answers come in
// order.
func (t *statements) targetAnswered(id uint32, params uint16, ok bool) {
	if t == nil {
		return
	}
	for ; t.ended < t.sentTo; t.ended++ {
		if s := &t.all[t.ended]; s.flags&answered == 0 {
			s.flags |= answered
			s.target, s.params = id, params
			if !ok {
				s.flags |= refused
			}
			t.ended++
			return
		}
	}
}

// leftOut says that the next PREPARE does not go to the target, so that what
// uses its statement does not either.
func (t *statements) leftOut(why ledger.Reason) {
	if t.sentTo < len(t.all) {
		s := &t.all[t.sentTo]
		s.flags |= sent | answered | refused
		s.why = why
		t.last, t.lastWhy = s.nth, why
		t.sentTo++
	}
}

// refusal returns why a command on a statement is left out with it.
func (t *statements) refusal(u use) ledger.Reason {
	if t == nil {
		return ledger.StatementID
	}
	if u.id == lastPrepared && t.lastWhy != ledger.None {
		return t.lastWhy
	}
	s := t.find(u.id)
	if s == nil { // whichever it is
		for i := range t.all[:t.sentTo] {
			if c := &t.all[i]; c.meant(u) && c.why != ledger.None {
				s = c
			}
		}
	}
	switch {
	case s == nil:
	case s.why != ledger.None:
		return s.why
	case s.tainted && s.flags&refused == 0:
		return ledger.CaptureGap
	}
	return ledger.StatementID
}

// gap says that octets of the client were not captured.
func (t *statements) gap() {
	t.holes, t.hidden, t.gapped = true, true, true
	t.errors = nil
	for i := range t.all {
		s := &t.all[i]
		if s.flags&known == 0 {
			s.flags |= unsure
			s.at.exact = s.at.step
		}
	}
}

// behindGap reports whether a command is the first behind octets that were not
// captured.
func (t *statements) behindGap() bool {
	if t == nil || !t.gapped {
		return false
	}
	t.gapped = false
	return true
}

// readSettled reports whether it is production's last known answer to a PREPARE
// that the client has read on by, whose ACK number was asked before and is acked.
func (t *statements) readSettled(acked, asked seq.Num) bool {
	if t == nil || !t.settling || !acked.After(t.settledAt) {
		return false
	}
	t.settling = false
	return !t.settledAt.Before(asked)
}

// swallowed says that octets were not captured between the command that was sent
// last and the next: they may have been long data, or have used it up.
func (t *statements) swallowed() {
	if t == nil {
		return
	}
	for i := range t.all[:t.sentTo] {
		s := &t.all[i]
		s.flags |= doubtful
		s.tainted = s.tainted || s.longData
	}
}

// sent says that cmd was sent to the target.
func (t *statements) sent(cmd mysql.Command) {
	if t == nil {
		return
	}
	switch cmd {
	case mysql.ComStmtPrepare:
		if t.sentTo < len(t.all) {
			t.all[t.sentTo].flags |= sent
			t.last, t.lastWhy = t.all[t.sentTo].nth, ledger.None
			t.sentTo++
		}
	case mysql.ComResetConnection, mysql.ComChangeUser: // they deallocate what was prepared before
		t.match()
		for i := range t.all {
			if s := &t.all[i]; s.flags&sent != 0 {
				s.flags = s.flags&^orphan | gone
			}
		}
		t.sweep()
	}
}

// abandon gives up finding out which id s has on production.
func (t *statements) abandon(s *statement) {
	if s.flags&gone == 0 {
		s.flags |= gone | orphan
		t.orphans = true
	}
}

// orphaned returns the target's ids of the statements that nothing can name any
// more and that are open there, each once.
func (t *statements) orphaned() (ids []uint32) {
	if t == nil || !t.orphans {
		return nil
	}
	t.orphans = false
	for i := range t.all {
		switch s := &t.all[i]; {
		case s.flags&orphan == 0:
		case s.flags&answered == 0:
			t.orphans = true // its id is not known yet
		default:
			if s.flags&refused == 0 {
				ids = append(ids, s.target)
			}
			s.flags &^= orphan
		}
	}
	return ids
}

// find returns the statement that the client means by id; nil: none is known.
func (t *statements) find(id uint32) *statement {
	if t == nil {
		return nil
	}
	if s := t.search(id); s != nil && s.flags&gone == 0 {
		return s
	}
	for i := t.sentTo - 1; i >= 0; i-- { // others come later
		s := &t.all[i]
		switch {
		case s.flags&gone != 0:
		case id == lastPrepared && s.nth == t.last, s.flags&(known|guessed) != 0 && s.production == id:
			return s
		}
	}
	return nil
}

// search is find for a session with many statements, of which all are known: ids
// rise. nil: this does not find it.
func (t *statements) search(id uint32) *statement {
	const many = 16
	if t.sentTo < many {
		return nil
	}
	all := t.all[:t.sentTo]
	at := sort.Search(len(all), func(i int) bool { return all[i].production >= id })
	if at < len(all) && all[at].production == id && all[at].flags&known != 0 {
		return &all[at]
	}
	return nil
}

// A use is a command that names a statement.
type use struct {
	id     uint32
	ack    seq.Num       // the client's ACK number with it: production's answers before that it may have read
	at     time.Duration // when it was captured
	closes bool          // it is a COM_STMT_CLOSE
	binds  bool          // it is a COM_STMT_EXECUTE, or one of several rows
}

// gate says whether the command may be sent: both servers' ids of its statement
// must be known.
func (t *statements) gate(now time.Duration, u use, mariadb bool) gate {
	if t == nil {
		return gateNone // no statement's
	}
	s := t.find(u.id)
	if u.id == lastPrepared {
		switch {
		case t.hidden:
			return gateUnknown
		case t.lastWhy != ledger.None:
			return gateRefused // the target's last one is another
		case mariadb, s == nil: // nil: it was closed, or there is none
			return gateNone
		}
	}
	if s == nil && t.candidates(u, 0) {
		var wait gate
		if s, wait = t.identify(now, u); wait != gateNone {
			return wait
		}
	}
	switch {
	case s != nil && s.flags&answered == 0:
		return gateStatement
	case s != nil && (s.flags&refused != 0 || s.tainted && u.binds):
		return gateRefused
	case s != nil:
		return gateNone
	case t.holes, t.earlier, t.candidates(u, refused):
		if u.closes {
			return gateRefused // that it stays open changes nothing that the client sees
		}
		return gateUnknown
	case t.candidates(u, 0) && !(u.closes && t.refusal(u) == ledger.StatementID):
		return gateRefused // whichever it is
	}
	return gateNone // no statement's, or not any more: production refused it, or had nothing to close
}

// candidates reports whether a command may mean a PREPARE before it that has none
// of the flags without.
func (t *statements) candidates(u use, without statementFlags) bool {
	for i := range t.all[:t.sentTo] {
		if s := &t.all[i]; s.flags&without == 0 && s.meant(u) {
			return true
		}
	}
	return false
}

// noStatement is an id that no server gives: they begin with 1.
const noStatement = 0

// close forgets the statement that was closed.
func (t *statements) close(s *statement) {
	s.flags |= gone
	t.sweep()
}

// maxVague bounds the PREPAREs behind a hole of which production's answer is not
// known, and those that are gone and kept since an answer may be theirs.
const maxVague = 256

// maxRefused bounds the PREPAREs that the target refused while production's answer
// was not captured.
const maxRefused = 256

// sweep drops what is gone and answered, and of the PREPAREs before the last one
// those that production refused.
func (t *statements) sweep() {
	vague, waiting := 0, 0
	for i := range t.all {
		if t.all[i].vague() {
			vague++
		}
	}
	kept := t.all[:0]
	sentTo, ended := t.sentTo, t.ended
	for i, s := range t.all {
		done := s.flags&(gone|answered|orphan) == gone|answered
		if done && waiting < maxVague && s.open() && slices.ContainsFunc(t.answers, func(a answer) bool { return s.fits(&a) }) {
			done = false // or that answer would be taken for another's
			waiting++
		}
		useless := s.flags&(failed|answered) == failed|answered
		if vague > maxRefused && s.vague() {
			useless = true
			t.holes = t.holes || !s.fruitless()
			vague--
		}
		useless = useless && i < len(t.all)-1
		if !done && !useless {
			kept = append(kept, s)
			continue
		}
		if s.flags&failed != 0 {
			t.sweptErr, t.sweptAt = true, s.refusedAt
		}
		if i < sentTo {
			t.sentTo--
		}
		if i < ended {
			t.ended--
		}
	}
	t.all = kept
	if !slices.ContainsFunc(kept, func(s statement) bool { return s.open() }) {
		t.errors = nil
	}
	if len(kept) == 0 && cap(kept) > 8 {
		t.all = nil
	}
}
