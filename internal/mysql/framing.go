package mysql

import "encoding/binary"

// A state says what a Tracker's next packet is.
type state uint8

const (
	stateIdle        state = iota // the first of a response
	stateNext                     // the same, but not the first packet since the command: behind a progress report or another result
	stateAuth                     // of a login, in answer to the client's last
	stateFile                     // OK or ERR after the client has sent its file
	stateColumns                  // the definition of a result's column
	stateColumnsEOF               // the EOF behind these definitions
	stateRows                     // a row, or the end of the rows
	stateOutRows                  // the same, of a procedure's OUT parameters: another result follows
	stateParams                   // the definition of a prepared statement's parameter
	stateParamsEOF                // the EOF behind these definitions
	statePrepared                 // the definition of a prepared statement's column
	statePreparedEOF              // the EOF behind these definitions; Tracker.params more of them follow
	stateStream                   // of a replication stream, which ends only with the connection or an error
	stateEnd                      // none: the response ends with the current packet
	stateEndErr                   // the same, and the packet is an ERR
	stateBroken                   // unknown: an impossible packet came
	states
)

// ordered reports whether the packet comes right behind another of the
// server's packets, so that their sequence ids are consecutive.
func (s state) ordered() bool {
	return s == stateNext || stateColumns <= s && s <= statePreparedEOF
}

// rows reports whether the packet is a row or the end of the rows.
func (s state) rows() bool { return s == stateRows || s == stateOutRows }

// A verdict is what packet made of the bytes at its front.
type verdict uint8

const (
	more  verdict = iota // nothing yet (or nothing ever, when broken): the bytes must be offered again
	taken                // the header is consumed, the payload is to be skipped
	again                // nothing is consumed, but the state has changed: look again
)

// packet looks at the packet at the front of b. It consumes the header only:
// what it needs of the payload it reads, and leaves the rest to be skipped.
func (t *Tracker) packet(b []byte, out []Event) (verdict, []Event) {
	h, ok := ParseHeader(b)
	if !ok {
		return more, out
	}
	p := b[HeaderSize:]
	if len(p) > h.Length {
		p = p[:h.Length:h.Length]
	}
	if t.flags&flagContinued != 0 || t.state.ordered() {
		switch {
		case h.Sequence == t.seq+1:
		case t.flags&flagContinued == 0 && t.state.rows() && h.Sequence <= 1:
			// The beginning of the next response (or an ERR of the server's own,
			// with 0), but the rows have not ended.
			return again, t.end(Event{Cut: true}, out)
		default:
			return t.fail(), out
		}
	}
	if t.flags&flagContinued != 0 {
		return t.take(h, t.state), out
	}
	if t.state.rows() && len(p) > 0 && p[0] < eofHeader {
		return t.take(h, t.state), out // nearly all there are
	}
	if h.Length > 0 && len(p) == 0 {
		return more, out
	}
	if h.Length > 0 && p[0] == errHeader {
		return t.errPacket(h, p, out)
	}
	if t.state == stateIdle && h.Sequence == 0 && t.kinds.front() != KindGreeting {
		return t.fail(), out // the command's own packet had 0
	}
	switch t.state {
	case stateIdle, stateNext:
		return t.firstPacket(h, p, out)
	case stateAuth:
		return t.authPacket(h, p, out)
	case stateStream:
		if h.Length > 0 && h.Length < eofLimit && p[0] == eofHeader { // BINLOG_DUMP_NON_BLOCK
			return t.take(h, stateEnd), out
		}
		return t.take(h, stateStream), out
	}
	if h.Length == 0 {
		return t.fail(), out
	}
	switch t.state {
	case stateFile:
		if p[0] == okHeader {
			return t.terminator(h, p), out
		}
	case stateRows, stateOutRows:
		// A row, too, can begin with fe: with a string of 16 MiB or more.
		if t.isTerminator(h, p) {
			return t.terminator(h, p), out
		}
		return t.take(h, t.state), out
	case stateColumns, stateParams, statePrepared:
		if p[0] != eofHeader {
			return t.definition(h), out
		}
	case stateColumnsEOF, stateParamsEOF, statePreparedEOF:
		if p[0] == eofHeader && h.Length < eofLimit {
			return t.definitionsEOF(h, p), out
		}
		// MySQL 9.7.4 answers a statement that was once executed with a cursor,
		// when it is executed without one, by definitions and an OK.
		if p[0] == okHeader && t.state == stateColumnsEOF {
			return t.terminator(h, p), out
		}
	}
	return t.fail(), out
}

// fail gives the stream up.
func (t *Tracker) fail() verdict {
	t.state = stateBroken
	return again
}

