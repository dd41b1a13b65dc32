package session

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/policy"
)

// maxAttributes is how much of a streamed COM_QUERY is waited for to find the
// end of its attributes.
const maxAttributes = 64 << 10

// send writes the beginning b of a command in the target's dialect; a statement
// of several commands marks rec so. Where the command is not to be replayed, or
// cannot be said or read, nothing is written, and the reason is returned.
func (s *Session) send(e *Env, rec *record, b []byte) ledger.Reason {
	if rec.has(setup) && rec.cmd == mysql.ComQuery {
		s.Conn.Write(&e.Pool, b) // it is our own
		return ledger.None
	}
	why, kill, target := s.verdict(e, rec, b)
	if why != ledger.None {
		return why
	}
	var st *statement // that the command uses
	if rec.cmd.UsesStatement() {
		if len(b) < streamHead {
			s.Conn.Write(&e.Pool, b) // malformed: the server will say so
			return ledger.None
		}
		st = s.statements.find(s.statementID(b))
		if rec.cmd == mysql.ComStmtExecute && st != nil && s.lacksLongData(rec, b, st) {
			return ledger.CaptureGap
		}
		if rec.cmd == mysql.ComStmtExecute {
			s.learnAttributes(b, st)
			if st != nil && st.untyped && !s.puzzling(st) {
				if done, why := s.supplyTypes(e, rec, b, st); done {
					return why
				}
			}
		}
	}
	said := true
	switch {
	case rec.cmd == mysql.ComResetConnection && s.production != nil && !s.production.resets():
		said = false // production refused it, so the session is as it was
	case rec.cmd == mysql.ComChangeUser:
		said = s.changeUser(e, b)
	case rec.cmd == mysql.ComQuery && (s.stripping() || kill.End > 0):
		said = s.sendQuery(e, rec, b, kill, target)
	case rec.cmd == mysql.ComProcessKill && kill.End > 0:
		s.sendKill(e, b, kill, target)
	case rec.cmd == mysql.ComStmtBulkExecute && !s.extended.Has(mysql.MariaDBStmtBulk):
		said = !rec.has(open) && s.sendBulk(e, rec, b, st)
	case rec.cmd == mysql.ComStmtExecute && s.puzzling(st):
		said = false
	case rec.cmd == mysql.ComStmtExecute && s.stripping():
		said = !rec.has(open) && s.sendExecute(e, b, st)
	case rec.cmd.UsesStatement():
		s.sendStatement(e, rec.cmd, b, st)
	default:
		s.Conn.Write(&e.Pool, b)
	}
	if !said {
		return ledger.Dialect
	}
	return ledger.None
}

// lacksLongData reports whether b executes st without values that a
// COM_STMT_SEND_LONG_DATA brought which was not captured. Those that it has would
// be taken for others.
func (s *Session) lacksLongData(rec *record, b []byte, st *statement) bool {
	if st.flags&doubtful == 0 {
		return false
	}
	st.flags &^= doubtful // production used it up
	var long []byte
	if st.bound != nil {
		long = st.bound.long
	}
	if rec.has(open) || mysql.Whole(b[mysql.HeaderSize:], int(st.params), s.hasAttributes(), long) {
		return false
	}
	st.tainted = st.tainted || st.longData // the target still has what was captured
	return true
}

// sendStatement writes the beginning of a command on st with the target's id; nil
// is no statement.
func (s *Session) sendStatement(e *Env, cmd mysql.Command, b []byte, st *statement) {
	const at = mysql.HeaderSize + 1
	var target [4]byte
	binary.LittleEndian.PutUint32(target[:], s.idOnTarget(b, st))
	s.Conn.Write(&e.Pool, b[:at])
	s.Conn.Write(&e.Pool, target[:])
	rest := b[at+4:]
	if cmd == mysql.ComStmtBulkExecute && len(rest) > 0 && !s.extended.Has(mysql.MariaDBBulkUnitResults) {
		s.Conn.Write(&e.Pool, []byte{rest[0] &^ mysql.BulkUnitResults})
		rest = rest[1:]
	}
	s.Conn.Write(&e.Pool, rest)
	if st == nil {
		return
	}
	switch cmd {
	case mysql.ComStmtClose:
		s.statements.close(st)
	case mysql.ComStmtSendLongData:
		if len(b) >= at+6 {
			reads := s.stripping() || st.untyped || s.puzzling(st) // its executions, for which they are needed
			st.addLongData(binary.LittleEndian.Uint16(b[at+4:]), reads)
		}
	case mysql.ComStmtReset:
		st.tainted = false
		st.noLongData()
	case mysql.ComStmtExecute:
		st.noLongData()
	}
}

// idOnTarget returns the target's id for the command in b on st. MariaDB takes its
// id for the last one prepared as it is, unless production is known to have
// refused that.
func (s *Session) idOnTarget(b []byte, st *statement) uint32 {
	switch {
	case st != nil && st.flags&failed != 0: // it was the last one prepared
	case s.mariadb() && s.statementID(b) == lastPrepared:
		return lastPrepared
	case st != nil && st.flags&answered != 0:
		return st.target
	}
	return noStatement
}

