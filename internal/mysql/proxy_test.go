package mysql

import (
	"strings"
	"testing"
)

func TestProxyHeader(t *testing.T) {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	const login = "\x20\x00\x00\x01\x85\xa2\xbf\x19"
	for _, tt := range []struct{ name, header string }{
		{"text, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 40000 3306\r\n"},
		{"text, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 40000 3306\r\n"},
		{"text, unknown", "PROXY UNKNOWN\r\n"},
		{"text without CR", "PROXY TCP4 192.0.2.1 198.51.100.2 40000 3306\n"},
		{"text, the longest", "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n"},
		{"binary, IPv4", signature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x9c\x40\x0c\xea"},
		{"binary, IPv6", signature + "\x21\x21\x00\x24" + strings.Repeat("a", 36)},
		{"binary, the proxy itself", signature + "\x20\x00\x00\x00"},
		{"binary, with extensions", signature + "\x21\x11\x01\x00" + strings.Repeat("x", 256)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := range len(tt.header) {
				if got, more := ProxyHeader([]byte(tt.header[:n])); got != 0 || !more {
					t.Fatalf("%d bytes: %d, %v", n, got, more)
				}
			}
			for _, rest := range []string{"", login, "\n"} {
				if got, more := ProxyHeader([]byte(tt.header + rest)); got != len(tt.header) || more {
					t.Errorf("with %q behind it: %d, %v, want %d", rest, got, more, len(tt.header))
				}
			}
		})
	}
	for _, tt := range []struct{ name, b string }{
		{"a login", login},
		{"a login as long as PRO", "PRO\x01"},
		{"a login as long as two line ends", "\r\n\r\x01"},
		{"another word", "PROXIES\r\n"},
		{"text that is too long", "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n"},
		{"text without end", "PROXY " + strings.Repeat("f", 101)},
		{"binary of another version", signature + "\x11"},
		{"binary with another command", signature + "\x22\x11\x00\x0c"},
	} {
		if n, more := ProxyHeader([]byte(tt.b)); n != 0 || more {
			t.Errorf("%s: %d, %v", tt.name, n, more)
		}
	}
}

// Octets that come later change nothing that was said of those before.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.2 40000 3306\r\n"), 10)
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x9c\x40\x0c\xea"), 20)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		n, more := ProxyHeader(b)
		if n < 0 || n > len(b) || n > 0 && more {
			t.Fatalf("%x: %d, %v", b, n, more)
		}
		cut = max(0, min(cut, len(b)))
		before, wanted := ProxyHeader(b[:cut])
		switch {
		case before > 0 && before != n:
			t.Fatalf("%x: %d, of its first %d octets %d", b, n, cut, before)
		case before == 0 && !wanted && (n > 0 || more):
			t.Fatalf("%x: %d, %v, but none of its first %d octets", b, n, more, cut)
		}
	})
}
