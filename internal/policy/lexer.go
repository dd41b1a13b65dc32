package policy

import "bytes"

// A kind is what a token is. Of punctuation, it is the character itself.
type kind uint8

const (
	end        kind = 0
	word       kind = 'a' // keyword, or a name without quotes
	quoted     kind = 'q' // a name in backticks, or right behind a dot: never a keyword
	text       kind = 's' // in apostrophes or quotation marks; with ANSI_QUOTES the latter are names
	number     kind = '0' // nothing but digits
	value      kind = 'v' // any other number, \N, and names that begin like a number
	userVar    kind = 'u' // @name
	systemVar  kind = '$' // @@
	otherOctet kind = 1   // what begins no token of any server
)

// A lexer cuts a text into tokens, as sql_lex.cc of MySQL 5.6 to 9.7 and of
// MariaDB do. It never fails: of what servers refuse it makes some token.
//
// The current token is in its fields.
type lexer struct {
	text []byte
	mode mode
	off  uint // bit i: what stands under conditions[i] is a comment
	signs

	at   int  // of the next token's first octet, or of blanks before it
	open bool // within an executable comment

	kind       kind
	start, end int     // its octets are text[start:end]
	kw         keyword // that a word or name is, or a text in quotation marks
	joined     bool    // it follows a dot with nothing between
}

// begin goes back to the beginning of the text, for another reading. The signs
// seen so far are kept.
func (lx *lexer) begin(m mode, off uint) {
	lx.mode, lx.off = m, off
	lx.at, lx.open = 0, false
	lx.kind, lx.start, lx.end, lx.kw, lx.joined = end, 0, 0, none, false
}

// is reports whether the current token is the punctuation c.
func (lx *lexer) is(c byte) bool { return lx.kind == kind(c) }

// isWord reports whether the current token is the keyword kw.
func (lx *lexer) isWord(kw keyword) bool { return lx.kind == word && lx.kw == kw }

// take reads on behind the keyword kw, and reports whether it was there.
func (lx *lexer) take(kw keyword) bool {
	if lx.isWord(kw) {
		lx.next()
		return true
	}
	return false
}

// ended reports whether the statement has ended.
func (lx *lexer) ended() bool { return lx.kind == end || lx.is(';') }

// skipStatement reads on to the end of the statement.
func (lx *lexer) skipStatement() {
	for !lx.ended() {
		lx.next()
	}
}

// next reads the next token.
func (lx *lexer) next() {
	dot, behind := lx.is('.'), lx.at
	lx.blanks()
	lx.start, lx.kw = lx.at, none
	lx.joined = dot && lx.at == behind
	if lx.at >= len(lx.text) {
		lx.kind, lx.end = end, lx.at
		return
	}
	switch c := lx.text[lx.at]; {
	case c == '\'':
		lx.string(c)
	case c == '"':
		lx.string(c)
		lx.kw = lookup(bytes.Trim(lx.text[lx.start:lx.at], `"`))
	case c == '`':
		lx.backticks()
	case isDigit(c), c == '.' && lx.at+1 < len(lx.text) && isDigit(lx.text[lx.at+1]):
		lx.number()
	case isName(c):
		lx.name()
		lx.kind, lx.kw = word, lookup(lx.text[lx.start:lx.at])
		if lx.joined { // sql_lex.cc, MY_LEX_IDENT_SEP
			lx.kind = quoted
		}
	case c == '@':
		lx.variable()
	case c == '\\' && lx.at+1 < len(lx.text) && lx.text[lx.at+1] == 'N':
		lx.kind = value // NULL; what follows begins a token of its own
		lx.at += 2
	default:
		lx.kind = otherOctet
		if ' ' < c && c < 0x7f {
			lx.kind = kind(c)
		}
		lx.at++
	}
	lx.end = lx.at
}

// name reads on behind the octets of a name.
func (lx *lexer) name() {
	for lx.at < len(lx.text) && isName(lx.text[lx.at]) {
		lx.octet()
	}
	// With pairs this would be a part of the name.
	if lx.at < len(lx.text) && lx.text[lx.at-1] >= 0x80 && isSecond(lx.text[lx.at]) {
		lx.pair = true
	}
}

// octet reads on behind one octet, or with pairs behind a character.
func (lx *lexer) octet() {
	if lx.mode&pairs != 0 && lx.text[lx.at] > 0x80 && lx.at+1 < len(lx.text) && isSecond(lx.text[lx.at+1]) {
		lx.at++
	}
	lx.at++
}

// isSecond reports whether c can be the second octet of a character with pairs.
func isSecond(c byte) bool { return c >= '@' && c != 0x7f && c != noBreakSpace }

// number reads a number. A fraction or exponent ends it whatever follows, so
// that 1.5INTO is two tokens; digits alone that go on as a name are a name.
func (lx *lexer) number() {
	lx.digits()
	lx.kind = number
	if lx.at < len(lx.text) && lx.text[lx.at] == '.' {
		lx.kind = value
		lx.at++
		lx.digits()
	}
	if rest := lx.text[lx.at:]; len(rest) > 1 && rest[0]|0x20 == 'e' {
		switch {
		case isDigit(rest[1]):
			lx.kind = value
			lx.at++
			lx.digits()
			return
		case len(rest) > 2 && (rest[1] == '+' || rest[1] == '-') && isDigit(rest[2]):
			lx.kind = value
			lx.at += 2
			lx.digits()
			return
		}
	}
	if lx.kind == number && lx.at < len(lx.text) && isName(lx.text[lx.at]) {
		lx.kind = value
		lx.name()
	}
}

func (lx *lexer) digits() {
	for lx.at < len(lx.text) && isDigit(lx.text[lx.at]) {
		lx.at++
	}
}

// variable reads @@, or @ with the name of a user variable. A name after @@ is
// a token of its own.
func (lx *lexer) variable() {
	lx.at++
	lx.kind = userVar
	if lx.at == len(lx.text) {
		return
	}
	switch c := lx.text[lx.at]; {
	case c == '@':
		lx.kind = systemVar
		lx.at++
	case c == '\'' || c == '"':
		lx.string(c)
		lx.kind = userVar
	case c == '`':
		lx.backticks()
		lx.kind, lx.kw = userVar, none
	case isName(c) || c == '.':
		for lx.at < len(lx.text) && (isName(lx.text[lx.at]) || lx.text[lx.at] == '.') {
			if lx.text[lx.at] == '.' {
				lx.at++
			}
			lx.name()
		}
	default:
		lx.kind = '@'
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isName reports whether c can be in a name without quotes.
func isName(c byte) bool { return names[c] }

var names = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x80 && c != noBreakSpace || isDigit(byte(c)) || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '$'
	}
	return t
}()
