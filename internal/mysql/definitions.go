package mysql

// preparePacket reads the first packet of the response to a COM_STMT_PREPARE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
func (t *Tracker) preparePacket(h Header, p []byte, out []Event) (verdict, []Event) {
	if h.Length < PrepareOKSize || p[0] != okHeader {
		return t.fail(), out
	}
	if len(p) < h.Length { // before the counts are set
		if h.Length > maxWhole {
			return t.fail(), out
		}
		return more, out
	}
	_, t.columns, t.params, _ = ParsePrepareOK(p)
	if t.flags&flagMetadataByte != 0 && h.Length > PrepareOKSize && p[PrepareOKSize] == 0 {
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

// afterParams returns what follows the definitions of a prepared statement's
// parameters and their EOF.
func (t *Tracker) afterParams() state {
	if t.columns > 0 {
		return statePrepared
	}
	return stateEnd
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