// take consumes the header of a packet behind which the state is next.
func (t *Tracker) take(h Header, next state) verdict {
	t.state, t.seq, t.skip = next, h.Sequence, uint32(h.Length)
	t.flags &^= flagContinued
	if h.Length == MaxPayload {
		t.flags |= flagContinued
	}
	return taken
}

// head consumes a packet that is needed whole, when it is there.
func (t *Tracker) head(h Header, p []byte, next state, out []Event) (verdict, []Event) {
	if h.Length > maxWhole {
		return t.fail(), out
	}
	if len(p) < h.Length {
		return more, out
	}
	out = append(out, Event{Type: Head, Kind: t.kinds.front(), Sequence: h.Sequence, Payload: p})
	return t.take(h, next), out
}

// errPacket reads a packet that begins with ff, which ends any response.
func (t *Tracker) errPacket(h Header, p []byte, out []Event) (verdict, []Event) {
	if h.Length < 3 || h.Length > maxWhole {
		return t.fail(), out
	}
	if len(p) < 3 {
		return more, out
	}
	login := t.kinds.front() == KindGreeting || t.kinds.front() == KindLogin
	if binary.LittleEndian.Uint16(p[1:]) == progressCode && !login {
		next := t.state
		if next == stateIdle {
			next = stateNext
		}
		return t.take(h, next), out
	}
	if t.state == stateIdle && h.Sequence == 0 && t.kinds.front() != KindGreeting {
		return more, out // it answers nothing: see Unsolicited
	}
	return t.head(h, p, stateEndErr, out)
}

// firstPacket reads the first packet of a response, or of another result.
func (t *Tracker) firstPacket(h Header, p []byte, out []Event) (verdict, []Event) {
	switch k := t.kinds.front(); k {
	case KindGreeting:
		return t.head(h, p, stateEnd, out)
	case KindLogin, Kind(ComChangeUser):
		return t.authPacket(h, p, out)
	case Kind(ComStatistics):
		return t.take(h, stateEnd), out // a bare string
	case Kind(ComStmtPrepare):
		return t.preparePacket(h, p, out)
	case Kind(ComStmtFetch), Kind(ComFieldList): // rows, or definitions with nothing in front, to the EOF
		if h.Length == 0 {
			return t.fail(), out
		}
		if t.isTerminator(h, p) {
			return t.terminator(h, p), out
		}
		return t.take(h, stateRows), out
	case Kind(ComBinlogDump), Kind(ComBinlogDumpGTID), Kind(ComTableDump), Kind(ComClone), Kind(ComSubscribeGroupReplicationStream):
		return t.take(h, stateStream), out
	default:
		if k.hasResults() {
			return t.resultPacket(h, p, out)
		}
		// One packet: OK, or for some commands EOF.
		if h.Length == 0 || p[0] != okHeader && p[0] != eofHeader {
			return t.fail(), out
		}
		return t.take(h, stateEnd), out
	}
}

// hasResults reports whether the response is a series of results, each a set
// of rows or an OK.
func (k Kind) hasResults() bool {
	switch Command(k) {
	case ComQuery, ComStmtExecute, ComStmtBulkExecute, ComProcessInfo, ComMulti:
		return true
	}
	return false
}

// authPacket reads a packet of the authentication: more of it, or OK. The
// plugins' own data never begin with 00 (or ff); a server puts 01 in front.
func (t *Tracker) authPacket(h Header, p []byte, out []Event) (verdict, []Event) {
	if h.Length > 0 && p[0] == okHeader {
		return t.head(h, p, stateEnd, out)
	}
	return t.head(h, p, stateAuth, out)
}

// resultPacket reads the first packet of a result.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
func (t *Tracker) resultPacket(h Header, p []byte, out []Event) (verdict, []Event) {
	switch {
	case h.Length == 0:
		return t.fail(), out
	case p[0] == okHeader, t.isTerminator(h, p): // some statements are answered by an EOF
		return t.terminator(h, p), out
	case p[0] == localFileHeader:
		return t.head(h, p, stateFile, out)
	}
	// int<lenenc> columns | with flagMetadataByte: int<1> whether definitions follow
	// (MySQL's manual has the two the other way round, but not its server).
	const maxCount = 3 // fc int<2>: there can be 4,096 columns
	if len(p) < min(h.Length, maxCount+1) {
		return more, out
	}
	columns, rest, ok := cutLenenc(p)
	if !ok || columns == 0 || columns > 0xffff {
		return t.fail(), out
	}
	t.columns = uint16(columns)
	if t.flags&flagMetadataByte != 0 && len(rest) > 0 && rest[0] == 0 {
		return t.take(h, t.afterColumns()), out
	}
	return t.take(h, stateColumns), out
}

