package main

import (
	"encoding/binary"
	"math"

	"mrtecopy/internal/mysql"
)

// Types of parameters, MYSQL_TYPE_*.
const (
	typeDecimal    = 0x00
	typeTiny       = 0x01
	typeShort      = 0x02
	typeLong       = 0x03
	typeFloat      = 0x04
	typeDouble     = 0x05
	typeNull       = 0x06
	typeTimestamp  = 0x07
	typeLongLong   = 0x08
	typeDate       = 0x0a
	typeTime       = 0x0b
	typeDatetime   = 0x0c
	typeVarchar    = 0x0f
	typeNewDecimal = 0xf6
	typeTinyBlob   = 0xf9
	typeMediumBlob = 0xfa
	typeLongBlob   = 0xfb
	typeBlob       = 0xfc
	typeVarString  = 0xfd
	typeString     = 0xfe

	unsigned = 0x8000
)

// A value is a parameter's, as it goes over the wire.
type value struct {
	kind uint16
	null bool
	long bool // COM_STMT_SEND_LONG_DATA has brought it
	b    []byte
}

func tiny(n int8) value { return value{kind: typeTiny, b: []byte{byte(n)}} }
func short(n int16) value {
	return value{kind: typeShort, b: binary.LittleEndian.AppendUint16(nil, uint16(n))}
}
func long(n int32) value {
	return value{kind: typeLong, b: binary.LittleEndian.AppendUint32(nil, uint32(n))}
}
func longlong(n int64) value {
	return value{kind: typeLongLong, b: binary.LittleEndian.AppendUint64(nil, uint64(n))}
}
func float(f float32) value {
	return value{kind: typeFloat, b: binary.LittleEndian.AppendUint32(nil, math.Float32bits(f))}
}
func double(f float64) value {
	return value{kind: typeDouble, b: binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))}
}

// str is a value of any of the types that have a length in front.
func str(kind uint16, s string) value {
	var b []byte
	switch n := len(s); {
	case n < 0xfb:
		b = []byte{byte(n)}
	case n < 1<<16:
		b = []byte{0xfc, byte(n), byte(n >> 8)}
	case n < 1<<24:
		b = []byte{0xfd, byte(n), byte(n >> 8), byte(n >> 16)}
	default:
		b = binary.LittleEndian.AppendUint64([]byte{0xfe}, uint64(n))
	}
	return value{kind: kind, b: append(b, s...)}
}

// date is a DATE, DATETIME or TIMESTAMP, as long as its last part that is not 0.
func date(kind uint16, year, month, day, hour, minute, second, micro int) value {
	b := []byte{11, byte(year), byte(year >> 8), byte(month), byte(day), byte(hour), byte(minute), byte(second)}
	b = binary.LittleEndian.AppendUint32(b, uint32(micro))
	switch {
	case micro != 0:
	case hour != 0 || minute != 0 || second != 0:
		b = b[:8]
	default:
		b = b[:5]
	}
	b[0] = byte(len(b) - 1)
	return value{kind: kind, b: b}
}

// clock is a TIME.
func clock(negative bool, hours, minutes, seconds, micro int) value {
	b := []byte{12, 0, byte(hours / 24), 0, 0, 0, byte(hours % 24), byte(minutes), byte(seconds)}
	if negative {
		b[1] = 1
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(micro))
	if micro == 0 {
		b = b[:9]
	}
	b[0] = byte(len(b) - 1)
	return value{kind: typeTime, b: b}
}

func null(kind uint16) value { return value{kind: kind, null: true} }

// A cursor flag of a COM_STMT_EXECUTE.
const readOnlyCursor = 1

// askExecute asks an execution. Without types the server takes those that the
// statement was given last. Attributes are a name and a value each, for a server
// that takes them, and need types.
func (r *raw) askExecute(id uint32, flags byte, types bool, values []value, attributes ...string) {
	const countAvailable = 8
	named := r.caps.Has(mysql.ClientQueryAttributes)
	if !named {
		attributes = nil
	}
	params := len(values)
	if len(attributes) > 0 {
		flags |= countAvailable
		for i := 0; i < len(attributes); i += 2 {
			values = append(values[:len(values):len(values)], str(typeVarString, attributes[i+1]))
		}
	}
	// int<4> id | int<1> flags | int<4> iterations | lenenc values | nulls | int<1> types follow | types, and names | values
	b := append(number(id), flags, 1, 0, 0, 0)
	if len(values) > 0 {
		if named {
			b = append(b, byte(len(values)))
		}
		b = appendNulls(b, values)
		if types {
			b = append(b, 1)
			for i, v := range values {
				b = binary.LittleEndian.AppendUint16(b, v.kind)
				if named {
					name := ""
					if i >= params {
						name = attributes[2*(i-params)]
					}
					b = append(append(b, byte(len(name))), name...)
				}
			}
		} else {
			b = append(b, 0)
		}
		for _, v := range values {
			if !v.null && !v.long {
				b = append(b, v.b...)
			}
		}
	}
	r.ask(mysql.ComStmtExecute, b)
}

func appendNulls(b []byte, values []value) []byte {
	at := len(b)
	b = append(b, make([]byte, (len(values)+7)/8)...)
	for i, v := range values {
		if v.null {
			b[at+i/8] |= 1 << (i % 8)
		}
	}
	return b
}

// execute executes and waits. The error is the connection's.
func (r *raw) execute(id uint32, types bool, values ...value) (answer, error) {
	r.askExecute(id, 0, types, values)
	all, err := r.answers()
	if err != nil {
		return answer{}, err
	}
	return all[0], nil
}

// prepare prepares a statement that can be.
func (r *raw) prepare(sql string) (uint32, error) {
	a, err := r.must(mysql.ComStmtPrepare, []byte(sql))
	return a.id, err
}

// askLongData sends a piece of a parameter; nobody answers.
func (r *raw) askLongData(id uint32, param uint16, b []byte) {
	r.ask(mysql.ComStmtSendLongData, append(binary.LittleEndian.AppendUint16(number(id), param), b...))
}

func (r *raw) askClose(id uint32) { r.ask(mysql.ComStmtClose, number(id)) }

func (r *raw) askFetch(id uint32, rows int) {
	r.ask(mysql.ComStmtFetch, binary.LittleEndian.AppendUint32(number(id), uint32(rows)))
}

// lastPrepared is the id of the last statement prepared, to MariaDB.
const lastPrepared = 0xffffffff

// askBulk executes a statement for several rows at once, to MariaDB.
func (r *raw) askBulk(id uint32, rows [][]value) {
	const types = 128
	b := binary.LittleEndian.AppendUint16(number(id), types)
	for _, v := range rows[0] {
		b = binary.LittleEndian.AppendUint16(b, v.kind)
	}
	for _, row := range rows {
		for _, v := range row {
			if v.null {
				b = append(b, 1)
			} else {
				b = append(append(b, 0), v.b...)
			}
		}
	}
	r.ask(mysql.ComStmtBulkExecute, b)
}

// bulks reports whether the server takes them.
func (r *raw) bulks() bool { return r.extended.Has(mysql.MariaDBStmtBulk) }
