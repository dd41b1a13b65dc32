package session

import (
	"bytes"
	"encoding/binary"

	"mrtecopy/internal/mysql"
)

// maxAttributes is how much of a streamed COM_QUERY is waited for to find the
// end of its attributes.
const maxAttributes = 64 << 10

// send writes the beginning b of a command in the target's dialect. It reports
// false where the command cannot be said in it, or cannot be read; nothing is
// written then.
func (s *Session) send(e *Env, rec *record, b []byte) bool {
	switch {
	case rec.cmd == mysql.ComChangeUser:
		return s.changeUser(e, b)
	case rec.cmd == mysql.ComQuery && s.stripping():
		return s.sendQuery(e, rec, b)
	case rec.cmd == mysql.ComStmtBulkExecute && !s.extended.Has(mysql.MariaDBStmtBulk):
		return false
	case rec.cmd == mysql.ComStmtExecute && s.stripping():
		return !rec.has(open) && s.sendExecute(e, b)
	case rec.cmd.UsesStatement():
		s.sendStatement(e, rec.cmd, b)
	default:
		s.Conn.Write(&e.Pool, b)
	}
	return true
}

// bulkUnitResults is the flag of a COM_STMT_BULK_EXECUTE that asks for a result
// of each row; servers that do not have it refuse the command.
// https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/3-binary-protocol-prepared-statements-com_stmt_bulk_execute
const bulkUnitResults = 0x40

// sendStatement writes the beginning of a command with a statement's id, which
// is translated.
func (s *Session) sendStatement(e *Env, cmd mysql.Command, b []byte) {
	const at = mysql.HeaderSize + 1
	if len(b) < at+4 {
		s.Conn.Write(&e.Pool, b) // malformed: the server will say so
		return
	}
	id := binary.LittleEndian.Uint32(b[at:])
	var target [4]byte
	binary.LittleEndian.PutUint32(target[:], s.statements.target(id, s.mariadb()))
	s.Conn.Write(&e.Pool, b[:at])
	s.Conn.Write(&e.Pool, target[:])
	rest := b[at+4:]
	if cmd == mysql.ComStmtBulkExecute && len(rest) > 0 && !s.extended.Has(mysql.MariaDBBulkUnitResults) {
		s.Conn.Write(&e.Pool, []byte{rest[0] &^ bulkUnitResults})
		rest = rest[1:]
	}
	s.Conn.Write(&e.Pool, rest)
	switch cmd {
	case mysql.ComStmtClose:
		s.statements.close(id)
	case mysql.ComStmtSendLongData:
		if s.stripping() && len(b) >= at+6 {
			s.statements.longData(id, binary.LittleEndian.Uint16(b[at+4:]))
		}
	case mysql.ComStmtReset:
		s.statements.noLongData(id)
	}
}

// sendQuery writes a COM_QUERY without its attributes. The length of one that is
// streamed must stay, for it stands in packets that may not have come yet:
// blanks take the attributes' place.
func (s *Session) sendQuery(e *Env, rec *record, b []byte) bool {
	payload := b[mysql.HeaderSize:]
	text, ok := mysql.QueryText(payload)
	if !ok {
		return false
	}
	if !rec.has(open) {
		var head [mysql.HeaderSize + 1]byte
		h := mysql.AppendHeader(head[:0], len(payload)-text+1, 0)
		s.Conn.Write(&e.Pool, append(h, byte(mysql.ComQuery)))
		s.Conn.Write(&e.Pool, payload[text:])
		return true
	}
	s.Conn.Write(&e.Pool, b[:mysql.HeaderSize+1])
	s.Conn.Write(&e.Pool, bytes.Repeat([]byte{' '}, text-1))
	s.Conn.Write(&e.Pool, payload[text:])
	return true
}

// sendExecute writes a COM_STMT_EXECUTE without its attributes.
func (s *Session) sendExecute(e *Env, b []byte) bool {
	payload := b[mysql.HeaderSize:]
	if len(payload) < 5 {
		return false
	}
	st := s.statements.find(binary.LittleEndian.Uint32(payload[1:]))
	if st == nil {
		return false
	}
	if st.bound == nil {
		st.bound = new(binding)
	}
	out, types, ok := mysql.StripExecute(e.scratch[:0], payload, int(st.params), st.bound.types, st.bound.long)
	if e.scratch = out[:0]; cap(out) > maxScratch {
		e.scratch = nil
	}
	if !ok {
		return false
	}
	st.bound.types, st.bound.long = types, st.bound.long[:0]
	binary.LittleEndian.PutUint32(out[1:], st.target)
	var head [mysql.HeaderSize]byte
	s.Conn.Write(&e.Pool, mysql.AppendHeader(head[:0], len(out), 0))
	s.Conn.Write(&e.Pool, out)
	return true
}

// maxScratch is the largest scratch memory that is kept for the next command.
const maxScratch = 1 << 20

// wantsWhole reports whether cmd is not streamed, whatever its size: its
// attributes lie between its values.
func (s *Session) wantsWhole(cmd mysql.Command) bool {
	return cmd == mysql.ComStmtExecute && s.hasAttributes() && (s.phase < LoggingIn || s.stripping())
}
