package mysql

import (
	"crypto/sha1"
	"errors"
	"slices"
)

// The authentication plugins the replay knows by name.
const (
	PluginNativePassword = "mysql_native_password"
	PluginOldPassword    = "mysql_old_password"
)

// NativePassword returns what proves password to a server that sent salt
// (20 bytes; a closing NUL behind them is left out of account), by the plugin
// mysql_native_password: SHA1(password) XOR SHA1(salt SHA1(SHA1(password))).
// For the empty password that is nothing.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
func NativePassword(salt []byte, password string) []byte {
	if password == "" {
		return nil
	}
	salt = salt[:min(len(salt), SaltSize)]
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	proof := sha1.Sum(slices.Concat(salt, twice[:]))
	for i := range proof {
		proof[i] ^= once[i]
	}
	return proof[:]
}

// An AuthSwitch is the server's Protocol::AuthSwitchRequest: the client is to
// start again with another plugin, or with the same one and a new salt.
type AuthSwitch struct {
	Plugin string
	Data   []byte // as on the wire: most plugins' 20 bytes of salt are followed by a NUL
}

// ParseAuthSwitch parses an AuthSwitchRequest. Data shares memory with
// payload.
//
//	fe | string<NUL> plugin | string<EOF> data
//
// The lone fe of servers before 5.5.7 asks for mysql_old_password.
func ParseAuthSwitch(payload []byte) (AuthSwitch, error) {
	if len(payload) == 0 || payload[0] != eofHeader {
		return AuthSwitch{}, errors.New("parse AuthSwitchRequest: it is another packet")
	}
	if len(payload) == 1 {
		return AuthSwitch{Plugin: PluginOldPassword}, nil
	}
	plugin, data, ok := cutNul(payload[1:])
	if !ok {
		return AuthSwitch{}, errors.New("parse AuthSwitchRequest: plugin is cut short")
	}
	return AuthSwitch{string(plugin), data}, nil
}
