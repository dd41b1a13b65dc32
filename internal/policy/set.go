package policy

import (
	"bytes"
	"strings"
)

// set judges what follows SET: a list of assignments, each with a scope, or one
// of the statements that only begin like one.
func (j *Judge) set(lx *lexer, inner bool) (f finding) {
	if lx.take(kwStatement) {
		// SET STATEMENT name = value, … FOR statement
		for depth := 0; !lx.ended(); lx.next() {
			depth += nesting(lx)
			if depth <= 0 && lx.isWord(kwFor) {
				lx.next()
				return j.statement(lx, inner)
			}
		}
		return finding{writes: true}
	}
	for !lx.ended() {
		assignment(lx, &f)
		// To the next assignment: behind the next comma that is in no parentheses.
		j.expressions(lx, &f, true)
		if lx.is(',') {
			lx.next()
		}
	}
	return f
}

// assignment judges an assignment up to the name of what is set.
func assignment(lx *lexer, f *finding) {
	system := lx.kind == systemVar
	if system {
		lx.next()
	}
	switch {
	case lx.isWord(kwGlobal), lx.isWord(kwPersist), lx.isWord(kwPersistOnly):
		f.classes.add(GlobalVariables)
		f.writes = true
		return
	case system:
	case lx.isWord(kwPassword):
		f.classes.add(Accounts)
		f.writes = true
		return
	case lx.isWord(kwResource): // SET RESOURCE GROUP
		f.classes.add(Server)
		f.writes = true
		return
	case lx.take(kwDefault):
		if lx.isWord(kwRole) {
			f.classes.add(Accounts)
			f.writes = true
		}
		return
	}
	// The name may follow SESSION, LOCAL, and a dot: all words up to the = are
	// looked at.
	for ; lx.kind == word || lx.kind == quoted || lx.is('.'); lx.next() {
		if writesLog(lx.text[lx.start:lx.end]) {
			f.writes = true
		}
	}
}

// writesLog reports whether a session variable decides about the binary log or
// the transactions in it: sql_log_bin, gtid_next, gtid_domain_id, wsrep_on, …
func writesLog(name []byte) bool {
	if name = bytes.Trim(name, "`"); len(name) == 0 || strings.IndexByte("sgwpSGWP", name[0]) < 0 {
		return false
	}
	for _, prefix := range []string{"sql_log_bin", "gtid_", "wsrep_", "server_id", "pseudo_slave_mode", "pseudo_replica_mode"} {
		if len(name) >= len(prefix) && bytes.EqualFold(name[:len(prefix)], []byte(prefix)) {
			return true
		}
	}
	return false
}

// nesting returns by how much the current token changes the depth of
// parentheses.
func nesting(lx *lexer) int {
	switch {
	case lx.is('('):
		return 1
	case lx.is(')'):
		return -1
	}
	return 0
}
