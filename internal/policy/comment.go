package policy

import "bytes"

// noBreakSpace is a blank in latin1 and its relatives. Elsewhere it is a part of
// a character; then it cuts names that are whole for the server, which shows
// more words than there are and never fewer.
const noBreakSpace = 0xa0

func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' || c == noBreakSpace }

// A condition is what stands between the opening of an executable comment and
// its code. Servers below the version take the code for a comment, as MySQL
// does with those of MariaDB, and MariaDB with MySQL's later versions.
type condition struct {
	mariadb bool   // /*M!, not /*!
	version uint32 // of five or six digits: 50606, 100100; 0: MariaDB of any
}

// blanks reads on behind blanks and comments.
func (lx *lexer) blanks() {
	for lx.at < len(lx.text) {
		rest := lx.text[lx.at:]
		switch c := rest[0]; {
		case isBlank(c):
			lx.at++
		case c == '#':
			lx.line()
		case c == '-' && isLineComment(rest):
			lx.unclear = lx.unclear || len(rest) > 2 && rest[2] == noBreakSpace
			lx.line()
		case c == '*' && lx.open && len(rest) > 1 && rest[1] == '/':
			lx.open = false
			lx.at += 2
		case c == '/' && len(rest) > 1 && rest[1] == '*':
			lx.comment(rest)
		default:
			return
		}
	}
}

// isLineComment reports whether b, which begins with a hyphen, begins with --
// and something blank.
func isLineComment(b []byte) bool {
	if len(b) < 2 || b[1] != '-' {
		return false
	}
	return len(b) == 2 || b[2] <= ' ' || b[2] == 0x7f || b[2] == noBreakSpace
}

// line reads on behind the end of the line, or to the NUL that ends a comment
// there too.
func (lx *lexer) line() {
	if n := bytes.IndexAny(lx.text[lx.at:], "\n\x00"); n >= 0 {
		lx.at += n
		if lx.text[lx.at] == '\n' {
			lx.at++
		}
		return
	}
	lx.at = len(lx.text)
}

// comment reads on behind the comment that rest begins with, or, if its content
// is code, behind its opening.
func (lx *lexer) comment(rest []byte) {
	plain := plainComment(rest)
	var c condition
	n := 3
	switch {
	case len(rest) > 2 && rest[2] == '!':
	case len(rest) > 3 && rest[2] == 'M' && rest[3] == '!':
		c.mariadb = true
		n = 4
	default: // optimizer hints too, whose quotes do not hide their end
		lx.at += plain
		return
	}
	c.version, n = version(rest, n)
	if (c.version != 0 || c.mariadb) && lx.isOff(c) {
		nested := nestedComment(rest)
		if c.mariadb && nested != plain {
			lx.unclear = true // MySQL ends it at the first end, MariaDB does not
		}
		lx.at += nested
		return
	}
	lx.open = true
	lx.at += n
}

// version returns the number at b[n:] and where it ends. Other numbers of
// digits than five and six are code.
func version(b []byte, n int) (v uint32, behind int) {
	behind = n
	for behind < len(b) && behind < n+6 && isDigit(b[behind]) {
		v = 10*v + uint32(b[behind]-'0')
		behind++
	}
	if behind < n+5 {
		return 0, n
	}
	return v, behind
}

// isOff reports whether this reading takes what stands under c for a comment.
func (lx *lexer) isOff(c condition) bool {
	for i, known := range lx.conditions[:min(lx.n, len(lx.conditions))] {
		if known == c {
			return lx.off>>i&1 != 0
		}
	}
	if lx.n < len(lx.conditions) {
		lx.conditions[lx.n] = c
	}
	lx.n++
	return false
}

// plainComment returns the size of the comment that b begins with: to the first
// end, or to the end of the text.
func plainComment(b []byte) int {
	if n := bytes.Index(b[2:], []byte("*/")); n >= 0 {
		return 2 + n + 2
	}
	return len(b)
}

// nestedComment returns the size of the comment that b begins with where it may
// hold others, which hold no further ones: consume_comment in sql_lex.cc.
func nestedComment(b []byte) int {
	for n := 2; n+1 < len(b); n++ {
		switch {
		case b[n] == '/' && b[n+1] == '*':
			n += plainComment(b[n:]) - 1
		case b[n] == '*' && b[n+1] == '/':
			return n + 2
		}
	}
	return len(b)
}
