package policy

// expressions looks in the rest of a statement that does not write by its first
// word for what writes nevertheless: files, rows that are locked, sequences that
// are moved, locks of the whole server. Stored functions and loadable ones can
// do anything and are not told from others. With list it ends at a comma that is
// in no parentheses.
func (j *Judge) expressions(lx *lexer, f *finding, list bool) {
	for depth := 0; !lx.ended(); {
		depth += nesting(lx)
		if list && depth <= 0 && lx.is(',') {
			return
		}
		kw, kind, joined := lx.kw, lx.kind, lx.joined
		lx.next()
		if kw == none {
			continue
		}
		if kind != word {
			// A name in quotes can be a function's, and then it is no keyword.
			switch kw {
			case kwLocking, kwAdministr:
				f.calls = f.calls || lx.is('(')
			case kwNextval: // sequence.nextval in Oracle's mode
				f.calls = f.calls || joined
			}
			continue
		}
		switch kw {
		case kwInto:
			if lx.isWord(kwOutfile) || lx.isWord(kwDumpfile) {
				f.classes.add(Outfile)
			}
			if lx.kind != userVar {
				f.writes = true
			}
		case kwUpdate, kwDelete:
			f.writes = true // FOR UPDATE, or behind WITH
		case kwInsert, kwReplace:
			if !lx.is('(') { // else it is the function
				f.writes = true
			}
		case kwFor:
			f.writes = f.writes || lx.isWord(kwShare)
		case kwLock:
			f.writes = f.writes || lx.isWord(kwIn) // LOCK IN SHARE MODE
		case kwNext:
			f.calls = f.calls || lx.isWord(kwValue) // NEXT VALUE FOR
		case kwLocking, kwAdministr:
			f.calls = f.calls || lx.is('(')
		case kwNextval, kwSetval, kwLastval:
			f.calls = true
		}
	}
}

// analyze judges what follows ANALYZE: with MariaDB a statement, which is
// executed, else tables, whose statistics are written.
func (j *Judge) analyze(lx *lexer, f *finding) {
	f.writes = !format(lx)
	j.expressions(lx, f, false)
}

// explain judges what follows EXPLAIN: a table, a connection, or a statement.
// Only with ANALYZE is it executed, and then UPDATE and DELETE change nothing but
// lock. Functions in constant expressions are called in any case.
func (j *Judge) explain(lx *lexer, f *finding) {
	if lx.take(kwAnalyze) {
		f.writes = !format(lx) && !lx.isWord(kwTable)
		j.expressions(lx, f, false)
		return
	}
	j.expressions(lx, f, false)
	f.writes = false
}

// format reads on behind FORMAT = name and parentheses, and reports whether what
// follows begins like a query.
func format(lx *lexer) bool {
	if lx.take(kwFormat) && lx.is('=') {
		lx.next()
		lx.next()
	}
	for lx.is('(') {
		lx.next()
	}
	switch {
	case lx.isWord(kwSelect), lx.isWord(kwWith), lx.isWord(kwValues):
		return true
	}
	return false
}
