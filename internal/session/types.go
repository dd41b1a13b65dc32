package session

import (
	"encoding/binary"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
)

// supplyTypes sends a COM_STMT_EXECUTE of a statement that was prepared before its
// session was adopted, if it relies on types of parameters that its client sent
// then: they are inferred from the values. done is false where it is to be sent as
// any other.
func (s *Session) supplyTypes(e *Env, rec *record, b []byte, st *statement) (done bool, why ledger.Reason) {
	if rec.has(open) {
		return true, ledger.ParameterTypes
	}
	payload := b[mysql.HeaderSize:]
	x, typed, ok := mysql.Untyped(payload, int(st.params), s.hasAttributes())
	if typed {
		st.untyped = false // the target learns them from it
		return false, ledger.None
	}
	if !ok { // malformed, or it has no parameters
		return false, ledger.None
	}
	bound := st.binding()
	if !x.Fits(bound.types, bound.long) {
		if bound.types = x.Infer(bound.long); bound.types == nil {
			return true, ledger.ParameterTypes
		}
	}
	out := x.AppendTyped(e.scratch[:0], bound.types)
	binary.LittleEndian.PutUint32(out[1:], st.target)
	s.writeCommand(e, out)
	e.keepScratch(out)
	st.noLongData()
	return true, ledger.None
}

// learnAttributes finds out from a COM_STMT_EXECUTE of st whether an adopted
// client sends query attributes, if nothing has told so far and only one way to
// read it makes sense.
func (s *Session) learnAttributes(b []byte, st *statement) {
	if s.adopted == nil || s.attributesKnown || st == nil || !s.mayHaveAttributes() {
		return
	}
	payload := b[mysql.HeaderSize:]
	with, without := makesSense(payload, st, true), makesSense(payload, st, false)
	if with != without {
		s.attributesSeen, s.attributesKnown = with, true
	}
}

// makesSense reports whether the values of a COM_STMT_EXECUTE can be read with, or
// without, attributes.
func makesSense(payload []byte, st *statement, attributes bool) bool {
	var long []byte
	if st.bound != nil {
		long = st.bound.long
	}
	x, typed, ok := mysql.Untyped(payload, int(st.params), attributes)
	if typed {
		return mysql.Whole(payload, int(st.params), attributes, long)
	}
	return ok && x.Infer(long) != nil
}
