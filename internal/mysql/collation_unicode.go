package mysql

import "slices"

// The collations of the Unicode character sets by the Unicode Collation
// Algorithm come in families, in each of which the ids follow the language:
//
//	UCA 4.0 and 5.2  every server; neither case nor accents count
//	UCA 9.0          MySQL 8.0, utf8mb4 only: 0900
//	UCA 14.0         MariaDB 10.10: uca1400

// A unicodeCollation is the meaning of a collation of one of the families.
type unicodeCollation struct {
	set      unicodeSet
	language language
	accents  bool // they count
	cases    bool // they count
	binary   bool // all counts, and characters are ordered by their number
	nopad    bool // blanks at the end count
	uca4     bool // it is of UCA 4.0 or 5.2
}

// A unicodeSet is a character set, numbered as in the ids of uca1400.
type unicodeSet uint8

const (
	utf8mb3 unicodeSet = iota
	utf8mb4
	ucs2
	utf16
	utf32
	unicodeSets
)

// The first ids of UCA 4.0 and of MariaDB's own additions to it, and the binary
// collations, by character set.
var (
	firstUCA4    = [unicodeSets]uint16{192, 224, 128, 101, 160}
	firstMariaDB = [unicodeSets]uint16{576, 608, 640, 672, 736}
	binaries     = [unicodeSets]uint16{83, 46, 90, 55, 61}
)

// MariaDB's additions, from firstMariaDB on.
const (
	mariaDBCroatian = iota
	mariaDBMyanmar
	mariaDBThai520
	mariaDBGeneral1400 // as_ci; not of every character set
	mariaDBAdditions
)

// A language is what a collation is tailored to, numbered as in the ids of UCA
// 4.0.
type language uint8

const (
	root language = iota // none
	icelandic
	latvian
	romanian
	slovenian
	polish
	estonian
	spanish
	swedish
	turkish
	czech
	danish
	lithuanian
	slovak
	spanish2
	roman
	persian
	esperanto
	hungarian
	sinhala
	german2
	croatian
	unicode520 // none, but of UCA 5.2
	vietnamese
	languages
)

// languages0900 is the order of languages in the ids of 0900. Persian and
// Sinhala have a place there but no collation.
var languages0900 = [...]language{root, german2, icelandic, latvian, romanian, slovenian, polish, estonian, spanish, swedish, turkish, czech,
	danish, lithuanian, slovak, spanish2, roman, persian, esperanto, hungarian, croatian, sinhala, vietnamese}

// later0900 are the languages of 0900 from nb0900 on, which no other family has,
// by those that come nearest: nb, nn, sr_latn, bs, bg, gl, mn_cyrl.
var later0900 = [...]language{danish, danish, croatian, croatian, root, spanish, root}

// The ids of 0900: the two halves, ai_ci and as_cs, have one id for each of
// languages0900, and there are a few more.
const (
	aiCI0900   = 255
	asCS0900   = 278
	ja0900     = 303 // as_cs
	jaKS0900   = 304 // as_cs, and hiragana is not katakana
	asCI0900   = 305 // without a language
	ru0900AICI = 306
	ru0900ASCS = 307
	zh0900     = 308 // as_cs
	bin0900    = 309
	nb0900     = 310 // ai_ci and as_cs in turn
	end0900    = 324
)

// The ids of uca1400 are a number, of which the lowest bits are flags.
const (
	cases1400 = 1 << iota
	accents1400
	nopad1400
	language1400 // times the language

	first1400    = 2048
	set1400      = 256 // times the character set
	croatian1400 = language(24)
	end1400      = first1400 + set1400*uint16(unicodeSets)
)

