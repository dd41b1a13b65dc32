package mysql

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// measured are the versions of testdata/collations.txt.
var measured = map[string]Version{
	"5.6":   {Major: 5, Minor: 6, Patch: 24},
	"9.7":   {Major: 9, Minor: 7, Patch: 4},
	"10.11": {MariaDB: true, Major: 10, Minor: 11, Patch: 18},
	"11.8":  {MariaDB: true, Major: 11, Minor: 8, Patch: 9},
}

type collation struct {
	name    string
	servers []string
}

// charset returns its character set.
func (c collation) charset() string {
	set, _, _ := strings.Cut(c.name, "_")
	return set
}

func readCollations(t *testing.T) map[uint16]collation {
	t.Helper()
	file, err := os.Open("testdata/collations.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := make(map[uint16]collation)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		fields := strings.Fields(lines.Text())
		id, err := strconv.ParseUint(fields[0], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		all[uint16(id)] = collation{fields[1], strings.Split(fields[2], ",")}
	}
	if len(all) != 1311 {
		t.Fatalf("%d collations", len(all))
	}
	return all
}

func TestKnowsCollation(t *testing.T) {
	all := readCollations(t)
	for name, v := range measured {
		for id := range uint16(1<<16 - 1) {
			if got, want := v.KnowsCollation(id), slices.Contains(all[id].servers, name); got != want {
				t.Errorf("%s knows %d %s: %v", name, id, all[id].name, got)
			}
		}
	}
	for _, tt := range []struct {
		version string
		id      uint16
		want    bool
	}{
		{"5.5.62", 45, true}, {"5.5.62", 243, true}, {"5.5.62", 246, false}, {"5.5.62", 56, false}, {"garbage", 246, false}, {"garbage", 224, true},
		{"5.5.68-MariaDB", 246, false}, {"10.0.38-MariaDB", 246, true},
		{"5.6.51", 248, false}, {"5.7.44", 248, true}, {"5.7.44", 255, false}, {"5.7.44", 76, false},
		{"8.0.mysql_aurora.3.05.2", 255, true}, {"8.0.16", 309, false}, {"8.0.17", 309, true}, {"8.0.29", 310, false}, {"8.0.30", 310, true},
		{"8.4.3", 323, true}, {"9.9.0", 323, true}, {"9.9.0", 324, false},
		{"10.1.48-MariaDB", 1069, false}, {"10.2.44-MariaDB", 1069, true}, {"10.2.44-MariaDB", 608, true},
		{"10.9.8-MariaDB", 2304, false}, {"10.10.7-MariaDB", 2304, true}, {"10.6.16-MariaDB", 255, false},
		{"11.4.4-MariaDB", 255, false}, {"11.4.5-MariaDB", 255, true}, {"11.6.2-MariaDB", 255, false}, {"11.8.1-MariaDB", 255, true},
		{"12.0.1-MariaDB", 255, true}, {"11.4.5-MariaDB", 611, false},
	} {
		if got := ParseVersion(tt.version).KnowsCollation(tt.id); got != tt.want {
			t.Errorf("%s knows %d: %v", tt.version, tt.id, got)
		}
	}
}

func TestNearestCollation(t *testing.T) {
	all := readCollations(t)
	names := make(map[string]uint16)
	for id, c := range all {
		names[c.name] = id
	}
	for _, tt := range []struct{ id, version, want string }{
		{"utf8mb4_0900_ai_ci", "5.6.24", "utf8mb4_unicode_520_ci"},
		{"utf8mb4_0900_ai_ci", "5.5.62", "utf8mb4_unicode_ci"},
		{"utf8mb4_0900_ai_ci", "10.11.18-MariaDB", "utf8mb4_unicode_520_ci"}, // uca1400 does not fit a login's byte
		{"utf8mb4_0900_ai_ci", "11.8.9-MariaDB", "utf8mb4_0900_ai_ci"},
		{"utf8mb4_0900_as_cs", "5.6.24", "utf8mb4_bin"},
		{"utf8mb4_0900_as_cs", "10.11.18-MariaDB", "utf8mb4_uca1400_nopad_as_cs"},
		{"utf8mb4_0900_as_ci", "5.6.24", "utf8mb4_unicode_520_ci"},
		{"utf8mb4_0900_as_ci", "10.11.18-MariaDB", "utf8mb4_uca1400_nopad_as_ci"},
		{"utf8mb4_0900_bin", "5.6.24", "utf8mb4_bin"},
		{"utf8mb4_0900_bin", "10.11.18-MariaDB", "utf8mb4_nopad_bin"},
		{"utf8mb4_sv_0900_ai_ci", "5.6.24", "utf8mb4_swedish_ci"},
		{"utf8mb4_sv_0900_ai_ci", "10.11.18-MariaDB", "utf8mb4_uca1400_swedish_nopad_ai_ci"},
		{"utf8mb4_de_pb_0900_ai_ci", "5.6.24", "utf8mb4_german2_ci"},
		{"utf8mb4_de_pb_0900_ai_ci", "5.5.62", "utf8mb4_unicode_ci"},
		{"utf8mb4_hr_0900_as_cs", "10.11.18-MariaDB", "utf8mb4_uca1400_croatian_nopad_as_cs"},
		{"utf8mb4_vi_0900_ai_ci", "10.11.18-MariaDB", "utf8mb4_uca1400_vietnamese_nopad_ai_ci"},
		{"utf8mb4_nb_0900_ai_ci", "5.7.44", "utf8mb4_danish_ci"},
		{"utf8mb4_nb_0900_as_cs", "8.0.20", "utf8mb4_da_0900_as_cs"},
		{"utf8mb4_bs_0900_ai_ci", "11.8.9-MariaDB", "utf8mb4_hr_0900_ai_ci"},
		{"utf8mb4_gl_0900_ai_ci", "5.6.24", "utf8mb4_spanish_ci"},
		{"utf8mb4_ru_0900_ai_ci", "11.8.9-MariaDB", "utf8mb4_0900_ai_ci"},
		{"utf8mb4_ja_0900_as_cs", "11.8.9-MariaDB", "utf8mb4_0900_as_cs"},
		{"utf8mb4_zh_0900_as_cs", "5.7.44", "utf8mb4_bin"},

		{"utf8mb4_uca1400_ai_ci", "9.7.4", "utf8mb4_0900_ai_ci"},
		{"utf8mb4_uca1400_ai_ci", "5.6.24", "utf8mb4_unicode_520_ci"},
		{"utf8mb4_uca1400_ai_ci", "10.6.16-MariaDB", "utf8mb4_unicode_520_ci"},
		{"utf8mb4_uca1400_nopad_as_cs", "9.7.4", "utf8mb4_0900_as_cs"},
		{"utf8mb4_uca1400_as_ci", "9.7.4", "utf8mb4_0900_as_ci"},
		{"utf8mb4_uca1400_swedish_as_ci", "9.7.4", "utf8mb4_0900_as_ci"},
		{"utf8mb4_uca1400_swedish_as_ci", "5.6.24", "utf8mb4_swedish_ci"},
		{"utf8mb4_uca1400_swedish_ai_cs", "9.7.4", "utf8mb4_sv_0900_as_cs"},
		{"utf8mb4_uca1400_persian_ai_ci", "9.7.4", "utf8mb4_persian_ci"},
		{"utf8mb4_uca1400_persian_as_cs", "9.7.4", "utf8mb4_0900_as_cs"},
		{"utf8mb4_uca1400_croatian_ai_ci", "9.7.4", "utf8mb4_hr_0900_ai_ci"},
		{"utf8mb3_uca1400_ai_ci", "9.7.4", "utf8mb3_unicode_520_ci"},
		{"utf8mb3_uca1400_croatian_ai_ci", "9.7.4", "utf8mb3_croatian_mysql561_ci"},
		{"utf8mb3_uca1400_as_cs", "9.7.4", "utf8mb3_bin"},
		{"utf32_uca1400_icelandic_ai_ci", "9.7.4", "utf32_icelandic_ci"},

		{"utf8mb4_croatian_ci", "9.7.4", "utf8mb4_croatian_mysql561_ci"},
		{"utf8mb4_croatian_ci", "5.5.62", "utf8mb4_unicode_ci"},
		{"utf8mb4_thai_520_w2", "9.7.4", "utf8mb4_unicode_520_ci"},
		{"utf8mb4_general1400_as_ci", "9.7.4", "utf8mb4_0900_as_ci"},
		{"utf8mb4_general1400_as_ci", "10.11.18-MariaDB", "utf8mb4_uca1400_as_ci"},
		{"utf8mb4_general_nopad_ci", "9.7.4", "utf8mb4_general_ci"},
		{"utf8mb4_nopad_bin", "5.6.24", "utf8mb4_bin"},
		{"latin1_swedish_nopad_ci", "9.7.4", "latin1_swedish_ci"},
		{"utf16le_nopad_bin", "5.5.62", "utf16_bin"},

		{"gb18030_chinese_ci", "10.11.18-MariaDB", "gbk_chinese_ci"},
		{"gb18030_unicode_520_ci", "5.6.24", "gbk_chinese_ci"},
		{"gb18030_bin", "5.6.24", "gbk_bin"},
		{"utf8mb3_tolower_ci", "5.6.24", "utf8mb3_general_ci"},
		{"utf8mb4_vietnamese_ci", "5.5.62", "utf8mb4_unicode_ci"},
		{"utf8mb4_general_ci", "garbage", "utf8mb4_general_ci"},
	} {
		id, want := names[tt.id], names[tt.want]
		if id == 0 || want == 0 {
			t.Errorf("no collation %s or %s", tt.id, tt.want)
			continue
		}
		if got, changed := ParseVersion(tt.version).NearestCollation(id); got != want || changed != (id != want) {
			t.Errorf("%s on %s: %s, %v, want %s", tt.id, tt.version, all[got].name, changed, tt.want)
		}
	}
	for _, tt := range []struct {
		name     string
		id, want uint16
	}{
		{"the server's default", 0, 0},
		{"filename", 17, 17},
		{"none's", 254, 254},
		{"a gap of 0900", 272, utf8mb4General},
		{"of a server to come", 400, utf8mb4General},
		{"a gap of uca1400", 2216, utf8mb4General},
		{"the highest", 65535, utf8mb4General},
	} {
		for server, v := range measured {
			if got, changed := v.NearestCollation(tt.id); got != tt.want || changed != (got != tt.id) {
				t.Errorf("%s on %s: %d, %v, want %d", tt.name, server, got, changed, tt.want)
			}
		}
	}
}

// Each collation that a server has becomes one that the other knows, of the same
// character set, and as sensitive as there is one.
func TestNearestCollationKeeps(t *testing.T) {
	all := readCollations(t)
	versions := []string{"5.5.62", "5.6.24", "5.7.44", "8.0.11", "8.0.36", "8.4.3", "9.7.4", "garbage",
		"5.5.68-MariaDB", "10.0.38-MariaDB", "10.6.16-MariaDB", "10.11.18-MariaDB", "11.4.8-MariaDB", "11.8.9-MariaDB"}
	for _, version := range versions {
		v := ParseVersion(version)
		for id, c := range all {
			nearest, changed := v.NearestCollation(id)
			n := all[nearest]
			wrong := func(what string) { t.Errorf("%s becomes %d %s on %s: %s", c.name, nearest, n.name, version, what) }
			if changed == v.KnowsCollation(id) || changed != (nearest != id) {
				wrong("changed or not")
			}
			if !v.KnowsCollation(nearest) {
				wrong("it is not known")
			}
			if id < 256 && nearest >= 256 {
				wrong("it does not fit a byte")
			}
			set := c.charset()
			if n.charset() != set && !(set == "gb18030" && n.charset() == "gbk") && !(set == "utf16le" && n.charset() == "utf16") {
				wrong("another character set")
			}
			if changed && c.countsCases() != n.countsCases() {
				wrong("other cases")
			}
		}
	}
}

// countsCases reports whether cases count.
func (c collation) countsCases() bool {
	return strings.HasSuffix(c.name, "_cs") || strings.HasSuffix(c.name, "_bin") || strings.HasSuffix(c.name, "_ks")
}
