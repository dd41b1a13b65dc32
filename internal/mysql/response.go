package mysql

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// What the first byte of a response packet says. What it means depends on
// where the packet stands: see the states of Tracker.
const (
	okHeader        = 0x00
	localFileHeader = 0xfb
	eofHeader       = 0xfe
	errHeader       = 0xff
)

// Status flags of OK and EOF packets.
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html (SERVER_STATUS_flags_enum)
const (
	statusMoreResultsExist = 0x0008
	statusCursorExists     = 0x0040
	statusPSOutParams      = 0x1000
)

// progressCode stands in the place of an ERR's code in MariaDB's progress
// reports, which may come in front of a response's packets.
// https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/err_packet
const progressCode = 0xffff

// A ServerError is an ERR packet.
type ServerError struct {
	Code    uint16 // such as 1045, ER_ACCESS_DENIED_ERROR
	State   string // SQLSTATE, 5 bytes; empty before the login
	Message string
}

func (e ServerError) Error() string {
	if e.State == "" {
		return fmt.Sprintf("ERROR %d: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("ERROR %d (%s): %s", e.Code, e.State, e.Message)
}

// ParseError reports whether payload is an ERR packet. A server that has not
// read the client's capabilities yet leaves the SQLSTATE out.
//
//	ff | int<2> code | '#' string<5> SQLSTATE | string<EOF> message
func ParseError(payload []byte) (ServerError, bool) {
	if len(payload) < 3 || payload[0] != errHeader {
		return ServerError{}, false
	}
	e := ServerError{Code: binary.LittleEndian.Uint16(payload[1:])}
	if e.Code == progressCode {
		return ServerError{}, false
	}
	b := payload[3:]
	if len(b) >= 6 && b[0] == '#' {
		e.State, b = string(b[1:6]), b[6:]
	}
	e.Message = string(b)
	return e, true
}

// PrepareOKSize is the size of a COM_STMT_PREPARE's OK; one more byte follows
// with ClientOptionalResultsetMetadata.
const PrepareOKSize = 12

// ParsePrepareOK parses the first packet of the response to a
// COM_STMT_PREPARE.
//
//	00 | int<4> statement id | int<2> columns | int<2> parameters | 00 | int<2> warnings
func ParsePrepareOK(payload []byte) (id uint32, columns, params uint16, ok bool) {
	if len(payload) < PrepareOKSize || payload[0] != okHeader {
		return 0, 0, 0, false
	}
	return binary.LittleEndian.Uint32(payload[1:]), binary.LittleEndian.Uint16(payload[5:]), binary.LittleEndian.Uint16(payload[7:]), true
}

// BeginsDefinitions reports whether b begins with the packet that defines a
// column, or a parameter, with that sequence id. Its catalog is always "def".
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func BeginsDefinitions(b []byte, sequence uint8) bool {
	h, ok := ParseHeader(b)
	return ok && h.Sequence == sequence && h.Length > len(catalog) && strings.HasPrefix(string(b[HeaderSize:]), catalog)
}

const catalog = "\x03def"

// DefinitionHead is how many octets BeginsDefinitions looks at.
const DefinitionHead = HeaderSize + len(catalog)

// okStatusSpan is how far an OK packet's status flags can reach.
const okStatusSpan = 1 + 9 + 9 + 2

// okStatus returns the status flags of an OK packet, or of an EOF packet in
// the OK packet's form (ClientDeprecateEOF).
//
//	00 or fe | int<lenenc> affected rows | int<lenenc> last insert id | int<2> status | ...
func okStatus(payload []byte) (status uint16, ok bool) {
	_, b, ok := cutLenenc(payload[1:])
	if !ok {
		return 0, false
	}
	if _, b, ok = cutLenenc(b); !ok || len(b) < 2 {
		return 0, false
	}
	return binary.LittleEndian.Uint16(b), true
}

// eofSize is the size of an EOF packet. Whatever begins with fe and is as
// long as a lenenc integer of that form is no EOF.
const (
	eofSize  = 5
	eofLimit = 9
)

// eofStatus returns the status flags of an EOF packet.
//
//	fe | int<2> warnings | int<2> status
func eofStatus(payload []byte) (status uint16, ok bool) {
	if len(payload) < eofSize {
		return 0, false
	}
	return binary.LittleEndian.Uint16(payload[3:]), true
}
