package mysql

import "testing"

func TestParseVersion(t *testing.T) {
	maria := func(major, minor, patch int32) Version { return Version{true, major, minor, patch} }
	mysql := func(major, minor, patch int32) Version { return Version{false, major, minor, patch} }
	for _, tt := range []struct {
		name string
		want Version
	}{
		{"9.7.4-2", mysql(9, 7, 4)},
		{"5.6.24", mysql(5, 6, 24)},
		{"5.6.24-log", mysql(5, 6, 24)},
		{"5.5.5-m3", mysql(5, 5, 5)},
		{"5.5.5", mysql(5, 5, 5)},
		{"8.0.36-28 Percona", mysql(8, 0, 36)},
		{"8.0.36-28.1", mysql(8, 0, 36)},
		{"5.7.44-48-log", mysql(5, 7, 44)},
		{"8.4.0-commercial", mysql(8, 4, 0)},
		{"5.6.47.0", mysql(5, 6, 47)},
		{"8.0.mysql_aurora.3.05.2", mysql(8, 0, 0)},
		{"5.7.mysql_aurora.2.11.2", mysql(5, 7, 0)},
		{"8.0.11-TiDB-v7.5.0", mysql(8, 0, 11)},
		{"5.5.5-10.11.18-MariaDB-0+deb12u1", maria(10, 11, 18)},
		{"5.5.5-10.6.16", maria(10, 6, 16)},
		{"5.5.5-10.4.8-MariaDB-1:10.4.8+maria~bionic-log", maria(10, 4, 8)},
		{"11.8.9-MariaDB-4 from Debian", maria(11, 8, 9)},
		{"10.6.14-mariadb-log", maria(10, 6, 14)},
		{"5.5.68-MariaDB", maria(5, 5, 68)},
		{"", Version{}},
		{"5.5.5-", mysql(5, 5, 5)},
		{"5.5.5-10", mysql(5, 5, 5)},
		{"garbage", Version{}},
		{"MariaDB", maria(0, 0, 0)},
		{"-8.0.1", Version{}},
		{"8", mysql(8, 0, 0)},
		{"8..3", mysql(8, 0, 0)},
		{"9999999.1.1", Version{}},
		{"8.99999999999999999999.1", mysql(8, 0, 0)},
	} {
		if got := ParseVersion(tt.name); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestVersionAtLeast(t *testing.T) {
	for _, tt := range []struct {
		version             string
		major, minor, patch int32
		want                bool
	}{
		{"8.0.17", 8, 0, 17, true},
		{"8.0.17", 8, 0, 18, false},
		{"8.0.17", 8, 1, 0, false},
		{"8.0.17", 5, 7, 40, true},
		{"8.4.0", 8, 0, 30, true},
		{"9.0.0", 10, 0, 0, false},
		{"garbage", 0, 0, 1, false},
	} {
		if got := ParseVersion(tt.version).AtLeast(tt.major, tt.minor, tt.patch); got != tt.want {
			t.Errorf("%s is at least %d.%d.%d: %v", tt.version, tt.major, tt.minor, tt.patch, got)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("5.5.5-10.11.18-MariaDB-0+deb12u1")
	f.Add("8.0.mysql_aurora.3.05.2")
	f.Fuzz(func(t *testing.T, s string) {
		v := ParseVersion(s)
		for _, n := range []int32{v.Major, v.Minor, v.Patch} {
			if n < 0 || n > 999999 {
				t.Fatalf("%q: %+v", s, v)
			}
		}
		if !v.AtLeast(v.Major, v.Minor, v.Patch) || v.AtLeast(v.Major, v.Minor, v.Patch+1) {
			t.Fatalf("%q: %+v is not itself", s, v)
		}
	})
}
