package mysql

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
	const (
		maxCount = 3 // fc int<2>: there can be 4,096 columns
		twoBytes = 0xfc
	)
	if len(p) < min(h.Length, maxCount+1) {
		return more, out
	}
	columns, rest, ok := cutLenenc(p)
	if !ok || columns == 0 || p[0] > twoBytes {
		return t.fail(), out
	}
	t.columns = uint16(columns)
	if t.flags&flagMetadataByte != 0 && len(rest) > 0 && rest[0] == 0 {
		return t.take(h, t.afterColumns()), out
	}
	return t.take(h, stateColumns), out
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
