package mysql

import (
	"encoding/hex"
	"testing"
)

func TestNativePassword(t *testing.T) {
	salt := []byte("\x2a\x5b\x6c\x7d\x01\x02\x03\x04\x11\x12\x13\x14\x21\x22\x23\x24\x31\x32\x33\x34")
	if got := NativePassword(salt, ""); len(got) != 0 {
		t.Errorf("no password gives %x", got)
	}
	got := NativePassword(salt, "secret")
	if len(got) != 20 || string(got) != string(NativePassword(append(salt, 0), "secret")) {
		t.Errorf("%x changes with the NUL behind the salt", got)
	}
	// By Python's hashlib.
	const want = "25d9a1f9bfc9cca6c29395762efe91d34f72ffa2"
	if hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
	if len(NativePassword(nil, "secret")) != 20 {
		t.Error("without a salt")
	}
}

// The server of each recorded conversation of the Go driver took its proof.
func TestNativePasswordOfConversations(t *testing.T) {
	found := 0
	for name, c := range conversations(t) {
		client, err := packets(c.stream(false))
		if err != nil {
			t.Fatal(err)
		}
		l, err := ParseLogin(client[0].payload)
		if err != nil {
			t.Fatal(err)
		}
		if l.Plugin != PluginNativePassword || len(l.AuthResponse) == 0 {
			continue
		}
		server, err := packets(c.stream(true))
		if err != nil {
			t.Fatal(err)
		}
		g, err := ParseGreeting(server[0].payload)
		if err != nil {
			t.Fatal(err)
		}
		if got := NativePassword(g.Salt[:], "secret"); string(got) != string(l.AuthResponse) {
			t.Errorf("%s: %x, the driver sent %x", name, got, l.AuthResponse)
		}
		found++
	}
	if found == 0 {
		t.Error("no conversation has such a login")
	}
}

func TestParseAuthSwitch(t *testing.T) {
	for _, tt := range []struct {
		payload, plugin, data string
		ok                    bool
	}{
		{"\xfemysql_native_password\x00abcdefghijklmnopqrst\x00", PluginNativePassword, "abcdefghijklmnopqrst\x00", true},
		{"\xfeclient_ed25519\x00", "client_ed25519", "", true},
		{"\xfe", PluginOldPassword, "", true},
		{"\xfemysql_native", "", "", false},
		{"\x00\x00\x00\x02\x00\x00\x00", "", "", false},
		{"", "", "", false},
	} {
		got, err := ParseAuthSwitch([]byte(tt.payload))
		if (err == nil) != tt.ok || got.Plugin != tt.plugin || string(got.Data) != tt.data {
			t.Errorf("%q: %q, %q, %v", tt.payload, got.Plugin, got.Data, err)
		}
	}
}

func FuzzParseAuthSwitch(f *testing.F) {
	f.Add([]byte("\xfemysql_native_password\x00abcdefghijklmnopqrst\x00"))
	f.Add([]byte("\xfe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseAuthSwitch(b)
		if err != nil || len(b) == 1 {
			return
		}
		if got := "\xfe" + s.Plugin + "\x00" + string(s.Data); got != string(b) {
			t.Fatalf("%q lost bytes: %q", b, got)
		}
	})
}