// unicodeOf returns the meaning of a collation of one of the families; ok is
// false for any other. Between the ids of a family are some that no server has:
// their meaning is anything.
func unicodeOf(id uint16) (u unicodeCollation, ok bool) {
	switch {
	case id < aiCI0900:
		for set, first := range firstUCA4 {
			if first <= id && id < first+uint16(languages) {
				return unicodeCollation{set: unicodeSet(set), language: language(id - first), uca4: true}, true
			}
		}
	case id < end0900:
		return of0900(id), true
	case first1400 <= id && id < end1400:
		return of1400(id - first1400), true
	default:
		for set, first := range firstMariaDB {
			if first <= id && id < first+mariaDBAdditions {
				u := unicodeCollation{set: unicodeSet(set)}
				switch id - first {
				case mariaDBCroatian:
					u.language, u.uca4 = croatian, true
				case mariaDBMyanmar, mariaDBThai520:
					u.uca4 = true
				case mariaDBGeneral1400:
					u.accents = true
				}
				return u, true
			}
		}
	}
	return u, false
}

func of0900(id uint16) unicodeCollation {
	u := unicodeCollation{set: utf8mb4, nopad: true}
	sensitive := false
	switch {
	case id < asCS0900:
		u.language = languages0900[id-aiCI0900]
	case id < asCS0900+uint16(len(languages0900)):
		u.language, sensitive = languages0900[id-asCS0900], true
	case id >= nb0900:
		u.language, sensitive = later0900[(id-nb0900)/2], (id-nb0900)%2 == 1
	case id == asCI0900:
		u.accents = true
	case id == bin0900:
		u.binary, sensitive = true, true
	default:
		sensitive = id != ru0900AICI
	}
	if sensitive {
		u.accents, u.cases = true, true
	}
	return u
}

// of1400 is told the id's distance from first1400.
func of1400(id uint16) unicodeCollation {
	u := unicodeCollation{
		set:      unicodeSet(id / set1400),
		language: language(id % set1400 / language1400),
		accents:  id&accents1400 != 0,
		cases:    id&cases1400 != 0,
		nopad:    id&nopad1400 != 0,
	}
	if u.language >= languages {
		u.language = croatian
	}
	return u
}

// id0900 returns the collation of 0900 that means what u does, or 0.
func (u unicodeCollation) id0900() uint16 {
	first := uint16(aiCI0900)
	switch {
	case u.set != utf8mb4:
		return 0
	case u.binary:
		return bin0900
	case u.cases: // there is none for which accents do not count
		first = asCS0900
	case u.accents:
		if u.language != root {
			return 0
		}
		return asCI0900
	}
	i := slices.Index(languages0900[:], u.language)
	if i < 0 {
		return 0
	}
	return first + uint16(i)
}

// id1400 returns the collation of uca1400 that means what u does.
func (u unicodeCollation) id1400() uint16 {
	if u.language == croatian {
		u.language = croatian1400
	}
	id := first1400 + set1400*uint16(u.set) + language1400*uint16(u.language)
	for _, flag := range []struct {
		set bool
		bit uint16
	}{{u.cases, cases1400}, {u.accents, accents1400}, {u.nopad, nopad1400}} {
		if flag.set {
			id |= flag.bit
		}
	}
	return id
}

// nearestUnicode returns the collation of v that comes nearest to u, and fits a
// login's byte if oneByte is set.
func (v Version) nearestUnicode(u unicodeCollation, oneByte bool) uint16 {
	general := u
	general.language = root
	uca4 := firstUCA4[u.set]
	sameLanguage := uca4 + uint16(u.language)
	if u.language == root {
		sameLanguage = uca4 + uint16(unicode520) // its latest
	}
	binary := binaries[u.set]
	var order []uint16 // the nearest first; 0 is none
	switch {
	case u.binary:
		order = []uint16{u.id0900(), nopad + binary, binary}
	case u.cases:
		order = []uint16{u.id0900(), u.id1400(), general.id0900(), general.id1400(), binary}
	case u.accents:
		order = []uint16{u.id0900(), u.id1400(), general.id0900(), general.id1400(), sameLanguage}
	case u.uca4:
		order = []uint16{sameLanguage}
	default:
		order = []uint16{u.id0900(), u.id1400(), sameLanguage, general.id0900(), general.id1400()}
	}
	for _, id := range append(order, uca4+uint16(unicode520)) {
		if v.KnowsCollation(id) && (id < 256 || !oneByte) {
			return id
		}
	}
	return uca4 + uint16(root)
}
