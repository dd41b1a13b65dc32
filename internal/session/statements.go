package session

import (
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
	production, target uint32  // the ids the servers gave
	end                seq.Num // the client's sequence number behind the PREPARE
	ack                seq.Num // the client's ACK number with it: where the response begins
	nth                uint32  // of the client's PREPAREs
	above, below       uint32  // where production's id lies, by those that are known; below 0: anywhere
	params             uint16  // placeholders, by the target's answer
	spoken             uint16  // the same by production's, with counted
	flags              statementFlags
	first              bool          // production's response to it begins at ack
	counted            bool          // spoken is known
	longData           bool          // COM_STMT_SEND_LONG_DATA came since the last EXECUTE
	tainted            bool          // an EXECUTE that used up long data may not have been captured
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

// mayBe reports whether id may be production's for s, which is not known.
func (s *statement) mayBe(id uint32) bool {
	return s.flags&(known|gone|failed) == 0 && s.above < id && (s.below == 0 || id < s.below)
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
	if !stripping || param >= s.params {
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

type statementFlags uint8

const (
	known     statementFlags = 1 << iota // production's id was captured
	ambiguous                            // an answer was captured that may be another's
	answered                             // the target answered
	refused                              // with an error
	gone                                 // closed by COM_STMT_CLOSE, or by a reset of the session
	sent                                 // the PREPARE went to the target
	failed                               // production refused it
	unsure                               // behind it octets were not captured, which may have held another PREPARE
)

// statements maps the ids of prepared statements from production to the target,
// by the answers of both. Ids cannot be assumed: MariaDB's go on from whatever
// the server thread did before.
type statements struct {
	all     []statement // in the order of the PREPAREs
	sentTo  int         // all[:sentTo] were sent or left out
	ended   int         // all[:ended] were answered by the target
	count   uint32      // PREPAREs so far
	highest uint32      // of production's ids that are known
	holes   bool        // octets were not captured, which may have held a PREPARE
}

func (t *statements) storage() int { return cap(t.all) * int(unsafe.Sizeof(statement{})) }

// prepare records a PREPARE that the client sent. first says that no other
// command before it waits for an answer with the same ACK number.
func (t *statements) prepare(end, ack seq.Num, first bool) {
	t.count++
	t.all = append(t.all, statement{end: end, ack: ack, nth: t.count, above: t.highest, first: first})
}

// unprepare takes the last PREPARE back: it does not go to the target.
func (t *statements) unprepare() { t.all = t.all[:len(t.all)-1] }

// productionAnswered takes the id in production's answer, which began at the
// server's sequence number at and acknowledged the client's octets before ack;
// those before read were read.
func (t *statements) productionAnswered(id uint32, params uint16, at, ack, read seq.Num) {
	var only *statement
	n := 0
	for i := range t.all {
		s := &t.all[i]
		if s.flags&known != 0 {
			if s.production == id {
				return // a repeated segment: ids are not used twice on a connection
			}
			continue
		}
		if s.flags&failed != 0 {
			continue
		}
		if s.end.After(ack) {
			break
		}
		if s.ack == at { // the response begins where the client had read to
			t.know(s, id)
			s.spoken, s.counted = params, true
			return
		}
		if s.ack.Before(at) {
			only = s
			n++
		}
	}
	if read.Before(ack) { // it may answer one that is behind a hole, and not read yet
		return
	}
	// A pipelined PREPARE's answer begins behind others. One candidate is it;
	// between several, one of which may have failed, nothing decides.
	if n == 1 && only.flags&unsure == 0 {
		t.know(only, id)
		only.spoken, only.counted = params, true
		return
	}
	for i := range t.all {
		if s := &t.all[i]; s.flags&(known|failed) == 0 && s.ack.Before(at) && !s.end.After(ack) {
			s.flags |= ambiguous
		}
	}
}

// productionRefused takes an ERR of production's, which began at the server's
// sequence number at: it answers the PREPARE that was sent when the client had
// read to there.
func (t *statements) productionRefused(at, ack seq.Num) {
	for i := range t.all {
		if s := &t.all[i]; s.flags&known == 0 && s.first && s.ack == at && !s.end.After(ack) {
			s.flags |= failed
			return
		}
	}
}

// know takes production's id for s. Ids rise in the order of the PREPAREs.
func (t *statements) know(s *statement, id uint32) {
	for i := range t.all {
		switch o := &t.all[i]; {
		case o.flags&known != 0:
		case o.nth > s.nth:
			o.above = max(o.above, id)
		case o.nth < s.nth && (o.below == 0 || id < o.below):
			o.below = id
		}
	}
	s.production = id
	s.flags |= known
	t.highest = max(t.highest, id)
}

// infer returns the statement that the client means by an id which production
// gave unseen; nil where that is not certain. Servers give rising numbers, one
// for each PREPARE, and others in between that no client command shows (to
// PREPAREs in SQL). So an id belongs to the one statement between whose
// neighbours' ids it lies; or where the neighbours' show that there were no
// others in between, to the one in its place.
func (t *statements) infer(id uint32) *statement {
	if t.holes {
		return nil
	}
	var only, below *statement
	several := false
	for i := range t.all {
		s := &t.all[i]
		switch {
		case s.flags&known != 0 && s.production < id:
			only, below, several = nil, s, false
		case s.flags&known != 0:
			if below != nil && s.production-below.production == s.nth-below.nth {
				return t.unresolved(below.nth + id - below.production)
			}
			if several {
				return nil
			}
			return only
		case s.flags&sent == 0 || !s.mayBe(id):
		default:
			several = only != nil || s.flags&ambiguous != 0
			only = s
		}
	}
	if several {
		return nil
	}
	return only
}

// unresolved returns the nth PREPARE's statement if production's id for it is
// not known.
func (t *statements) unresolved(nth uint32) *statement {
	for i := range t.all {
		if s := &t.all[i]; s.nth == nth && s.flags&(sent|gone|known) == sent {
			return s
		}
	}
	return nil
}

// targetAnswered takes the target's next answer to a PREPARE: answers come in
// order.
func (t *statements) targetAnswered(id uint32, params uint16, ok bool) {
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
		t.sentTo++
	}
}

// refusal returns why a command on a statement is left out with it.
func (t *statements) refusal(id uint32) ledger.Reason {
	s := t.find(id)
	if s == nil { // whichever it is
		for i := range t.all[:t.sentTo] {
			if c := &t.all[i]; c.mayBe(id) && c.why != ledger.None {
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
	t.holes = true
	for i := range t.all {
		s := &t.all[i]
		if s.flags&known == 0 {
			s.flags |= unsure
		}
		s.tainted = s.tainted || s.longData
	}
}

// sent says that cmd was sent to the target.
func (t *statements) sent(cmd mysql.Command) {
	switch cmd {
	case mysql.ComStmtPrepare:
		if t.sentTo < len(t.all) {
			t.all[t.sentTo].flags |= sent
			t.sentTo++
		}
	case mysql.ComResetConnection, mysql.ComChangeUser: // they deallocate what was prepared before
		for i := range t.all {
			if s := &t.all[i]; s.flags&sent != 0 {
				s.flags |= gone
			}
		}
		t.sweep()
	}
}

// find returns the statement that the client means by id; nil: none is known.
func (t *statements) find(id uint32) *statement {
	for i := t.sentTo - 1; i >= 0; i-- { // others come later
		s := &t.all[i]
		if id == lastPrepared || s.flags&(known|gone) == known && s.production == id {
			return s
		}
	}
	return nil
}

// gate says whether the command in b, captured at at, may be sent: both servers'
// ids of its statement must be known.
func (t *statements) gate(now, at time.Duration, b []byte, id uint32, mariadb bool) gate {
	s := t.find(id)
	if id == lastPrepared && mariadb {
		if s != nil && s.why != ledger.None {
			return gateRefused // the target's last one is another
		}
		return gateNone
	}
	if s == nil && t.candidates(id, 0) {
		if now-at < idWait && t.candidates(id, ambiguous) {
			return gateProductionID
		}
		if s = t.infer(id); s != nil {
			t.know(s, id)
		}
	}
	switch {
	case s == nil && (t.holes || t.candidates(id, 0)):
		if mysql.Command(b[mysql.HeaderSize]) == mysql.ComStmtClose {
			return gateRefused // that it stays open changes nothing that the client sees
		}
		if !t.holes && !t.candidates(id, refused) {
			return gateRefused // whichever it is
		}
		return gateUnknown
	case s == nil: // no statement's, or not any more: production refused it, or had nothing to close
		return gateNone
	case s.flags&answered == 0:
		return gateStatement
	case s.flags&refused != 0, s.tainted && mysql.Command(b[mysql.HeaderSize]) == mysql.ComStmtExecute:
		return gateRefused
	}
	return gateNone
}

// unknown reports whether production's answer to a PREPARE may still come.
func (t *statements) unknown() bool {
	for i := range t.all {
		if t.all[i].flags&(known|ambiguous|gone|failed) == 0 {
			return true
		}
	}
	return false
}

// candidates reports whether id may be that of a PREPARE before the command that
// has none of the flags without.
func (t *statements) candidates(id uint32, without statementFlags) bool {
	for i := range t.all[:t.sentTo] {
		if s := &t.all[i]; s.flags&without == 0 && s.mayBe(id) {
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

// sweep drops what is gone and answered, and of the PREPAREs before the last one
// those that production refused, or the target did and production's answer is
// not known.
func (t *statements) sweep() {
	kept := t.all[:0]
	sentTo, ended := t.sentTo, t.ended
	for i, s := range t.all {
		done := s.flags&(gone|answered) == gone|answered
		useless := i < len(t.all)-1 && (s.flags&(refused|known) == refused || s.flags&(failed|answered) == failed|answered)
		if !done && !useless {
			kept = append(kept, s)
			continue
		}
		if i < sentTo {
			t.sentTo--
		}
		if i < ended {
			t.ended--
		}
	}
	t.all = kept
	if len(kept) == 0 && cap(kept) > 8 {
		t.all = nil
	}
}
