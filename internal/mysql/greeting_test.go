package mysql

import (
	"errors"
	"strings"
	"testing"
)

func TestParseGreeting(t *testing.T) {
	whole := Greeting{
		Version: "8.4.0", ConnectionID: 0x01020304, Salt: [20]byte([]byte("abcdefghijklmnopqrst")),
		Capabilities: ClientLongPassword | ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientDeprecateEOF,
		Charset:      255, Status: 2, Plugin: "caching_sha2_password",
	}
	mariadb := whole
	mariadb.Version, mariadb.Extended = "5.5.5-10.11.18-MariaDB", MariaDBStmtBulk|MariaDBCacheMetadata
	mariadb.Capabilities &^= ClientLongPassword
	noPlugin := whole
	noPlugin.Capabilities &^= ClientPluginAuth
	noPlugin.Plugin = ""
	for _, g := range []Greeting{whole, mariadb, noPlugin} {
		b := g.Append(nil)
		got, err := ParseGreeting(b)
		if err != nil || got != g {
			t.Errorf("got %+v, %v, want %+v", got, err, g)
		}
		last := len(b) - len(g.Plugin) - 2 // cut in the plugin's name it is still a greeting
		if g.Plugin == "" {
			last = len(b) - 1
		}
		for n := range last {
			if _, err := ParseGreeting(b[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes are a greeting", g.Version, n, len(b))
			}
		}
	}
}

func TestParseGreetingErrors(t *testing.T) {
	old := Greeting{Version: "4.0.1", Capabilities: ClientLongPassword}
	for _, tt := range []struct{ payload, want string }{
		{"", "empty"},
		{"\x09" + "3.20\x00", "protocol version 9"},
		{string(old.Append(nil)), "no 4.1 protocol"},
		{"\xff\x6a\x04Host '192.0.2.1' is not allowed to connect to this MySQL server", "ERROR 1130: Host"},
	} {
		if _, err := ParseGreeting([]byte(tt.payload)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.payload, err, tt.want)
		}
	}
	_, err := ParseGreeting([]byte("\xff\x10\x04Too many connections"))
	if e, ok := errors.AsType[ServerError](err); !ok || e.Code != 1040 {
		t.Errorf("%#v is no ServerError", err)
	}
}

func FuzzParseGreeting(f *testing.F) {
	for _, c := range conversations(f) {
		if ps, err := packets(c.stream(true)); err == nil {
			f.Add(ps[0].payload)
		}
	}
	f.Add([]byte("\xff\x10\x04Too many connections"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseGreeting(b)
		if err != nil {
			return
		}
		if again, err := ParseGreeting(g.Append(nil)); err != nil || again != g {
			t.Fatalf("%+v appended and parsed is %+v, %v", g, again, err)
		}
	})
}
