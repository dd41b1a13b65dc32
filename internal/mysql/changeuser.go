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
	HasCharset   bool   // clients may leave out the character set and all behind it
	Plugin       string // with ClientPluginAuth
	Attributes   []byte // with ClientConnectAttrs, as in a Login
}

// ParseChangeUser parses a COM_CHANGE_USER's payload, from the command byte on.
// Which fields are there follows c, the capabilities in effect. In an error the
// user is set as soon as it is known. The result shares no memory with payload.
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

// Append appends u's payload for a connection with c in effect. Without
// HasCharset nothing follows the schema. Of the AuthResponse at most 255 bytes
// are written.
func (u *ChangeUser) Append(b []byte, c Capabilities) []byte {
	b = append(append(append(b, byte(ComChangeUser)), u.User...), 0)
	if c.Has(ClientSecureConnection) {
		r := u.AuthResponse[:min(len(u.AuthResponse), 255)]
		b = append(append(b, byte(len(r))), r...)
	} else {
		b = append(append(b, u.AuthResponse...), 0)
	}
	b = append(append(b, u.Schema...), 0)
	if !u.HasCharset {
		return b
	}
	b = binary.LittleEndian.AppendUint16(b, u.Charset)
	if c.Has(ClientPluginAuth) {
		b = append(append(b, u.Plugin...), 0)
	}
	if c.Has(ClientConnectAttrs) {
		b = appendLenenc(b, uint64(len(u.Attributes)))
		b = append(b, u.Attributes...)
	}
	return b
}
