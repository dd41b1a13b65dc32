package session

import (
	"encoding/binary"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
)

// A gate says why a command may not go to the target yet.
type gate uint8

const (
	gateNone         gate = iota
	gatePause             // no intercept, or not logged in yet
	gateChangeUser        // behind a COM_CHANGE_USER: the server's auth switch would swallow it
	gateFile              // the target has not asked for the file, or might ask for one
	gateQuit              // COM_QUIT goes with the FIN, after the last response
	gateStatement         // the target has not answered the PREPARE
	gateProductionID      // production's answer to the PREPARE is not captured yet
	gateLogin             // the client has not read production's answer to its login yet: it may be refused
	gateWhole             // what has to be read of it is not all there
	gateRefused           // never: what it depends on was refused; it is skipped
	gateUnknown           // never: which statement it names cannot be told; it is lost
	gateSetup             // an adopted session's state is not set up yet
)

// An infileState says where a LOAD DATA LOCAL stands.
type infileState uint8

const (
	infileNone  infileState = iota
	infileMaybe             // a LOAD DATA was sent: the target may ask for the file
	infileAsked             // it asked
)

// direct sends the commands at the beginning of b, as long as nothing stands in
// their way, without a copy into Session.in. It returns the rest.
func (s *Session) direct(e *Env, b []byte) []byte {
	r := &s.reader
	for s.phase == Ready && r.mode == readCommands && r.body == 0 && !r.more && s.queue.unsentLen() == 0 {
		h, ok := mysql.ParseHeader(b)
		size := mysql.HeaderSize + h.Length
		if !ok || h.Sequence != 0 || h.Length == 0 || size > len(b) || size > e.StreamAbove {
			break
		}
		if !s.command(e, mysql.Command(b[mysql.HeaderSize]), size, len(b)-size, 0) {
			b = b[size:]
			continue
		}
		rec := s.queue.unsent()
		s.reach(rec)
		if s.waiting = s.gate(e, rec, b[:size]); s.waiting != gateNone {
			s.in.Append(&e.Pool, b[:size])
			r.at += size
			b = b[size:]
			break
		}
		s.emit(e, rec, b[:size])
		b = b[size:]
	}
	return b
}

// advance sends the records that wait, as far as their gates are open.
func (s *Session) advance(e *Env) {
	for s.phase != Over {
		rec := s.queue.unsent()
		if rec == nil || rec.size == 0 && rec.has(open) {
			s.waiting = gateNone
			break
		}
		b := s.in.Bytes()[:rec.size]
		s.reach(rec)
		if !rec.has(drop) {
			s.waiting = s.gate(e, rec, b)
			switch s.waiting {
			case gateNone:
			case gateRefused:
				s.skipCommand(e, rec, s.refusal(rec, b))
				if rec.cmd == mysql.ComStmtClose && len(b) >= streamHead {
					if st := s.statements.find(s.statementID(b)); st != nil {
						s.statements.close(st)
					}
				}
			case gateUnknown:
				if unseen, ok := s.unseen(rec, b); ok {
					s.skipCommand(e, rec, unseen)
				} else {
					s.loseQueued(e, rec, ledger.StatementID)
				}
			default:
				s.countWaiting(e, rec)
				return
			}
		}
		s.emit(e, rec, b)
		if s.phase == Over {
			return
		}
		s.in.Discard(&e.Pool, len(b))
		s.reader.at -= len(b)
	}
	s.closeBehindClient(e)
}

// reach says that it is rec's turn: all before it was sent, or left out.
func (s *Session) reach(rec *record) {
	if rec.has(gapped) {
		rec.flags &^= gapped
		s.statements.swallowed()
	}
}

// countWaiting counts a whole command that waits for a response, once.
func (s *Session) countWaiting(e *Env, rec *record) {
	if rec.has(waited) || rec.has(open) || s.waiting == gateQuit {
		return
	}
	rec.flags |= waited
	e.Counts.Commands.Waited++
}

