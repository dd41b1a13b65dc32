package policy

// Streamable reports whether a statement that begins with prefix is replayed
// whatever follows, so that it may go to the target before the rest of it is
// there. Of others, however long, the whole text must be judged.
func (j *Judge) Streamable(prefix []byte, multi bool) bool {
	if multi || j.onlyRead || len(j.exclude) > 0 {
		return false
	}
	switch kw, _ := firstWord(prefix); kw {
	case kwInsert, kwReplace, kwUpdate, kwDelete, kwLoad:
		return true
	}
	return false
}

// UseSchema returns the schema that a USE names; ok is false for any other
// statement.
func UseSchema(sql []byte) (schema []byte, ok bool) {
	kw, rest := firstWord(sql)
	if kw != kwUse {
		return nil, false
	}
	i := 0
	for i < len(rest) && (rest[i] == ' ' || '\t' <= rest[i] && rest[i] <= '\r') {
		i++
	}
	rest = rest[i:]
	if len(rest) > 0 && rest[0] == '`' {
		n := 1
		for n < len(rest) && rest[n] != '`' {
			n++
		}
		return rest[1:n], n < len(rest)
	}
	n := 0
	for n < len(rest) && rest[n] != ';' && rest[n] > ' ' {
		n++
	}
	return rest[:n], n > 0
}