// sendQuery writes a COM_QUERY without its attributes, or with another
// connection's id in it. The length of one that is streamed must stay, for it
// stands in packets that may not have come yet: blanks take the attributes'
// place.
func (s *Session) sendQuery(e *Env, rec *record, b []byte, kill policy.Kill, target uint32) bool {
	text := s.sqlText(b)
	if text == nil {
		return false
	}
	front := b[mysql.HeaderSize : len(b)-len(text)] // the command byte, and attributes
	// Of a command of several packets, as of one that is streamed.
	if fixed := rec.has(open) || len(b) > mysql.HeaderSize+mysql.MaxPayload; fixed && kill.End > 0 {
		return false
	} else if s.stripping() {
		if fixed {
			s.Conn.Write(&e.Pool, b[:mysql.HeaderSize+1])
			s.Conn.Write(&e.Pool, bytes.Repeat([]byte{' '}, len(front)-1))
			s.Conn.Write(&e.Pool, text)
			return true
		}
		front = front[:1]
	}
	var number [10]byte
	id := number[:0]
	if kill.End > 0 {
		id = strconv.AppendUint(id, uint64(target), 10)
	}
	var head [mysql.HeaderSize]byte
	length := len(front) + len(text) - (kill.End - kill.Start) + len(id)
	s.Conn.Write(&e.Pool, mysql.AppendHeader(head[:0], length, 0))
	s.Conn.Write(&e.Pool, front)
	s.Conn.Write(&e.Pool, text[:kill.Start])
	s.Conn.Write(&e.Pool, id)
	s.Conn.Write(&e.Pool, text[kill.End:])
	return true
}

// sendKill writes a COM_PROCESS_KILL with the target's id.
func (s *Session) sendKill(e *Env, b []byte, kill policy.Kill, target uint32) {
	var id [4]byte
	binary.LittleEndian.PutUint32(id[:], target)
	s.Conn.Write(&e.Pool, b[:mysql.HeaderSize+kill.Start])
	s.Conn.Write(&e.Pool, id[:])
	s.Conn.Write(&e.Pool, b[mysql.HeaderSize+kill.End:])
}

// puzzling reports whether a COM_STMT_EXECUTE of st cannot be read for certain: it
// has other placeholders on the target, or it has placeholders and
// nothing has told yet whether the client sends attributes.
func (s *Session) puzzling(st *statement) bool {
	return st != nil && (st.differs() || st.params > 0 && s.infersAttributes() && !s.attributesKnown && s.mayHaveAttributes())
}

// statementID returns the id in a command on a statement. MariaDB's id for the
// last one prepared is nobody's where production is MySQL.
func (s *Session) statementID(b []byte) uint32 {
	id := binary.LittleEndian.Uint32(b[mysql.HeaderSize+1:])
	if p := s.production; id == lastPrepared && p != nil && !p.Version.MariaDB {
		return noStatement
	}
	return id
}

// sendExecute writes a COM_STMT_EXECUTE without its attributes.
func (s *Session) sendExecute(e *Env, b []byte, st *statement) bool {
	payload := b[mysql.HeaderSize:]
	if st == nil { // production refused it, and so does the target, whatever its values
		const front, flags, countAvailable = 10, 5, 0x08
		if len(payload) < front {
			return false
		}
		out := append(e.scratch[:0], payload[:front]...)
		out[flags] &^= countAvailable
		binary.LittleEndian.PutUint32(out[1:], noStatement)
		s.writeCommand(e, out)
		e.keepScratch(out)
		return true
	}
	bound := st.binding()
	out, types, ok := mysql.StripExecute(e.scratch[:0], payload, int(st.params), bound.types, bound.long)
	e.keepScratch(out)
	if !ok {
		// It may have brought other types, and used up long data that the target
		// still has: without them the next one is not read either.
		bound.types = nil
		return false
	}
	bound.types = types
	st.noLongData()
	binary.LittleEndian.PutUint32(out[1:], st.target)
	s.writeCommand(e, out)
	return true
}

// sendBulk writes a COM_STMT_BULK_EXECUTE as a COM_STMT_EXECUTE for each of its
// rows. (Unlike the one command, they go on behind a row that fails.)
func (s *Session) sendBulk(e *Env, rec *record, b []byte, st *statement) bool {
	if st == nil || st.differs() {
		return false
	}
	bound := st.binding()
	bulk, rows, ok := mysql.ParseBulk(b[mysql.HeaderSize:], int(st.params), bound.types)
	if !ok {
		return false
	}
	for range rows {
		out := bulk.AppendExecute(e.scratch[:0], st.target, s.caps)
		s.writeCommand(e, out)
		e.keepScratch(out)
	}
	bound.types = append(bound.types[:0], bulk.Types...)
	rec.kind, rec.more = mysql.ComStmtExecute, uint32(rows-1)
	return true
}

// writeCommand sends a command of one packet.
func (s *Session) writeCommand(e *Env, payload []byte) {
	var head [mysql.HeaderSize]byte
	s.Conn.Write(&e.Pool, mysql.AppendHeader(head[:0], len(payload), 0))
	s.Conn.Write(&e.Pool, payload)
}

// keepScratch keeps b's memory for the next command, unless it is large.
func (e *Env) keepScratch(b []byte) {
	if e.scratch = b[:0]; cap(b) > maxScratch {
		e.scratch = nil
	}
}

// maxScratch is the largest scratch memory that is kept for the next command.
const maxScratch = 1 << 20

// wantsWhole reports whether cmd is not streamed, whatever its size, since its
// values may have to be told apart.
func (s *Session) wantsWhole(cmd mysql.Command) bool {
	if s.outcome != undecided {
		return false
	}
	switch unknown := s.phase < LoggingIn; cmd {
	case mysql.ComStmtExecute:
		return s.hasAttributes() && (unknown || s.stripping())
	case mysql.ComStmtBulkExecute:
		return unknown || !s.extended.Has(mysql.MariaDBStmtBulk)
	}
	return false
}
