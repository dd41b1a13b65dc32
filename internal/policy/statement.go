package policy

// statement judges the statement that begins with the current token. It reads
// as much of it as it needs.
func (j *Judge) statement(lx *lexer, inner bool) (f finding) {
	for lx.is('(') {
		lx.next() // (SELECT …) UNION …
	}
	kw := lx.kw
	switch lx.kind {
	case word:
	case quoted, text:
		kw = none
	case '<': // <<label>> in Oracle's mode
		return compound(lx)
	default:
		return finding{writes: true}
	}
	if lx.next(); lx.is(':') && !reserved(kw) {
		return compound(lx) // label: LOOP
	}
	switch kw {
	case kwSelect, kwWith, kwValues, kwTable, kwDo, kwHandler:
		j.expressions(lx, &f, false)
	case kwShow: // its WHERE takes expressions too
		j.expressions(lx, &f, false)
		f.classes = 0
	case kwAnalyze:
		j.analyze(lx, &f)
	case kwExplain, kwDescribe, kwDesc:
		j.explain(lx, &f)
	case kwSet:
		return j.set(lx, inner)
	case kwUse, kwHelp, kwDeallocate, kwCommit, kwRollback, kwSavepoint, kwRelease, kwGet, kwChecksum:
	case kwBegin:
		if lx.take(kwWork); !lx.ended() {
			return compound(lx)
		}
	case kwIf, kwCase, kwLoop, kwWhile, kwRepeat, kwFor, kwDeclare:
		return compound(lx)
	case kwPrepare:
		return j.prepare(lx, inner)
	case kwExecute:
		if lx.take(kwImmediate) {
			return j.immediate(lx, inner)
		}
	case kwKill:
		return kill(lx, inner)
	default:
		f.writes = true
		administration(kw, lx, &f)
	}
	return f
}

// administration looks for what no client does all day.
func administration(kw keyword, lx *lexer, f *finding) {
	switch kw {
	case kwShutdown, kwRestart:
		f.classes.add(Shutdown)
	case kwGrant, kwRevoke:
		f.classes.add(Accounts)
	case kwClone:
		f.classes.add(Clone)
	case kwInstall, kwUninstall:
		f.classes.add(Server)
	case kwChange, kwStop, kwPurge, kwBinlog:
		f.classes.add(Replication)
	case kwBackup:
		f.classes.add(FlushLock)
	case kwStart:
		if lx.isWord(kwTransaction) {
			f.writes = false
		} else {
			f.classes.add(Replication)
		}
	case kwReset:
		reset(lx, f)
	case kwFlush:
		flush(lx, f)
	case kwLock, kwUnlock:
		lock(lx, f)
	case kwCreate, kwAlter, kwDrop, kwRename:
		define(lx, f)
	}
}

// reset judges what follows RESET: a list, of which each thing is of a class.
func reset(lx *lexer, f *finding) {
	if lx.isWord(kwPersist) {
		f.classes.add(GlobalVariables)
		return
	}
	for ; !lx.ended(); lx.next() {
		switch {
		case lx.isWord(kwQuery):
			f.classes.add(Flush)
		case lx.isWord(kwMaster), lx.isWord(kwSlave), lx.isWord(kwReplica), lx.isWord(kwBinary):
			f.classes.add(Replication)
		}
	}
}

// flush judges what follows FLUSH.
func flush(lx *lexer, f *finding) {
	f.classes.add(Flush)
	for !lx.ended() {
		if lx.take(kwWith) && lx.isWord(kwRead) || lx.take(kwFor) && lx.isWord(kwExport) {
			f.classes.add(FlushLock)
			return
		}
		if !lx.isWord(kwWith) && !lx.isWord(kwFor) {
			lx.next()
		}
	}
}

// lock judges what follows LOCK and UNLOCK: LOCK TABLES FOR BACKUP and LOCK
// BINLOG FOR BACKUP are Percona's.
func lock(lx *lexer, f *finding) {
	switch {
	case lx.isWord(kwInstance), lx.isWord(kwBinlog):
		f.classes.add(FlushLock)
	case lx.take(kwTables), lx.take(kwTable):
		if lx.isWord(kwFor) {
			f.classes.add(FlushLock)
		}
	}
}

// define judges what follows CREATE, ALTER, DROP and RENAME. Bodies of stored
// programs are not executed now and so not judged.
func define(lx *lexer, f *finding) {
	if lx.take(kwOr) {
		lx.take(kwReplace)
	}
	lx.take(kwAggregate)
	switch {
	case lx.isWord(kwUser), lx.isWord(kwRole):
		f.classes.add(Accounts)
	case lx.isWord(kwServer), lx.isWord(kwResource), lx.isWord(kwInstance):
		f.classes.add(Server)
	case lx.isWord(kwPrepare):
		f.writes = false // DROP PREPARE
	case lx.isWord(kwFunction):
		for ; !lx.ended(); lx.next() {
			if lx.take(kwSoname) && lx.kind == text {
				f.classes.add(Server)
				return
			}
		}
	}
}

// kill judges what follows KILL. Only a literal id can be replaced.
func kill(lx *lexer, inner bool) (f finding) {
	f.classes.add(KillSession)
	f.writes = true
	if !lx.take(kwHard) {
		lx.take(kwSoft)
	}
	query := !lx.take(kwConnection) && lx.take(kwQuery)
	f.blind = true
	if lx.kind != number || inner {
		return f
	}
	k := Kill{Query: query, Start: lx.start, End: lx.end}
	for _, c := range lx.text[lx.start:lx.end] {
		if k.ID > (1<<64-1-9)/10 {
			return f // no id is so long
		}
		k.ID = 10*k.ID + uint64(c-'0')
	}
	if lx.next(); lx.ended() {
		f.kill, f.blind = k, false
	}
	return f
}

// compound judges the rest of the text, which is a block of statements that
// MariaDB executes outside of stored programs too. It has no structure for us:
// what would be of a class as a statement is so as a word.
func compound(lx *lexer) finding {
	f := finding{writes: true}
	before := none
	for ; lx.kind != end; lx.next() {
		kw := none
		if lx.kind == word {
			kw = lx.kw
		}
		switch kw {
		case kwShutdown, kwRestart:
			f.classes.add(Shutdown)
		case kwGlobal, kwPersist, kwPersistOnly:
			f.classes.add(GlobalVariables)
		case kwBackup, kwInstance:
			f.classes.add(FlushLock)
		case kwFlush:
			f.classes.add(Flush)
		case kwRead, kwExport:
			if before == kwWith || before == kwFor {
				f.classes.add(FlushLock)
			}
		case kwGrant, kwRevoke, kwPassword:
			f.classes.add(Accounts)
		case kwUser, kwRole:
			switch before {
			case kwCreate, kwAlter, kwDrop, kwRename, kwReplace, kwDefault:
				f.classes.add(Accounts)
			}
		case kwOutfile, kwDumpfile:
			if before == kwInto {
				f.classes.add(Outfile)
			}
		case kwMaster, kwSlave, kwReplica, kwPurge, kwBinlog, kwReset:
			f.classes.add(Replication)
		case kwClone:
			f.classes.add(Clone)
		case kwInstall, kwUninstall, kwSoname, kwServer:
			f.classes.add(Server)
		case kwPrepare, kwImmediate:
			f.classes.add(DynamicSQL)
		case kwKill:
			f.classes.add(KillSession)
			f.blind = true
		}
		before = kw
	}
	return f
}
