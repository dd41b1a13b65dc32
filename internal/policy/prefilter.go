package policy

import "bytes"

// plain reports whether sql is replayed for certain, so that nobody need read
// it: whatever follows the first word cannot change that. It may only err toward
// false.
func (j *Judge) plain(sql []byte, multi bool) bool {
	kw, rest := firstWord(sql)
	switch kw {
	case kwCommit, kwRollback, kwBegin:
		return isEnd(rest)
	}
	if j.onlyRead || !reserved(kw) || kw == kwSelect && mentionsFile(rest) {
		return false
	}
	return !multi || isSingle(rest)
}

// reserved reports whether a statement that begins with kw is of no class
// whatever follows, but for a SELECT into a file. These words are reserved by
// every server, so none is the label of a compound statement.
func reserved(kw keyword) bool {
	switch kw {
	case kwSelect, kwInsert, kwUpdate, kwDelete, kwReplace, kwShow, kwCall, kwUse, kwLoad, kwOptimize:
		return true
	}
	return false
}

// firstWord returns the keyword that sql begins with behind blanks and comments,
// and what follows it; none if that is anything else, or not certain.
func firstWord(sql []byte) (kw keyword, rest []byte) {
	i := 0
	for ; i < len(sql); i++ {
		switch c := sql[i]; {
		case c == ' ' || '\t' <= c && c <= '\r':
		case c == '/' && i+3 < len(sql) && sql[i+1] == '*' && sql[i+2] != '!' && sql[i+2] != 'M':
			i += plainComment(sql[i:]) - 1
		case 'A' <= c&^0x20 && c&^0x20 <= 'Z':
			n := i + 1
			for n < len(sql) && isName(sql[n]) {
				n++
			}
			if n < len(sql) && sql[n] == noBreakSpace {
				return none, nil
			}
			return lookup(sql[i:n]), sql[n:]
		default:
			return none, nil
		}
	}
	return none, nil
}

// isSingle reports whether no statement follows behind a semicolon in b, be it
// in quotes or not.
func isSingle(b []byte) bool {
	n := bytes.IndexByte(b, ';')
	return n < 0 || isEnd(b[n:])
}

// isEnd reports whether b holds nothing but blanks and semicolons.
func isEnd(b []byte) bool {
	for _, c := range b {
		if c != ';' && c != ' ' && (c < '\t' || '\r' < c) {
			return false
		}
	}
	return true
}

// mentionsFile reports whether b holds the word OUTFILE or DUMPFILE, or the end
// of one.
func mentionsFile(b []byte) bool {
	for _, f := range [...]byte{'f', 'F'} {
		for rest := b; ; {
			n := bytes.IndexByte(rest, f)
			if n < 0 {
				break
			}
			if n >= 3 && n+4 <= len(rest) && isFile(rest[n-3:n+4]) {
				return true
			}
			rest = rest[n+1:]
		}
	}
	return false
}

// isFile reports whether b, of seven octets, is OUTFILE or all but the first
// octet of DUMPFILE.
func isFile(b []byte) bool {
	return bytes.EqualFold(b, []byte("OUTFILE")) || bytes.EqualFold(b, []byte("UMPFILE"))
}
