package main

import (
	"encoding/binary"

	"mrtecopy/internal/mysql"
)

// The answers are made once, and written as they are.
var (
	greeting = packets(0, (&mysql.Greeting{Version: "5.5.5-10.11.0-MariaDB-light", ConnectionID: 1, Salt: [mysql.SaltSize]byte([]byte("abcdefghijklmnopqrst")),
		Capabilities: capabilities, Charset: 45, Status: statusAutocommit, Plugin: mysql.PluginNativePassword}).Append(nil))
	okLogin = packets(2, []byte(ok))
	okAny   = packets(1, []byte(ok))
	text    = packets(1, []byte{1}, definition(typeVarString), []byte(eof), append([]byte{byte(len(value))}, value...), []byte(eof))
	// int<1> 0 | a bit for each column that is NULL, from the third on | values
	binaryRow = packets(1, []byte{1}, definition(typeVarString), []byte(eof), append([]byte{0, 0, byte(len(value))}, value...), []byte(eof))
	// int<1> 0 | int<4> id | int<2> columns | int<2> parameters | int<1> 0 | int<2> warnings; the id is filled in
	prepared = packets(1, []byte("\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00"), definition(typeLongLong), []byte(eof), definition(typeVarString), []byte(eof))
)

// preparedID is where the statement's id stands in prepared.
const preparedID = mysql.HeaderSize + 1

const (
	capabilities = mysql.ClientProtocol41 | mysql.ClientSecureConnection | mysql.ClientPluginAuth | mysql.ClientLongFlag | mysql.ClientConnectWithDB |
		mysql.ClientTransactions | mysql.ClientMultiResults | mysql.ClientPSMultiResults | mysql.ClientPluginAuthLenencClientData

	statusAutocommit = 2

	ok    = "\x00\x00\x00\x02\x00\x00\x00"
	eof   = "\xfe\x00\x00\x02\x00"
	value = "a row's only value, of 36 characters"

	typeLongLong  = 0x08
	typeVarString = 0xfd
)

// definition is a column's or a parameter's.
func definition(kind byte) []byte {
	// catalog, schema, table, its own name, column, its own name, each a string<lenenc> | int<1> 12 | int<2> charset | int<4> length | int<1> type | int<2> flags | int<1> decimals | int<2> 0
	return append([]byte("\x03def\x00\x00\x00\x01c\x00\x0c\x2d\x00\x78\x00\x00\x00"), kind, 0, 0, 0, 0, 0)
}

// packets are these payloads, numbered on from sequence.
func packets(sequence uint8, payloads ...[]byte) (b []byte) {
	for _, p := range payloads {
		b = append(mysql.AppendHeader(b, len(p), sequence), p...)
		sequence++
	}
	return b
}

// appendAnswer appends the answer to a command of which the first octets are
// known. For a PREPARE it takes the statement's id.
func appendAnswer(b []byte, head []byte, id uint32) []byte {
	switch cmd := mysql.Command(head[0]); {
	case !cmd.HasResponse():
		return b
	case cmd == mysql.ComStmtPrepare:
		at := len(b) + preparedID
		b = append(b, prepared...)
		binary.LittleEndian.PutUint32(b[at:], id)
		return b
	case cmd == mysql.ComStmtExecute:
		return append(b, binaryRow...)
	case cmd == mysql.ComQuery && len(head) > 1 && head[1]|0x20 == 's':
		return append(b, text...)
	}
	return append(b, okAny...)
}