// preparePacket reads the first packet of the response to a COM_STMT_PREPARE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
func (t *Tracker) preparePacket(h Header, p []byte, out []Event) (verdict, []Event) {
	if h.Length < prepareOKSize || p[0] != okHeader {
		return t.fail(), out
	}
	if len(p) < h.Length { // before the counts are set
		if h.Length > maxWhole {
			return t.fail(), out
		}
		return more, out
	}
	_, t.columns, t.params, _ = ParsePrepareOK(p)
	if t.flags&flagMetadataByte != 0 && h.Length > prepareOKSize && p[prepareOKSize] == 0 {
		return t.head(h, p, t.withoutDefinitions(), out)
	}
	next := t.afterParams()
	if t.params > 0 {
		next = stateParams
	}
	return t.head(h, p, next, out)
}

// withoutDefinitions returns what follows the OK of a COM_STMT_PREPARE when the
// session has set resultset_metadata to NONE: just the EOFs.
func (t *Tracker) withoutDefinitions() state {
	eofs := min(t.params, 1) + min(t.columns, 1)
	t.params, t.columns = 0, 0
	if eofs == 0 || t.flags&flagDeprecateEOF != 0 {
		return stateEnd
	}
	t.params = eofs - 1
	return statePreparedEOF
}

// definition skips the definition of a column or parameter.
func (t *Tracker) definition(h Header) verdict {
	next := t.state
	switch t.state {
	case stateColumns:
		if t.columns--; t.columns == 0 {
			next = t.afterColumns()
		}
	case stateParams:
		if t.params--; t.params == 0 {
			next = stateParamsEOF
			if t.flags&flagDeprecateEOF != 0 {
				next = t.afterParams()
			}
		}
	case statePrepared:
		if t.columns--; t.columns == 0 {
			next = statePreparedEOF
			if t.flags&flagDeprecateEOF != 0 {
				next = stateEnd
			}
		}
	}
	return t.take(h, next)
}

// afterColumns returns what follows the definitions of a result's columns.
func (t *Tracker) afterColumns() state {
	if t.flags&flagDeprecateEOF != 0 {
		return stateRows
	}
	return stateColumnsEOF
}

// afterParams returns what follows the definitions of a prepared statement's
// parameters and their EOF.
func (t *Tracker) afterParams() state {
	if t.columns > 0 {
		return statePrepared
	}
	return stateEnd
}

// definitionsEOF reads the EOF behind definitions.
func (t *Tracker) definitionsEOF(h Header, p []byte) verdict {
	switch t.state {
	case stateParamsEOF:
		return t.take(h, t.afterParams())
	case statePreparedEOF:
		if t.params > 0 {
			t.params--
			return t.take(h, statePreparedEOF)
		}
		return t.take(h, stateEnd)
	}
	if len(p) < h.Length {
		return more
	}
	status, ok := eofStatus(p)
	if !ok {
		return t.fail()
	}
	if status&statusCursorExists != 0 { // the rows are left for COM_STMT_FETCH
		return t.take(h, t.afterResult(status))
	}
	// MySQL 5.6 sets both flags here, but not in the EOF behind the rows (see
	// cli_read_binary_rows in libmysqlclient).
	const outParams = statusPSOutParams | statusMoreResultsExist
	if status&outParams == outParams {
		return t.take(h, stateOutRows)
	}
	return t.take(h, stateRows)
}

// isTerminator reports whether a packet that begins with fe, in the place of a
// row, is the end of the rows, by the rule of libmysqlclient.
func (t *Tracker) isTerminator(h Header, p []byte) bool {
	if p[0] != eofHeader {
		return false
	}
	if t.flags&flagDeprecateEOF != 0 {
		return h.Length < MaxPayload
	}
	return h.Length < eofLimit
}

// terminator reads the OK or EOF that ends a result.
func (t *Tracker) terminator(h Header, p []byte) verdict {
	if len(p) < min(h.Length, okStatusSpan) {
		return more
	}
	var status uint16
	var ok bool
	if p[0] == eofHeader && t.flags&flagDeprecateEOF == 0 {
		status, ok = eofStatus(p)
	} else {
		status, ok = okStatus(p)
	}
	if !ok {
		return t.fail()
	}
	return t.take(h, t.afterResult(status))
}

// afterResult returns what follows a result that ended with status.
func (t *Tracker) afterResult(status uint16) state {
	if (status&statusMoreResultsExist != 0 || t.state == stateOutRows) && t.kinds.front().hasResults() {
		return stateNext
	}
	return stateEnd
}
