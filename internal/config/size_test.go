package config

import "testing"

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		s    string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"1048576", 1 << 20, true}, {"512k", 512 << 10, true}, {"512K", 512 << 10, true},
		{"1MiB", 1 << 20, true}, {"1 MiB", 1 << 20, true}, {"3mb", 3 << 20, true}, {"2g", 2 << 30, true},
		{"1TiB", 1 << 40, true}, {"7b", 7, true}, {"8388607TiB", 8388607 << 40, true},
		{"8388608TiB", 0, false}, {"99999999999999999999", 0, false},
		{"", 0, false}, {"MiB", 0, false}, {"-1", 0, false}, {"1.5g", 0, false}, {"1  k", 0, false}, {"1kk", 0, false}, {"1x", 0, false},
	} {
		got, err := ParseSize(tt.s)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseSize(%q) = %d, %v, want %d, ok %v", tt.s, got, err, tt.want, tt.ok)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"1MiB", "512k", "0", "9223372036854775807", "1 g"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("ParseSize(%q) = %d", s, n)
		}
		if again, err := ParseSize(FormatSize(n)); err != nil || again != n {
			t.Fatalf("%d is written as %q, which is read as %d, %v", n, FormatSize(n), again, err)
		}
	})
}
