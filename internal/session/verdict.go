package session

import (
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/policy"
)

// A Filter says which users' sessions, and statements in which schemas, are
// replayed. The zero Filter leaves nothing out.
type Filter struct {
	Users        map[string]bool // only these; nil: all
	ExcludeUsers map[string]bool
	Schemas      map[string]bool // only in these, by the session's default schema; nil: in all
}

// user reports whether a user's sessions are replayed.
func (f *Filter) user(name string) bool {
	return (f.Users == nil || f.Users[name]) && !f.ExcludeUsers[name]
}

// verdict says whether the command that begins with b, with its header, is
// replayed; None if it is. A KILL of a connection that is replayed too names it
// by the id in kill, which stands for target.
func (s *Session) verdict(e *Env, rec *record, b []byte) (why ledger.Reason, kill policy.Kill, target uint32) {
	var v policy.Verdict
	switch rec.cmd {
	case mysql.ComQuery, mysql.ComStmtPrepare:
		if rec.has(open) && s.wantsWholeText(e, rec.cmd, b) {
			if v = e.Judge.TooLong(); v.Why == policy.Replayed && s.outside {
				return ledger.Schema, kill, 0
			}
			break
		}
		b = joined(b)
		text := b[mysql.HeaderSize+1:]
		if rec.cmd == mysql.ComQuery {
			if text = s.sqlText(b); text == nil {
				return ledger.None, kill, 0 // malformed
			}
		}
		uses := s.uses(e, rec, text)
		if v = e.Judge.Query(text, s.multi); v.Why == policy.Replayed && s.outside && !uses {
			return ledger.Schema, kill, 0
		}
	default:
		if v = e.Judge.Command(b[mysql.HeaderSize:]); v.Why == policy.Replayed {
			switch rec.cmd {
			case mysql.ComInitDB:
				s.inSchema(e, b[mysql.HeaderSize+1:])
			case mysql.ComSetOption:
				const off = 1 // MYSQL_OPTION_MULTI_STATEMENTS_OFF
				s.multi = len(b) > mysql.HeaderSize+1 && b[mysql.HeaderSize+1] != off
			case mysql.ComFieldList, mysql.ComCreateDB, mysql.ComDropDB:
				if s.outside {
					return ledger.Schema, kill, 0
				}
			}
		}
	}
	switch v.Why {
	case policy.ByPolicy:
		s.countClass(e, rec, v.Class)
		return ledger.Policy, kill, 0
	case policy.ByOnlyRead:
		return ledger.OnlyRead, kill, 0
	case policy.ByExclude:
		return ledger.Excluded, kill, 0
	}
	if v.Kill == kill {
		return ledger.None, kill, 0
	}
	if e.IDs != nil {
		if target, ok := e.IDs.Target(v.Kill.ID); ok {
			if !v.Kill.Query {
				e.IDs.Kill(v.Kill.ID)
			}
			return ledger.None, v.Kill, target
		}
	}
	s.countClass(e, rec, policy.KillSession)
	return ledger.Policy, kill, 0 // nobody's that is replayed
}

func (s *Session) countClass(e *Env, rec *record, class policy.Class) {
	if rec.has(counts) {
		e.Counts.Commands.Classes[class]++
	}
}

// maxJudged is how much of a command is waited for to judge it as a whole, in
// octets: the largest packet of a default configuration (MySQL's and MariaDB's
// documentation of max_allowed_packet, on the server).
const maxJudged = 64<<20 + 64<<10

// joined returns the command that begins with b as one packet, without the headers
// of the packets that follow the first.
func joined(b []byte) []byte {
	const whole = mysql.HeaderSize + mysql.MaxPayload
	if len(b) <= whole {
		return b
	}
	j := make([]byte, 0, len(b))
	j = append(j, b[:whole]...)
	for b = b[whole:]; len(b) > mysql.HeaderSize; b = b[min(whole, len(b)):] {
		j = append(j, b[mysql.HeaderSize:min(whole, len(b))]...)
	}
	return j
}

// uses takes the default schema from a USE, and reports whether text is one.
func (s *Session) uses(e *Env, rec *record, text []byte) bool {
	if e.Filter.Schemas == nil || rec.cmd != mysql.ComQuery {
		return false
	}
	schema, ok := policy.UseSchema(text)
	if ok {
		s.inSchema(e, schema)
	}
	return ok
}

// inSchema says that the session's default schema is this one.
func (s *Session) inSchema(e *Env, schema []byte) {
	s.outside = e.Filter.Schemas != nil && !e.Filter.Schemas[string(schema)]
}

// wantsWholeText reports whether a statement must be judged as a whole, however
// long it is. b is the beginning of its command.
func (s *Session) wantsWholeText(e *Env, cmd mysql.Command, b []byte) bool {
	if s.outcome != undecided {
		return false
	}
	switch cmd {
	case mysql.ComQuery:
		s.seeAttributes(b)
		return !e.Judge.Streamable(front(s.sqlText(b)), s.multiStatements())
	case mysql.ComStmtPrepare:
		return !e.Judge.Streamable(front(b[mysql.HeaderSize+1:]), false)
	}
	return false
}

// front returns as much of a text as is looked at for its first word, again with
// every segment.
func front(text []byte) []byte { return text[:min(len(text), 4<<10)] }

// multiStatements reports whether a COM_QUERY may hold several statements.
func (s *Session) multiStatements() bool {
	spoken, _ := s.spoken()
	return s.multi || spoken.Has(mysql.ClientMultiStatements)
}
