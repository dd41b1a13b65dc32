package mysql

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseLogin(t *testing.T) {
	const base = ClientLongPassword | ClientProtocol41
	for name, l := range map[string]Login{
		"native": {Capabilities: base | ClientSecureConnection | ClientPluginAuth, MaxPacket: 1 << 24, Charset: 45,
			User: "app", AuthResponse: []byte("12345678901234567890"), Plugin: PluginNativePassword},
		"everything": {Capabilities: base | ClientSecureConnection | ClientPluginAuth | ClientPluginAuthLenencClientData | ClientConnectWithDB |
			ClientConnectAttrs | ClientZstdCompressionAlgorithm, User: "ápp", Schema: "shop", Plugin: "caching_sha2_password",
			AuthResponse: []byte(strings.Repeat("r", 300)), Attributes: []byte("\x03_os\x05Linux"), ZstdLevel: 3},
		"MariaDB's":      {Capabilities: ClientProtocol41 | ClientSecureConnection, Extended: MariaDBStmtBulk | MariaDBCacheMetadata, User: "m"},
		"no password":    {Capabilities: base | ClientSecureConnection | ClientConnectWithDB, User: "", Schema: "s"},
		"NUL terminated": {Capabilities: base, User: "u", AuthResponse: []byte("scramble")},
		"no attributes":  {Capabilities: base | ClientSecureConnection | ClientPluginAuth | ClientConnectAttrs, User: "u", Plugin: "p"},
	} {
		t.Run(name, func(t *testing.T) {
			b := l.Append(nil)
			got, err := ParseLogin(b)
			if err != nil {
				t.Fatal(err)
			}
			if !sameLogin(got, l) {
				t.Errorf("got %+v, want %+v", got, l)
			}
			clear(b)
			if !sameLogin(got, l) {
				t.Error("the login shares memory with the packet")
			}
		})
	}
}

// sameLogin reports whether two logins are equal; nil and empty are the same.
func sameLogin(a, b Login) bool {
	return string(a.AuthResponse) == string(b.AuthResponse) && string(a.Attributes) == string(b.Attributes) &&
		reflect.DeepEqual(withoutBytes(a), withoutBytes(b))
}

func withoutBytes(l Login) Login {
	l.AuthResponse, l.Attributes = nil, nil
	return l
}

// Fields that clients leave out though their capabilities announce them.
func TestParseLoginLenient(t *testing.T) {
	l := Login{Capabilities: ClientLongPassword | ClientProtocol41 | ClientSecureConnection | ClientConnectWithDB | ClientPluginAuth | ClientConnectAttrs | ClientZstdCompressionAlgorithm,
		User: "u", AuthResponse: []byte("r"), Schema: "s", Plugin: "p"}
	b := l.Append(nil)
	for _, tt := range []struct {
		name           string
		cut            int
		schema, plugin string
	}{
		{"all but attributes and level", 2, "s", "p"},
		{"plugin without its NUL", 3, "s", "p"},
		{"no plugin", 4, "s", ""},
		{"schema without its NUL", 5, "s", ""},
		{"no schema", 6, "", ""},
	} {
		got, err := ParseLogin(b[:len(b)-tt.cut])
		if err != nil || got.Schema != tt.schema || got.Plugin != tt.plugin {
			t.Errorf("%s: schema %q, plugin %q, %v", tt.name, got.Schema, got.Plugin, err)
		}
	}
}

func TestParseLoginErrors(t *testing.T) {
	l := Login{Capabilities: ClientLongPassword | ClientProtocol41 | ClientSecureConnection | ClientConnectAttrs, User: "app", AuthResponse: []byte("resp"), Attributes: []byte("\x01a\x01b")}
	whole := string(l.Append(nil))
	ssl := Login{Capabilities: ClientLongPassword | ClientProtocol41 | ClientSSL}
	response := strings.Index(whole, "resp")
	for _, tt := range []struct{ name, payload, want string }{
		{"empty", "", "4.1"},
		{"pre-4.1", "\x05\xa4\x00\x00\x00root\x00", "4.1"},
		{"header", whole[:31], "cut short"},
		{"user", whole[:34], "user is cut short"},
		{"response", whole[:response+2], `of "app": authentication response is cut short`},
		{"attributes", whole[:len(whole)-1], "attributes are cut short"},
		{"SSLRequest", string(ssl.Append(nil)[:loginHeader]), "SSLRequest"},
	} {
		if _, err := ParseLogin([]byte(tt.payload)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestIsSSLRequest(t *testing.T) {
	l := Login{Capabilities: ClientProtocol41 | ClientSSL, User: "u"}
	if b := l.Append(nil); !IsSSLRequest(b[:32]) || IsSSLRequest(b) || IsSSLRequest(b[:31]) {
		t.Error("an SSLRequest is the first 32 bytes of a login")
	}
	l.Capabilities &^= ClientSSL
	if IsSSLRequest(l.Append(nil)[:32]) {
		t.Error("an SSLRequest without ClientSSL")
	}
}

func TestLoginAppendLongResponse(t *testing.T) {
	l := Login{Capabilities: ClientLongPassword | ClientProtocol41 | ClientSecureConnection, AuthResponse: make([]byte, 300)}
	if got, err := ParseLogin(l.Append(nil)); err != nil || len(got.AuthResponse) != 255 {
		t.Errorf("%d bytes, %v, want 255", len(got.AuthResponse), err)
	}
}

func FuzzParseLogin(f *testing.F) {
	for _, c := range conversations(f) {
		if ps, err := packets(c.stream(false)); err == nil {
			f.Add(ps[0].payload)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLogin(b)
		if err != nil {
			return
		}
		if again, err := ParseLogin(l.Append(nil)); err != nil || !sameLogin(again, l) {
			t.Fatalf("%+v appended and parsed is %+v, %v", l, again, err)
		}
	})
}