// countStalled counts a whole command that is not sent when the target says
// something, although nothing in the protocol asks it to wait. There is none, as
// long as whatever opens a gate, or captures a command, also advances.
func (s *Session) countStalled(e *Env) {
	rec := s.queue.unsent()
	if rec == nil || s.phase != Ready || s.waiting != gateNone || rec.has(waited|open|begun) {
		return
	}
	rec.flags |= waited
	e.Counts.Commands.Stalled++
}

// skipCommand decides that a queued command is not sent.
func (s *Session) skipCommand(e *Env, rec *record, why ledger.Reason) {
	s.leave(rec, &e.Counts.Commands.Skipped, why)
}

// loseQueued gives up a queued command. The session goes on behind it.
func (s *Session) loseQueued(e *Env, rec *record, why ledger.Reason) {
	s.leave(rec, &e.Counts.Commands.Lost, why)
}

func (s *Session) leave(rec *record, column *ledger.ByReason, why ledger.Reason) {
	rec.flags |= drop
	if rec.has(counts) {
		rec.flags &^= counts
		column[why]++
	}
}

// gate says whether rec, whose octets begin with b, may be sent now.
func (s *Session) gate(e *Env, rec *record, b []byte) gate {
	switch {
	case s.phase != Ready:
		return gatePause
	case rec.has(begun):
		return gateNone
	case !s.accepted:
		return gateLogin
	case rec.has(setup):
		return gateNone
	case s.adopted != nil && s.adopted.setup > 0:
		return gateSetup
	case s.relogin:
		return gateChangeUser
	case rec.has(file):
		switch s.infile {
		case infileAsked:
			return gateNone
		case infileMaybe:
			return gateFile
		}
		return gateRefused // the target answered without asking for it
	case s.infile == infileMaybe:
		return gateFile
	case s.infile == infileAsked:
		s.noFile(e)
		return gateFile
	case rec.cmd == mysql.ComQuit:
		if s.queue.first() != rec {
			return gateQuit
		}
		return gateNone
	case rec.cmd.UsesStatement():
		if len(b) < streamHead {
			return gateNone // malformed: the server will say so
		}
		return s.statements.gate(e.Now, s.use(rec, b), s.mariadb())
	case rec.cmd == mysql.ComQuery:
		s.seeAttributes(b)
		if rec.has(open) && len(b) < maxAttributes && s.sqlText(b) == nil {
			return gateWhole
		}
		fallthrough
	case rec.cmd == mysql.ComStmtPrepare:
		if rec.has(open) && len(b) < maxJudged && s.wantsWholeText(e, rec.cmd, b) {
			return gateWhole
		}
	}
	return gateNone
}

// fileAsked takes the target's request for the file of a LOAD DATA LOCAL.
func (s *Session) fileAsked(e *Env, sequence uint8) {
	if s.infile == infileNone {
		// The statement did not look like one. The request must be the answer to
		// what was sent last: anything behind it has become the file.
		r := s.queue.lastSent()
		if r == nil || !r.cmd.HasResponse() || s.queue.unsentLen() > 0 && s.queue.unsent().has(begun) {
			s.lose(e, ledger.ResponseTimeout)
			return
		}
		r.flags |= loads
	}
	s.infile, s.infileSeq = infileAsked, sequence
}

// checkFile ends the session if the request for a file was the answer to an
// earlier command than it was taken for. How many responses ended before the
// request, only the report behind it says.
func (s *Session) checkFile(e *Env) {
	if s.infile != infileAsked || s.heads > 0 {
		return
	}
	if r, _ := s.queue.awaited(); r == nil || !r.has(loads) {
		s.lose(e, ledger.ResponseTimeout)
	}
}

// noFile answers the target's request with an empty file: the client sent none,
// for production did not ask.
func (s *Session) noFile(e *Env) {
	s.writePacket(e, s.infileSeq+1, nil)
	s.infile = infileMaybe
}

