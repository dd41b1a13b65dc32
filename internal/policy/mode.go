package policy

// A mode is a way to read a text. The facts that decide about it, variables of
// the session and its character set, are not known here.
type mode uint8

const (
	// noEscapes: with NO_BACKSLASH_ESCAPES \' does not go on with the text.
	noEscapes mode = 1 << iota
	// ansiQuotes: with ANSI_QUOTES quotation marks hold a name, without escapes.
	ansiQuotes
	// pairs: in sjis, cp932, gbk, big5 and gb18030 a backslash or backtick can
	// be the second octet of a character.
	pairs

	modes mode = 1 << 3
)

// differs reports whether m can read a text with these signs differently from
// the modes below it.
func (m mode) differs(seen *signs) bool {
	switch {
	case m&noEscapes != 0 && (m&ansiQuotes != 0 || !seen.escape):
		return false // without escapes nowhere, ansiQuotes changes nothing
	case m&ansiQuotes != 0 && !seen.escapeDouble, m&pairs != 0 && !seen.pair:
		return false
	}
	return true
}

// signs are what in a text makes servers read it differently.
type signs struct {
	escape       bool // a backslash protects the delimiter of a text
	escapeDouble bool // and it is a quotation mark
	pair         bool // a backslash, backtick or a name's end follows an octet above 127
	unclear      bool // there are readings that no mode makes

	n          int // different conditions, also those that have no room below
	conditions [8]condition
}
