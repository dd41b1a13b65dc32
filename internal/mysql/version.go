package mysql

import "strings"

// A Version is a server's family and version. Zero, which compares below every
// server, is one that could not be read.
type Version struct {
	MariaDB             bool
	Major, Minor, Patch int32
}

// replicationPrefix is what MariaDB from 10.0 to 10.11 puts in front of its
// version in the greeting: MySQL's replicas took 10 for 1.
const replicationPrefix = "5.5.5-"

// ParseVersion parses the version in a greeting: three numbers, behind which
// distributions and forks write what they like. A number that is not there is 0,
// as the last one of Aurora's "8.0.mysql_aurora.3.05.2".
func ParseVersion(s string) Version {
	v := Version{MariaDB: strings.Contains(strings.ToLower(s), "mariadb")}
	// Without MariaDB's name the prefix is still told from MySQL 5.5.5 by the
	// version behind it.
	if rest, ok := strings.CutPrefix(s, replicationPrefix); ok {
		if major, after := cutNumber(rest); major >= 10 && strings.HasPrefix(after, ".") {
			v.MariaDB = true
		}
		if v.MariaDB {
			s = rest
		}
	}
	for i, n := range []*int32{&v.Major, &v.Minor, &v.Patch} {
		if i > 0 {
			var ok bool
			if s, ok = strings.CutPrefix(s, "."); !ok {
				break
			}
		}
		if *n, s = cutNumber(s); *n < 0 {
			*n = 0
			break
		}
	}
	return v
}

// AtLeast reports whether v is of major.minor.patch or later. It does not look
// at the family.
func (v Version) AtLeast(major, minor, patch int32) bool {
	if v.Major != major {
		return v.Major > major
	}
	if v.Minor != minor {
		return v.Minor > minor
	}
	return v.Patch >= patch
}

// cutNumber takes a decimal number of at most six digits off the front of s, or
// is -1.
func cutNumber(s string) (n int32, rest string) {
	i := 0
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		if i == 6 {
			return -1, s
		}
		n = n*10 + int32(s[i]-'0')
	}
	if i == 0 {
		return -1, s
	}
	return n, s[i:]
}
