package policy

import "bytes"

// string reads a text in delim, which stands doubled or behind a backslash for
// itself.
func (lx *lexer) string(delim byte) {
	lx.kind = text
	escapes := lx.mode&noEscapes == 0 && (delim == '\'' || lx.mode&ansiQuotes == 0)
	for lx.at++; ; {
		rest := lx.text[lx.at:]
		n := bytes.IndexByte(rest, delim)
		if n < 0 {
			n = len(rest)
		}
		if slash := bytes.IndexByte(rest[:n], '\\'); slash < 0 {
			lx.at += n
		} else {
			lx.toDelimiter(delim, escapes)
		}
		if lx.at++; lx.at >= len(lx.text) {
			lx.at = len(lx.text)
			return
		}
		if lx.text[lx.at] != delim {
			return
		}
		lx.at++
	}
}

// toDelimiter reads on to the text's next delim that is not escaped, octet by
// octet.
func (lx *lexer) toDelimiter(delim byte, escapes bool) {
	for lx.at < len(lx.text) && lx.text[lx.at] != delim {
		if lx.text[lx.at] != '\\' {
			lx.octet()
			continue
		}
		if lx.text[lx.at-1] >= 0x80 {
			lx.pair = true
		}
		lx.at++
		if !escapes || lx.at == len(lx.text) {
			continue
		}
		if lx.text[lx.at] == delim {
			lx.escape = true
			lx.escapeDouble = lx.escapeDouble || delim == '"'
		}
		lx.octet()
	}
	lx.at = min(lx.at, len(lx.text))
}

// backticks reads a name in backticks, which stand doubled for themselves.
func (lx *lexer) backticks() {
	lx.kind = quoted
	first := lx.at + 1
	for lx.at++; lx.at < len(lx.text); {
		if lx.text[lx.at] != '`' {
			lx.octet()
			continue
		}
		if lx.text[lx.at-1] >= 0x80 {
			lx.pair = true
		}
		lx.at++
		if lx.at == len(lx.text) || lx.text[lx.at] != '`' {
			lx.kw = lookup(lx.text[first : lx.at-1])
			return
		}
		lx.at++
	}
	lx.at = min(lx.at, len(lx.text))
}