// emit sends b, the octets of rec that are there, or drops them.
func (s *Session) emit(e *Env, rec *record, b []byte) {
	rec.size = 0
	if rec.has(drop) {
		if !rec.has(open) {
			s.queue.sent++
			s.complete(e)
		}
		return
	}
	first := !rec.has(begun)
	rec.flags |= begun
	if first {
		rec.kind = rec.cmd
	}
	switch {
	case rec.has(file):
		s.Conn.Write(&e.Pool, b)
		if !rec.has(open) {
			s.infile = infileMaybe // what follows waits for the end of the LOAD DATA
		}
	case first && rec.cmd == mysql.ComQuit:
		s.Conn.Write(&e.Pool, b)
		s.close(e)
	case first:
		if rec.cmd == mysql.ComStmtPrepare {
			s.closeOrphans(e)
		}
		if why := s.send(e, rec, b); why != ledger.None {
			if s.phase != Over {
				s.leaveOut(e, rec, why)
			}
			return
		}
		s.statements.sent(rec.cmd)
		s.renewed(rec.cmd)
		if rec.cmd.HasResponse() {
			for range rec.more + 1 {
				e.Out.Kinds = append(e.Out.Kinds, byte(rec.kind))
			}
		}
		if rec.cmd == mysql.ComQuery && s.caps&mysql.ClientLocalFiles != 0 && loadsData(s.sqlText(b)) {
			s.infile = infileMaybe
			rec.flags |= loads
		}
	default:
		s.Conn.Write(&e.Pool, b)
	}
	if rec.has(open) {
		return
	}
	rec.end = s.Conn.Written()
	s.queue.sent++
}

// closeOrphans closes statements on the target whose COM_STMT_CLOSE will never be
// told from others', or they would be more and more (max_prepared_stmt_count).
func (s *Session) closeOrphans(e *Env) {
	for _, id := range s.statements.orphaned() {
		s.writeCommand(e, binary.LittleEndian.AppendUint32([]byte{byte(mysql.ComStmtClose)}, id))
	}
}

// use says how a command on a statement, which begins with b, names it.
func (s *Session) use(rec *record, b []byte) use {
	return use{id: s.statementID(b), ack: rec.ack, at: rec.at, closes: rec.cmd == mysql.ComStmtClose, binds: rec.cmd == mysql.ComStmtExecute || rec.cmd == mysql.ComStmtBulkExecute}
}

// refusal returns why a command whose gate is gateRefused is skipped.
func (s *Session) refusal(rec *record, b []byte) ledger.Reason {
	if why, ok := s.unseen(rec, b); ok {
		return why
	}
	if rec.cmd.UsesStatement() && len(b) >= streamHead {
		return s.statements.refusal(s.use(rec, b))
	}
	return ledger.StatementID
}

// leaveOut skips a command whose turn it is.
func (s *Session) leaveOut(e *Env, rec *record, why ledger.Reason) {
	if rec.cmd == mysql.ComStmtPrepare {
		s.statements.leftOut(why)
	}
	s.skipCommand(e, rec, why)
	rec.flags &^= begun
	s.emit(e, rec, nil)
}

// loadsData reports whether the statement begins with LOAD, behind blanks and
// comments: its answer may be a request for a file.
func loadsData(sql []byte) bool {
	for len(sql) > 0 {
		switch c := sql[0]; {
		case c <= ' ', c == '(', c == ';':
			sql = sql[1:]
		case c == '/' && len(sql) > 1 && sql[1] == '*':
			end := 2
			if len(sql) > 2 && (sql[2] == '!' || sql[2] == 'M') {
				// An executable comment: its text counts, behind the version.
				for end = 2; end < len(sql) && (sql[end] == '!' || sql[end] == 'M' || '0' <= sql[end] && sql[end] <= '9'); end++ {
				}
				sql = sql[end:]
				continue
			}
			for end < len(sql) && !(sql[end] == '/' && sql[end-1] == '*' && end > 2) {
				end++
			}
			sql = sql[min(end+1, len(sql)):]
		case c == '#', c == '-' && len(sql) > 1 && sql[1] == '-':
			end := 0
			for end < len(sql) && sql[end] != '\n' {
				end++
			}
			sql = sql[end:]
		default:
			return len(sql) >= 4 && sql[0]|0x20 == 'l' && sql[1]|0x20 == 'o' && sql[2]|0x20 == 'a' && sql[3]|0x20 == 'd'
		}
	}
	return false
}
