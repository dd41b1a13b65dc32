package mysql

import "encoding/binary"

// What a COM_STMT_BULK_EXECUTE's flags say.
// https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/3-binary-protocol-prepared-statements-com_stmt_bulk_execute
const (
	// BulkUnitResults asks for a result of each row; servers without
	// MariaDBBulkUnitResults refuse the command.
	BulkUnitResults = 64
	bulkTypes       = 128 // the parameters' types follow
)

// What stands in front of each value of a COM_STMT_BULK_EXECUTE.
const (
	bulkValue = 0
	bulkNull  = 1
)

// A Bulk is a COM_STMT_BULK_EXECUTE, which executes a statement once for each of
// its rows.
type Bulk struct {
	Types []byte // of the parameters, two bytes each
	rows  []byte
}

// ParseBulk parses the payload of a COM_STMT_BULK_EXECUTE, from the command byte
// on, of a statement with params placeholders. types are those in force from an
// earlier execution, which stay so if the command brings none. ok is false where
// it is malformed, or has values that only a COM_STMT_BULK_EXECUTE can have:
// DEFAULT and IGNORE.
//
//	fa | int<4> statement id | int<2> flags | types | rows of: int<1> indicator, value
func ParseBulk(payload []byte, params int, types []byte) (bulk Bulk, rows int, ok bool) {
	const header = 7
	if len(payload) < header || Command(payload[0]) != ComStmtBulkExecute || params <= 0 {
		return Bulk{}, 0, false
	}
	b := payload[header:]
	if binary.LittleEndian.Uint16(payload[5:])&bulkTypes != 0 {
		if len(b) < 2*params {
			return Bulk{}, 0, false
		}
		types, b = b[:2*params], b[2*params:]
	}
	if len(types) != 2*params {
		return Bulk{}, 0, false
	}
	bulk = Bulk{types, b}
	for ; len(b) > 0; rows++ {
		for i := range params {
			if _, b, ok = bulk.cut(b, i); !ok {
				return Bulk{}, 0, false
			}
		}
	}
	return bulk, rows, rows > 0
}

// cut takes the value of parameter i off the front of b; nil is NULL.
func (k *Bulk) cut(b []byte, i int) (value, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	switch b[0] {
	case bulkNull:
		return nil, b[1:], true
	case bulkValue:
		rest, ok = cutValue(b[1:], fieldType(k.Types[2*i]))
		return b[1 : len(b)-len(rest)], rest, ok
	}
	return nil, nil, false
}

// AppendExecute takes the next row off k and appends the payload of the
// COM_STMT_EXECUTE that does the same with statement id, for a connection with c
// in effect: with ClientQueryAttributes there are a number and names.
//
//	17 | int<4> statement id | int<1> flags | int<4> iterations | lenenc parameters |
//	nulls | 01 types follow | types, each with a name | values
func (k *Bulk) AppendExecute(b []byte, id uint32, c Capabilities) []byte {
	params := len(k.Types) / 2
	named := c.Has(ClientQueryAttributes)
	b = append(b, byte(ComStmtExecute))
	b = binary.LittleEndian.AppendUint32(b, id)
	b = append(b, 0, 1, 0, 0, 0)
	if named {
		b = appendLenenc(b, uint64(params))
	}
	nulls := len(b)
	for range (params + 7) / 8 {
		b = append(b, 0)
	}
	b = append(b, 1)
	for i := range params {
		b = append(b, k.Types[2*i], k.Types[2*i+1])
		if named {
			b = append(b, 0)
		}
	}
	for i := range params {
		var value []byte
		value, k.rows, _ = k.cut(k.rows, i)
		if value == nil {
			b[nulls+i/8] |= 1 << (i % 8)
		}
		b = append(b, value...)
	}
	return b
}
