package mysql

// Collation ids, as they stand in a login (one byte) and in COM_CHANGE_USER
// (two). Asked for an id that it does not know, a server takes its own default
// without a word; asked for one of ucs2, utf16, utf16le or utf32, it refuses
// the login with error 1231. Both were seen with all ids on MySQL 5.6.24 and
// 9.7.4 and MariaDB 10.11.18 and 11.8.9. All four read one byte of a login's.
// MariaDB 11.8 takes 33 and 45, the general_ci of utf8mb3 and utf8mb4, for the
// character set's default, which @@character_set_collations names.

// idRange are the ids from first to last.
type idRange struct{ first, last uint16 }

// What the four servers know was read with
//
//	select id, collation_name from information_schema.collations -- MySQL
//	select id, full_collation_name from information_schema.collation_character_set_applicability -- MariaDB
//
// and is in testdata/collations.txt. What other versions know was not tried: it is
// from what is told of them, and where that is not exact the later version was
// taken, so that an id may be mapped that the server would have known.
var (
	// collationsOf56 are MySQL 5.6's, which MariaDB has since 10.0.
	collationsOf56 = []idRange{{1, 16}, {18, 75}, {77, 99}, {101, 124}, {128, 151}, {159, 183}, {192, 215}, {223, 247}}

	// collationsOf80 came with MySQL 8.0, until 8.0.16; tolower is 76.
	collationsOf80 = []idRange{{76, 76}, {255, 271}, {273, 275}, {277, 294}, {296, 298}, {300, 300}, {303, 307}}

	// collationsNopad are MariaDB's since 10.2: those of 5.6 that have one without
	// padding, whose id is higher by nopad.
	collationsNopad = []idRange{{1, 1}, {3, 4}, {6, 13}, {16, 16}, {18, 19}, {22, 22}, {24, 26}, {28, 28}, {30, 30}, {32, 33},
		{35, 41}, {43, 43}, {45, 47}, {50, 51}, {53, 62}, {64, 75}, {77, 93}, {95, 98}, {101, 101}, {123, 123}, {128, 128},
		{150, 150}, {160, 160}, {182, 182}, {192, 192}, {214, 214}, {224, 224}, {246, 246}}

	// collationsMariaDB are MariaDB's own: Croatian, Burmese and Thai.
	collationsMariaDB = []idRange{{576, 578}, {608, 610}, {640, 642}, {672, 674}, {736, 738}}

	// collationsUCA1400 are MariaDB's since 10.10.
	collationsUCA1400 = []idRange{{2048, 2215}, {2232, 2247}, {2304, 2471}, {2488, 2503}, {2560, 2727}, {2744, 2759},
		{2816, 2983}, {3000, 3015}, {3072, 3239}, {3256, 3271}}

	// collations0900 are those of MySQL 8.0 that MariaDB has since 11.4.5 as other
	// names of its own.
	collations0900 = []idRange{{255, 271}, {273, 275}, {277, 294}, {296, 298}, {300, 300}, {305, 305}, {309, 309}}

	// collationsOf118 are MariaDB 11.8's: general1400_as_ci.
	collationsOf118 = []idRange{{579, 579}, {611, 611}}
)

// nopad is the distance of MariaDB's collations without padding from those
// with it.
const nopad = 1024

// KnowsCollation reports whether a server of version v has the collation id. A
// version that is not known is taken for the oldest.
func (v Version) KnowsCollation(id uint16) bool {
	old := has(collationsOf56, id)
	if v.MariaDB {
		return old && (v.AtLeast(10, 0, 0) || !isNewIn56(id)) ||
			v.AtLeast(10, 2, 0) && (has(collationsMariaDB, id) || id > nopad && has(collationsNopad, id-nopad)) ||
			v.AtLeast(10, 10, 0) && has(collationsUCA1400, id) ||
			(v.AtLeast(11, 8, 0) || v.Major == 11 && v.Minor == 4 && v.Patch >= 5) && has(collations0900, id) ||
			v.AtLeast(11, 8, 0) && has(collationsOf118, id)
	}
	return old && (v.AtLeast(5, 6, 0) || !isNewIn56(id)) ||
		v.AtLeast(5, 7, 0) && 248 <= id && id <= 250 || // gb18030
		v.AtLeast(8, 0, 0) && has(collationsOf80, id) ||
		v.AtLeast(8, 0, 17) && 308 <= id && id <= 309 ||
		v.AtLeast(8, 0, 30) && 310 <= id && id <= 323
}

// isNewIn56 reports whether id, one of collationsOf56, is not in MySQL 5.5 nor
// MariaDB 5.5: utf16le, and the last languages of the Unicode character sets.
func isNewIn56(id uint16) bool {
	if id == utf16leGeneral || id == utf16leBin {
		return true
	}
	u, ok := unicodeOf(id)
	return ok && u.language >= german2
}

func has(ranges []idRange, id uint16) bool {
	for _, r := range ranges {
		if r.first <= id && id <= r.last {
			return true
		}
	}
	return false
}

// Collations that are named here.
const (
	defaultCollation = 0 // no server has it

	gbkChinese     = 28
	utf8mb3General = 33
	utf8mb4General = 45
	utf16General   = 54
	utf16Bin       = 55
	utf16leGeneral = 56
	utf16leBin     = 62
	utf8mb3Tolower = 76
	gbkBin         = 87
	gb18030Chinese = 248
	gb18030Bin     = 249
	gb18030Unicode = 250
)

// NearestCollation returns the id itself if a server of version v has it, or the
// one there that comes nearest, and whether that is another. The character set
// is kept first (for gb18030, which MariaDB does not have, it becomes gbk), then
// what counts as equal (case, then accents), then the language, then the newer
// version of Unicode, and last whether blanks at the end count. Where only
// binary collations tell cases apart, it is one of these. An id that fits a
// login's byte stays one that does.
//
// Ids up to 254 that no server has stay as they are: they mean the server's own
// default everywhere. A higher one may be of a server still to come, and becomes
// utf8mb4_general_ci.
func (v Version) NearestCollation(id uint16) (nearest uint16, changed bool) {
	if v.KnowsCollation(id) {
		return id, false
	}
	if !latestMySQL.KnowsCollation(id) && !latestMariaDB.KnowsCollation(id) {
		if id < aiCI0900 {
			return id, false
		}
		return utf8mb4General, true
	}
	switch {
	case id == utf8mb3Tolower:
		return utf8mb3General, true
	case id == utf16leGeneral:
		return utf16General, true
	case id == utf16leBin:
		return utf16Bin, true
	case id == gb18030Chinese, id == gb18030Unicode:
		return gbkChinese, true
	case id == gb18030Bin:
		return gbkBin, true
	case id > nopad && has(collationsNopad, id-nopad):
		nearest, _ = v.NearestCollation(id - nopad)
		return nearest, true
	}
	u, _ := unicodeOf(id)
	return v.nearestUnicode(u, id <= 255), true
}

// The servers with the most collations: one of them knows every id there is.
var (
	latestMySQL   = Version{Major: 9, Minor: 7}
	latestMariaDB = Version{MariaDB: true, Major: 11, Minor: 8}
)
