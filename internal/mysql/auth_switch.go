package mysql

import "errors"

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
