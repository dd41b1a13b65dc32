package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// SaltSize is the size of the nonce in a greeting.
const SaltSize = 20

// protocolVersion is the first byte of a greeting (HandshakeV10), of every
// server since MySQL 3.21.
const protocolVersion = 10

// A Greeting is the server's first packet, Protocol::HandshakeV10.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
type Greeting struct {
	Version      string
	ConnectionID uint32
	Salt         [SaltSize]byte
	Capabilities Capabilities
	Extended     Extended // MariaDB only
	Charset      uint8
	Status       uint16
	Plugin       string // the server's default authentication plugin
}

// ParseGreeting parses a greeting's payload. A server may refuse the
// connection with an ERR packet in its place; the error is then a ServerError.
func ParseGreeting(payload []byte) (Greeting, error) {
	var g Greeting
	if e, ok := ParseError(payload); ok {
		return g, e
	}
	if len(payload) == 0 {
		return g, errors.New("parse greeting: empty packet")
	}
	if payload[0] != protocolVersion {
		return g, fmt.Errorf("parse greeting: protocol version %d, want %d", payload[0], protocolVersion)
	}
	version, b, ok := cutNul(payload[1:])
	// int<4> id | 8 of the salt | 00 | int<2> capabilities | charset | int<2> status | int<2> capabilities
	// int<1> salt's size | 6 reserved | int<4> MariaDB's extended capabilities | rest of the salt | plugin
	if !ok || len(b) < 31 {
		return g, errors.New("parse greeting: packet is cut short")
	}
	g.Version = string(version)
	g.ConnectionID = binary.LittleEndian.Uint32(b)
	copy(g.Salt[:8], b[4:])
	g.Capabilities = Capabilities(binary.LittleEndian.Uint16(b[13:])) | Capabilities(binary.LittleEndian.Uint16(b[18:]))<<16
	g.Charset = b[15]
	g.Status = binary.LittleEndian.Uint16(b[16:])
	saltSize := int(b[20]) // with its closing NUL
	if !g.Capabilities.Has(ClientLongPassword) {
		g.Extended = Extended(binary.LittleEndian.Uint32(b[27:]))
	}
	b = b[31:]
	if !g.Capabilities.Has(ClientProtocol41 | ClientSecureConnection) {
		return g, errors.New("parse greeting: the server has no 4.1 protocol")
	}
	n := max(13, saltSize-8) // "$length=MAX(13, length of auth-plugin-data - 8)"
	if len(b) < n {
		return g, errors.New("parse greeting: salt is cut short")
	}
	copy(g.Salt[8:], b[:12])
	if g.Capabilities.Has(ClientPluginAuth) {
		plugin, _ := cutNulOrAll(b[n:]) // no NUL: MySQL bug 59453
		g.Plugin = string(plugin)
	}
	return g, nil
}

// Append appends g's payload.
func (g *Greeting) Append(b []byte) []byte {
	b = append(b, protocolVersion)
	b = append(append(b, g.Version...), 0)
	b = binary.LittleEndian.AppendUint32(b, g.ConnectionID)
	b = append(append(b, g.Salt[:8]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(g.Capabilities))
	b = append(b, g.Charset)
	b = binary.LittleEndian.AppendUint16(b, g.Status)
	b = binary.LittleEndian.AppendUint16(b, uint16(g.Capabilities>>16))
	if g.Capabilities.Has(ClientPluginAuth) {
		b = append(b, SaltSize+1)
	} else {
		b = append(b, 0)
	}
	b = append(b, 0, 0, 0, 0, 0, 0)
	if g.Capabilities.Has(ClientLongPassword) {
		b = append(b, 0, 0, 0, 0)
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(g.Extended))
	}
	b = append(append(b, g.Salt[8:]...), 0)
	if g.Capabilities.Has(ClientPluginAuth) {
		b = append(append(b, g.Plugin...), 0)
	}
	return b
}
