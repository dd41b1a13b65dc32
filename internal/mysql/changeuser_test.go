package mysql

import (
	"reflect"
	"strings"
	"testing"
)

// changeUserCaps are those of all clients of today.
const changeUserCaps = ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientPluginAuthLenencClientData | ClientConnectAttrs

func TestChangeUser(t *testing.T) {
	full := ChangeUser{User: "app", AuthResponse: []byte("12345678901234567890"), Schema: "shop", Charset: 2304, HasCharset: true,
		Plugin: PluginNativePassword, Attributes: []byte("\x03_os\x05Linux")}
	without := func(change func(u *ChangeUser)) ChangeUser {
		u := full
		change(&u)
		return u
	}
	for _, tt := range []struct {
		name string
		caps Capabilities
		u    ChangeUser
		want string
	}{
		{"everything", changeUserCaps, full,
			"\x11app\x00\x1412345678901234567890shop\x00\x00\x09mysql_native_password\x00\x0a\x03_os\x05Linux"},
		{"no user, password or schema", changeUserCaps, ChangeUser{HasCharset: true, Charset: 45, Plugin: "p"},
			"\x11\x00\x00\x00\x2d\x00p\x00\x00"},
		{"no plugin", changeUserCaps &^ ClientPluginAuth, without(func(u *ChangeUser) { u.Plugin = "" }),
			"\x11app\x00\x1412345678901234567890shop\x00\x00\x09\x0a\x03_os\x05Linux"},
		{"no attributes", changeUserCaps &^ ClientConnectAttrs, without(func(u *ChangeUser) { u.Attributes = nil }),
			"\x11app\x00\x1412345678901234567890shop\x00\x00\x09mysql_native_password\x00"},
		{"no character set", changeUserCaps &^ ClientPluginAuth, ChangeUser{User: "app", AuthResponse: []byte("r"), Schema: "shop"}, "\x11app\x00\x01rshop\x00"},
		{"NUL terminated", ClientProtocol41, ChangeUser{User: "app", AuthResponse: []byte("scramble"), Charset: 8, HasCharset: true},
			"\x11app\x00scramble\x00\x00\x08\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.u.Append(nil, tt.caps)
			if string(b) != tt.want {
				t.Errorf("Append: %q, want %q", b, tt.want)
			}
			got, err := ParseChangeUser(b, tt.caps)
			if err != nil || !sameChangeUser(got, tt.u) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.u)
			}
			clear(b)
			if !sameChangeUser(got, tt.u) {
				t.Error("the result shares memory with the packet")
			}
		})
	}
}

// sameChangeUser reports whether two are equal; nil and empty are the same.
func sameChangeUser(a, b ChangeUser) bool {
	same := string(a.AuthResponse) == string(b.AuthResponse) && string(a.Attributes) == string(b.Attributes)
	a.AuthResponse, a.Attributes, b.AuthResponse, b.Attributes = nil, nil, nil, nil
	return same && reflect.DeepEqual(a, b)
}

