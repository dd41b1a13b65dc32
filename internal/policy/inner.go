package policy

import "bytes"

// prepare judges what follows PREPARE: name FROM 'statement'.
func (j *Judge) prepare(lx *lexer, inner bool) finding {
	lx.next()
	if !lx.take(kwFrom) {
		return finding{writes: true}
	}
	return j.literal(lx, inner)
}

// immediate judges what follows EXECUTE IMMEDIATE: an expression, and values
// behind USING.
func (j *Judge) immediate(lx *lexer, inner bool) finding { return j.literal(lx, inner) }

// literal judges the statement in the literal that is the current token. What
// is not just a literal is a value that only the server knows.
func (j *Judge) literal(lx *lexer, inner bool) (f finding) {
	if inner {
		// Servers refuse to prepare a PREPARE.
		return finding{writes: true, classes: 1 << Unclear}
	}
	n := 0
	j.inner = j.inner[:0]
	for ; lx.kind == text; lx.next() { // MariaDB joins 'a' 'b'
		j.inner = unquote(j.inner, lx.text[lx.start:lx.end], lx.mode)
		n++
	}
	if n == 0 || !lx.ended() && !lx.isUsing() {
		f.writes = true
		f.classes.add(DynamicSQL)
		return f
	}
	f, all := j.readings(j.inner, false, maxConditions, true)
	if !all {
		f.classes.add(Unclear)
	}
	return f
}

// isUsing reports whether the current token is the word USING.
func (lx *lexer) isUsing() bool {
	return lx.kind == word && bytes.EqualFold(lx.text[lx.start:lx.end], []byte("USING"))
}

// unquote appends to dst the text that the literal b stands for, read with m.
func unquote(dst, b []byte, m mode) []byte {
	delim := b[0]
	b = b[1:]
	escapes := m&noEscapes == 0 && (delim == '\'' || m&ansiQuotes == 0)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == delim:
			i++ // doubled, or the end
			if i == len(b) {
				return dst
			}
			dst = append(dst, delim)
		case m&pairs != 0 && c > 0x80 && i+1 < len(b) && isSecond(b[i+1]):
			dst = append(dst, c, b[i+1])
			i++
		case c == '\\' && escapes && i+1 < len(b):
			i++
			dst = append(dst, escaped(b[i]))
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// escaped returns what a backslash and c stand for. Of \% and \_, which keep
// their backslash, no statement is made.
func escaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case '0':
		return 0
	case 'Z':
		return 0x1a
	}
	return c
}
