package session

import (
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// boundary reports whether b, captured in one piece behind a hole, begins with
// a command, so that reading can go on there: a header of sequence id 0, a
// length that fits the command and the piece, and where these say little, a
// client that had read a response since the hole. A wrong guess would send the
// target a command that no client sent (docs/architecture.md, Resynchronising).
func (s *Session) boundary(b []byte, ack seq.Num) bool {
	r := &s.reader
	if r.gap == 0 { // the connection was open before
		r.gap = ack
	}
	h, ok := mysql.ParseHeader(b)
	if !ok || h.Sequence != 0 || len(b) == mysql.HeaderSize || !fits(mysql.Command(b[mysql.HeaderSize]), h.Length) {
		return false
	}
	rest := len(b) - mysql.HeaderSize - h.Length
	if rest > 0 { // pipelined commands: the next one must look right as well
		next, ok := mysql.ParseHeader(b[mysql.HeaderSize+h.Length:])
		if ok && (next.Sequence != 0 || next.Length == 0) {
			return false
		}
	}
	// What is longer than the piece is most likely a command's middle, and what
	// is as short as COM_PING its end: small numbers have three zeros.
	const short = 8
	if (rest < 0 || h.Length < short) && !r.gap.Before(ack) {
		return false
	}
	r.mode = readCommands
	s.hole()
	return true
}

// fits reports whether clients send cmd with a payload of n octets. The obsolete
// COM_CREATE_DB and COM_DROP_DB are not worth the risk of a wrong guess.
func fits(cmd mysql.Command, n int) bool {
	switch cmd {
	case mysql.ComQuery, mysql.ComStmtPrepare, mysql.ComInitDB, mysql.ComFieldList, mysql.ComChangeUser:
		return n >= 2
	case mysql.ComStmtExecute:
		return n >= 10
	case mysql.ComStmtSendLongData, mysql.ComStmtBulkExecute:
		return n >= 7
	case mysql.ComStmtClose, mysql.ComStmtReset:
		return n == 5
	case mysql.ComStmtFetch:
		return n == 9
	case mysql.ComSetOption:
		return n == 3
	case mysql.ComRefresh:
		return n == 2
	case mysql.ComPing, mysql.ComQuit, mysql.ComResetConnection, mysql.ComStatistics, mysql.ComProcessInfo, mysql.ComDebug:
		return n == 1
	case mysql.ComBinlogDump, mysql.ComBinlogDumpGTID, mysql.ComRegisterSlave:
		return n >= 11
	}
	return false
}