// Fields that clients may leave out at the end.
func TestParseChangeUserLenient(t *testing.T) {
	const noPlugin = changeUserCaps &^ ClientPluginAuth
	for _, tt := range []struct {
		name, payload string
		caps          Capabilities
		want          ChangeUser
	}{
		{"no attributes", "\x11app\x00\x01rshop\x00\x2d\x00plug\x00", changeUserCaps,
			ChangeUser{User: "app", Schema: "shop", Charset: 45, HasCharset: true, Plugin: "plug"}},
		{"plugin without its NUL", "\x11app\x00\x01rshop\x00\x2d\x00plug", changeUserCaps,
			ChangeUser{User: "app", Schema: "shop", Charset: 45, HasCharset: true, Plugin: "plug"}},
		{"half a character set", "\x11app\x00\x01rshop\x00\x2d", noPlugin, ChangeUser{User: "app", Schema: "shop"}},
		{"schema without its NUL", "\x11app\x00\x01rshop", noPlugin, ChangeUser{User: "app", Schema: "shop"}},
		{"no schema", "\x11app\x00\x01r", noPlugin, ChangeUser{User: "app"}},
	} {
		tt.want.AuthResponse = []byte("r")
		if got, err := ParseChangeUser([]byte(tt.payload), tt.caps); err != nil || !sameChangeUser(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestParseChangeUserErrors(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		caps          Capabilities
		user, want    string
	}{
		{"empty", "", changeUserCaps, "", "another command"},
		{"another command", "\x03select 1", changeUserCaps, "", "another command"},
		{"user", "\x11app", changeUserCaps, "", "user is cut short"},
		{"no response", "\x11app\x00", changeUserCaps, "app", `"app": authentication response is cut short`},
		{"response", "\x11app\x00\x14abc", changeUserCaps, "app", "response is cut short"},
		{"response without its NUL", "\x11app\x00abc", ClientProtocol41, "app", "response is cut short"},
		{"no plugin", "\x11app\x00\x01rshop\x00\x2d\x00", changeUserCaps, "app", "no plugin"},
		{"neither character set nor plugin", "\x11app\x00\x01rshop\x00", changeUserCaps, "app", "no plugin"},
		{"attributes", "\x11app\x00\x00\x00\x2d\x00p\x00\x05\x01a", changeUserCaps, "app", "attributes are cut short"},
	} {
		got, err := ParseChangeUser([]byte(tt.payload), tt.caps)
		if err == nil || !strings.Contains(err.Error(), tt.want) || got.User != tt.user {
			t.Errorf("%s: user %q, %v, want %q, %q", tt.name, got.User, err, tt.user, tt.want)
		}
	}
}

func TestChangeUserAppendPadded(t *testing.T) {
	for _, tt := range []struct {
		name string
		caps Capabilities
		u    ChangeUser
		want string
	}{
		{"padded", changeUserCaps, ChangeUser{Charset: 45, Plugin: "p"}, "\x2d\x00p\x00\x00" + strings.Repeat("\x00", 45-4)},
		{"long enough", changeUserCaps, ChangeUser{Charset: 8, Plugin: "plugin", Attributes: []byte("\x01a\x01b")}, "\x08\x00plugin\x00\x04\x01a\x01b"},
		{"no attributes", changeUserCaps &^ ClientConnectAttrs, ChangeUser{Charset: 45, Plugin: "p"}, "\x2d\x00p\x00"},
		{"a character set that 5.6 does not have", changeUserCaps, ChangeUser{Charset: 255, Plugin: "p"}, "\xff\x00p\x00\x00"},
	} {
		tt.u.HasCharset, tt.u.Padded = true, true
		b := tt.u.Append(nil, tt.caps)
		if want := "\x11\x00\x00\x00" + tt.want; string(b) != want {
			t.Errorf("%s: %q, want %q", tt.name, b, want)
		}
		tt.u.Padded = false
		if got, err := ParseChangeUser(b, tt.caps); err != nil || !sameChangeUser(got, tt.u) {
			t.Errorf("%s: parsed it is %+v, %v", tt.name, got, err)
		}
	}
}

func TestChangeUserAppendNoCharset(t *testing.T) {
	u := ChangeUser{User: "app"}
	if got, want := string(u.Append(nil, changeUserCaps)), "\x11app\x00\x00\x00\x00\x00\x00\x00"; got != want {
		t.Errorf("%q, want %q: with the server's default and a plugin", got, want)
	}
}

func TestChangeUserAppendLongResponse(t *testing.T) {
	u := ChangeUser{AuthResponse: make([]byte, 300)}
	if got, err := ParseChangeUser(u.Append(nil, changeUserCaps), changeUserCaps); err != nil || len(got.AuthResponse) != 255 {
		t.Errorf("%d bytes, %v, want 255", len(got.AuthResponse), err)
	}
}

// What is parsed and appended says the same, with the same and with all
// capabilities.
func FuzzParseChangeUser(f *testing.F) {
	u := ChangeUser{User: "app", AuthResponse: []byte("12345678901234567890"), Schema: "shop", Charset: 255, HasCharset: true, Plugin: "p", Attributes: []byte("\x01a\x01b")}
	f.Add(u.Append(nil, changeUserCaps), uint32(changeUserCaps))
	f.Add(u.Append(nil, ClientProtocol41), uint32(ClientProtocol41))
	f.Fuzz(func(t *testing.T, b []byte, caps uint32) {
		c := Capabilities(caps)
		u, err := ParseChangeUser(b, c)
		if err != nil || len(u.AuthResponse) > 255 { // there is no room for more
			return
		}
		for _, to := range []Capabilities{c, changeUserCaps} {
			if again, err := ParseChangeUser(u.Append(nil, to), to); err != nil || !sameChangeUser(again, withCharset(u, to)) {
				t.Fatalf("%+v appended and parsed is %+v, %v", u, again, err)
			}
		}
	})
}

// withCharset returns u as it is where c is in effect.
func withCharset(u ChangeUser, c Capabilities) ChangeUser {
	u.HasCharset = u.HasCharset || c.Has(ClientPluginAuth)
	return u
}
