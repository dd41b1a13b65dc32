package config

import (
	"net"
	"strings"
	"testing"
)

func TestParseHostPort(t *testing.T) {
	for _, tt := range []struct{ s, want string }{
		{"10.0.0.7", "10.0.0.7:36524"},
		{"10.0.0.7:1", "10.0.0.7:1"},
		{"blackhole.example", "blackhole.example:36524"},
		{"blackhole:700", "blackhole:700"},
		{"2001:db8::7", "[2001:db8::7]:36524"},
		{"[2001:db8::7]", "[2001:db8::7]:36524"},
		{"[2001:db8::7]:700", "[2001:db8::7]:700"},
		{"fe80::1%eth0", "[fe80::1%eth0]:36524"},
		{"", ""}, {":700", ""}, {"host:", ""}, {"host:0", ""}, {"host:65536", ""}, {"host:x", ""}, {"a b", ""},
		{"http://host", ""}, {"[host", ""}, {"1:2:x", ""}, {"[]", ""}, {"[]:1", ""},
	} {
		got, err := ParseHostPort(tt.s, "36524")
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ParseHostPort(%q) = %q, %v, want %q", tt.s, got, err, tt.want)
		}
	}
}

func FuzzParseHostPort(f *testing.F) {
	for _, s := range []string{"10.0.0.7", "host:1", "[::1]:2", "::1", "fe80::1%eth0", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseHostPort(s, "36524")
		if err != nil {
			return
		}
		host, port, err := net.SplitHostPort(got)
		if err != nil || host == "" || port == "" {
			t.Fatalf("ParseHostPort(%q) = %q: %v", s, got, err)
		}
		if again, err := ParseHostPort(got, "1"); err != nil || again != got {
			t.Fatalf("ParseHostPort(%q) = %q, and again %q, %v", s, got, again, err)
		}
	})
}

func TestParseAddrPort(t *testing.T) {
	for _, tt := range []struct{ s, want, err string }{
		{"192.0.2.7:3306", "192.0.2.7:3306", ""},
		{"[2001:db8::7]:3306", "[2001:db8::7]:3306", ""},
		{"[::ffff:192.0.2.7]:3306", "192.0.2.7:3306", ""},
		{"192.0.2.7", "", "is not IP:PORT"},
		{"2001:db8::7", "", "is not IP:PORT"},
		{"db.example:3306", "", "getent ahosts db.example"},
		{"300.0.0.1:3306", "", "is no IP address"},
		{"[fe80::1%eth0]:3306", "", "link-local"},
		{"0.0.0.0:3306", "", "not the address of one host"},
		{"224.0.0.1:3306", "", "not the address of one host"},
		{"192.0.2.7:0", "", "1 to 65535"},
		{"192.0.2.7:mysql", "", "1 to 65535"},
	} {
		got, err := ParseAddrPort(tt.s)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParseAddrPort(%q): error %v, want %q", tt.s, err, tt.err)
			}
			continue
		}
		if err != nil || got.String() != tt.want {
			t.Errorf("ParseAddrPort(%q) = %v, %v, want %s", tt.s, got, err, tt.want)
		}
	}
}

func FuzzParseAddrPort(f *testing.F) {
	for _, s := range []string{"192.0.2.7:3306", "[2001:db8::7]:3306", "[::ffff:192.0.2.7]:3306", "db:3306"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ap, err := ParseAddrPort(s)
		if err != nil {
			return
		}
		if !ap.IsValid() || ap.Port() == 0 || ap.Addr().Zone() != "" || ap.Addr().Is4In6() {
			t.Fatalf("ParseAddrPort(%q) = %v", s, ap)
		}
		if again, err := ParseAddrPort(ap.String()); err != nil || again != ap {
			t.Fatalf("ParseAddrPort(%q) = %v, and again %v, %v", s, ap, again, err)
		}
	})
}

func TestParseListen(t *testing.T) {
	for s, ok := range map[string]bool{
		":36524": true, "10.0.0.7:36524": true, "[::1]:36524": true, "localhost:1": true,
		"36524": false, "": false, ":": false, ":0": false, "10.0.0.7": false, ":x": false,
	} {
		if got, err := ParseListen(s); (err == nil) != ok || ok && got != s {
			t.Errorf("ParseListen(%q) = %q, %v, want ok %v", s, got, err, ok)
		}
	}
}
