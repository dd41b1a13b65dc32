package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A ChangeUser is a COM_CHANGE_USER: a login within a session. Servers do not
// look at its AuthResponse; they ask again, with a new nonce.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
type ChangeUser struct {
	User         string
	AuthResponse []byte
	Schema       string // "": no schema, whatever it was before
	Charset      uint16 // the id of a collation
	HasCharset   bool   // without ClientPluginAuth clients may leave it out
	Plugin       string // with ClientPluginAuth
	Attributes   []byte // with ClientConnectAttrs, as in a Login
	// Padded has Append write what MySQL 5.6 needs behind the attributes. Its
	// 5.6.24 looks for them where the character set is, takes the lower byte of
	// that for their size, and denies access if there are not so many octets.
	// MySQL 9.7 and MariaDB do not mind.
	Padded bool
}

// ParseChangeUser parses a COM_CHANGE_USER's payload, from the command byte on.
// Which fields are there follows c, the capabilities in effect. With an error,
// User is set if it could be read. What is refused here servers refuse too: with
// ClientPluginAuth in effect MySQL 5.6 and 9.7 and MariaDB 10.11 and 11.8 answer
// a command that ends before the plugin with error 1047. The result shares no
// memory with payload.
//
//	11 | string<NUL> user | int<1> size, authentication response | string<NUL> schema
//	int<2> charset | string<NUL> plugin | lenenc size, attributes
func ParseChangeUser(payload []byte, c Capabilities) (ChangeUser, error) {
	var u ChangeUser
	if len(payload) == 0 || Command(payload[0]) != ComChangeUser {
		return u, errors.New("parse COM_CHANGE_USER: it is another command")
	}
	user, b, ok := cutNul(payload[1:])
	if !ok {
		return u, errors.New("parse COM_CHANGE_USER: user is cut short")
	}
	u.User = string(user)
	// Other than in a login, a length is one byte whatever
	// ClientPluginAuthLenencClientData says.
	var response []byte
	if c.Has(ClientSecureConnection) {
		if len(b) == 0 || len(b)-1 < int(b[0]) {
			return u, fmt.Errorf("parse COM_CHANGE_USER to %q: authentication response is cut short", u.User)
		}
		response, b = b[1:1+int(b[0])], b[1+int(b[0]):]
	} else if response, b, ok = cutNul(b); !ok {
		return u, fmt.Errorf("parse COM_CHANGE_USER to %q: authentication response is cut short", u.User)
	}
	u.AuthResponse = slices.Clone(response)
	schema, b := cutNulOrAll(b)
	u.Schema = string(schema)
	if c.Has(ClientPluginAuth) && len(b) < 3 {
		return u, fmt.Errorf("parse COM_CHANGE_USER to %q: no plugin", u.User)
	}
	if len(b) < 2 {
		return u, nil
	}
	u.HasCharset = true
	u.Charset, b = binary.LittleEndian.Uint16(b), b[2:]
	if c.Has(ClientPluginAuth) {
		var plugin []byte
		plugin, b = cutNulOrAll(b)
		u.Plugin = string(plugin)
	}
	if c.Has(ClientConnectAttrs) && len(b) > 0 {
		attributes, _, ok := cutLenencBytes(b)
		if !ok {
			return u, fmt.Errorf("parse COM_CHANGE_USER to %q: attributes are cut short", u.User)
		}
		u.Attributes = slices.Clone(attributes)
	}
	return u, nil
}

// Append appends u's payload for a connection with c in effect. Where u has no
// character set but must have one, the server's default is asked for, which is
// what a server takes without. Of the AuthResponse at most 255 bytes are written.
func (u *ChangeUser) Append(b []byte, c Capabilities) []byte {
	b = append(append(append(b, byte(ComChangeUser)), u.User...), 0)
	if c.Has(ClientSecureConnection) {
		r := u.AuthResponse[:min(len(u.AuthResponse), 255)]
		b = append(append(b, byte(len(r))), r...)
	} else {
		b = append(append(b, u.AuthResponse...), 0)
	}
	b = append(append(b, u.Schema...), 0)
	charset := u.Charset
	if !u.HasCharset {
		if !c.Has(ClientPluginAuth) {
			return b
		}
		charset = defaultCollation
	}
	at := len(b) + 1
	b = binary.LittleEndian.AppendUint16(b, charset)
	if c.Has(ClientPluginAuth) {
		b = append(append(b, u.Plugin...), 0)
	}
	if c.Has(ClientConnectAttrs) {
		b = appendLenenc(b, uint64(len(u.Attributes)))
		b = append(b, u.Attributes...)
		if low := int(byte(charset)); u.Padded && low <= 0xfa {
			b = append(b, make([]byte, max(0, at+low-len(b)))...)
		}
	}
	return b
}
