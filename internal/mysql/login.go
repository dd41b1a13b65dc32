package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// loginHeader is the size of a login's fixed front, which is also all of an
// SSLRequest.
const loginHeader = 32

// A Login is the client's first packet, Protocol::HandshakeResponse41.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
type Login struct {
	Capabilities Capabilities
	Extended     Extended // MariaDB's clients only: ClientLongPassword is not set
	MaxPacket    uint32
	Charset      uint8
	User         string
	AuthResponse []byte
	Schema       string // with ClientConnectWithDB
	Plugin       string // with ClientPluginAuth
	Attributes   []byte // with ClientConnectAttrs: names and values, each a string<lenenc>
	ZstdLevel    uint8  // with ClientZstdCompressionAlgorithm
}

// ParseLogin parses a login's payload. Which fields are there follows the
// client's own capabilities, not those in effect. The result shares no memory
// with payload.
func ParseLogin(payload []byte) (Login, error) {
	var l Login
	if IsSSLRequest(payload) {
		return l, errors.New("parse login: it is an SSLRequest")
	}
	if len(payload) < 2 || binary.LittleEndian.Uint16(payload)&uint16(ClientProtocol41) == 0 {
		return l, errors.New("parse login: not of the 4.1 protocol")
	}
	if len(payload) < loginHeader {
		return l, errors.New("parse login: packet is cut short")
	}
	// int<4> capabilities | int<4> max packet | int<1> charset | 19 filler | int<4> filler, or MariaDB's extended capabilities
	l.Capabilities = Capabilities(binary.LittleEndian.Uint32(payload))
	l.MaxPacket = binary.LittleEndian.Uint32(payload[4:])
	l.Charset = payload[8]
	if !l.Capabilities.Has(ClientLongPassword) {
		l.Extended = Extended(binary.LittleEndian.Uint32(payload[28:]))
	}
	user, b, ok := cutNul(payload[loginHeader:])
	if !ok {
		return l, errors.New("parse login: user is cut short")
	}
	l.User = string(user)
	response, b, ok := l.cutAuthResponse(b)
	if !ok {
		return l, fmt.Errorf("parse login of %q: authentication response is cut short", l.User)
	}
	l.AuthResponse = slices.Clone(response)
	if l.Capabilities.Has(ClientConnectWithDB) { // may be left out by a client that names no schema after all
		var schema []byte
		schema, b = cutNulOrAll(b)
		l.Schema = string(schema)
	}
	if l.Capabilities.Has(ClientPluginAuth) {
		var plugin []byte
		plugin, b = cutNulOrAll(b)
		l.Plugin = string(plugin)
	}
	if l.Capabilities.Has(ClientConnectAttrs) && len(b) > 0 {
		var attributes []byte
		if attributes, b, ok = cutLenencBytes(b); !ok {
			return l, fmt.Errorf("parse login of %q: attributes are cut short", l.User)
		}
		l.Attributes = slices.Clone(attributes)
	}
	if l.Capabilities.Has(ClientZstdCompressionAlgorithm) && len(b) > 0 {
		l.ZstdLevel = b[0]
	}
	return l, nil
}

// cutAuthResponse takes the authentication response off the front of b; its
// form has changed twice.
func (l *Login) cutAuthResponse(b []byte) (response, rest []byte, ok bool) {
	switch {
	case l.Capabilities.Has(ClientPluginAuthLenencClientData):
		return cutLenencBytes(b)
	case l.Capabilities.Has(ClientSecureConnection):
		if len(b) == 0 || len(b)-1 < int(b[0]) {
			return nil, nil, false
		}
		return b[1 : 1+int(b[0])], b[1+int(b[0]):], true
	default:
		return cutNul(b)
	}
}

// Append appends l's payload. Which fields are written follows l.Capabilities.
// Without ClientPluginAuthLenencClientData the AuthResponse can have at most
// 255 bytes; more are left out.
func (l *Login) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(l.Capabilities))
	b = binary.LittleEndian.AppendUint32(b, l.MaxPacket)
	b = append(b, l.Charset)
	b = append(b, make([]byte, 19)...)
	if l.Capabilities.Has(ClientLongPassword) {
		b = append(b, 0, 0, 0, 0)
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(l.Extended))
	}
	b = append(append(b, l.User...), 0)
	switch {
	case l.Capabilities.Has(ClientPluginAuthLenencClientData):
		b = appendLenenc(b, uint64(len(l.AuthResponse)))
		b = append(b, l.AuthResponse...)
	case l.Capabilities.Has(ClientSecureConnection):
		r := l.AuthResponse[:min(len(l.AuthResponse), 255)]
		b = append(append(b, byte(len(r))), r...)
	default:
		b = append(append(b, l.AuthResponse...), 0)
	}
	if l.Capabilities.Has(ClientConnectWithDB) {
		b = append(append(b, l.Schema...), 0)
	}
	if l.Capabilities.Has(ClientPluginAuth) {
		b = append(append(b, l.Plugin...), 0)
	}
	if l.Capabilities.Has(ClientConnectAttrs) {
		b = appendLenenc(b, uint64(len(l.Attributes)))
		b = append(b, l.Attributes...)
	}
	if l.Capabilities.Has(ClientZstdCompressionAlgorithm) {
		b = append(b, l.ZstdLevel)
	}
	return b
}

// IsSSLRequest reports whether payload, in a login's place, is an SSLRequest:
// a login's front with ClientSSL, after which the client speaks TLS.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html
func IsSSLRequest(payload []byte) bool {
	return len(payload) == loginHeader &&
		Capabilities(binary.LittleEndian.Uint32(payload)).Has(ClientSSL|ClientProtocol41)
}

// AppendAttribute appends a connection attribute to those of a login.
func AppendAttribute(b []byte, name, value string) []byte {
	b = append(appendLenenc(b, uint64(len(name))), name...)
	return append(appendLenenc(b, uint64(len(value))), value...)
}
