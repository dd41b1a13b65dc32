package mysql

// With ClientQueryAttributes in effect a COM_QUERY and a COM_STMT_EXECUTE carry
// named values beside the statement, which SQL reads with
// mysql_query_attribute_string(). A server that does not know them takes the
// same commands without.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html

// paramCountAvailable is the flag of a COM_STMT_EXECUTE that says that a number
// of parameters follows though the statement itself has none.
const paramCountAvailable = 0x08

// executeHeader is the size of a COM_STMT_EXECUTE's fixed front.
//
//	17 | int<4> statement id | int<1> flags | int<4> iteration count
const executeHeader = 10

// QueryText returns the offset of the SQL text in the payload of a COM_QUERY
// for which ClientQueryAttributes is in effect. A prefix of the payload is
// enough: ok is false until the attributes are whole, and for good where they
// are malformed. The text may be empty, or not there yet; text is then
// len(payload).
//
//	03 | lenenc parameters | lenenc sets, always 1 | values, where there are parameters | text
func QueryText(payload []byte) (text int, ok bool) {
	if len(payload) == 0 || Command(payload[0]) != ComQuery {
		return 0, false
	}
	n, b, ok := cutLenenc(payload[1:])
	if !ok {
		return 0, false
	}
	sets, b, ok := cutLenenc(b)
	if !ok || sets != 1 {
		return 0, false
	}
	if n == 0 {
		return len(payload) - len(b), true
	}
	v, ok := cutBound(b, n, true)
	if !ok || v.types == nil { // the types of a query are never known from before
		return 0, false
	}
	b = v.values
	for types, i := v.types, 0; i < v.n; i++ {
		var t uint16
		t, types = cutNamedType(types)
		if isNull(v.nulls, i) {
			continue
		}
		if b, ok = cutValue(b, fieldType(t)); !ok {
			return 0, false
		}
	}
	return len(payload) - len(b), true
}

// StripExecute appends to dst the payload of a COM_STMT_EXECUTE for which
// ClientQueryAttributes is in effect, as it is without: no number of
// parameters, no names, no attributes, and paramCountAvailable is cleared. The
// type JSON becomes VAR_STRING, for MariaDB does not take it.
//
// The statement has params placeholders. types are those that the last EXECUTE
// with types gave them, two bytes each, and long has a bit for each placeholder
// whose value COM_STMT_SEND_LONG_DATA brought since the last EXECUTE. inForce
// are the types for the next call: types itself, or its memory with the new
// ones. The attributes' are not among them, for MySQL takes attributes (of which
// the placeholders' values come first) only together with their types. Where the
// payload cannot be read, ok is false, out is dst, and inForce types.
//
//	header | lenenc parameters | nulls | int<1> types follow | types and names | values
//
// A statement without placeholders ends with its header, unless
// paramCountAvailable is set.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
func StripExecute(dst, payload []byte, params int, types, long []byte) (out, inForce []byte, ok bool) {
	if len(payload) < executeHeader || Command(payload[0]) != ComStmtExecute || params < 0 {
		return dst, types, false
	}
	start := len(dst)
	out = append(dst, payload[:executeHeader]...)
	out[start+5] &^= paramCountAvailable
	if params == 0 {
		return out, types, true // whatever follows are attributes
	}
	n, b, ok := cutLenenc(payload[executeHeader:])
	if !ok || n < uint64(params) {
		return dst, types, false
	}
	v, ok := cutBound(b, n, false)
	if !ok {
		return dst, types, false
	}
	out = appendNulls(out, v.nulls, params)
	if v.types == nil {
		out = append(out, 0)
		if n != uint64(params) || len(types) < 2*params {
			return dst, types, false
		}
	} else {
		out = append(out, 1)
		typesAt := len(out)
		for named, i := v.types, 0; i < params; i++ {
			var t uint16
			if t, named = cutNamedType(named); fieldType(t) == typeJSON {
				t += uint16(typeVarString - typeJSON) // MariaDB takes no JSON
			}
			out = append(out, byte(t), byte(t>>8))
		}
		inForce = out[typesAt:]
	}
	if inForce == nil {
		inForce = types
	}

	// The placeholders with long data are marked behind what is written so far,
	// for there may be as many as there are placeholders.
	end := len(out)
	out = append(out, v.nulls[:(params+7)/8]...)
	noValue := out[end:]
	for i := range min(len(noValue), len(long)) {
		noValue[i] |= long[i]
	}
	b = v.values
	for i := range params {
		if isNull(noValue, i) {
			continue
		}
		if b, ok = cutValue(b, fieldType(inForce[2*i])); !ok {
			return dst, types, false
		}
	}
	values := v.values[:len(v.values)-len(b)]
	// The attributes end the payload. Where they do not, a value is missing or
	// one too many: long data was not captured, and what was taken is not the
	// placeholders'.
	named := v.types
	for i := range v.n {
		var t uint16
		if named != nil {
			t, named = cutNamedType(named)
		}
		if i < params || isNull(v.nulls, i) {
			continue
		}
		if b, ok = cutValue(b, fieldType(t)); !ok {
			return dst, types, false
		}
	}
	if len(b) > 0 {
		return dst, types, false
	}
	if v.types != nil {
		types = append(types[:0], inForce[:2*params]...)
	}
	return append(out[:end], values...), types, true
}

// Whole reports whether the values of a COM_STMT_EXECUTE are as many, and as long,
// as the types say that come with them. If none come it is true: that cannot be
// told. params and long are as for StripExecute; attributes says that
// ClientQueryAttributes is in effect.
func Whole(payload []byte, params int, attributes bool, long []byte) bool {
	if len(payload) < executeHeader {
		return false
	}
	b, n, ok := payload[executeHeader:], uint64(params), true
	if attributes && (params > 0 || payload[5]&paramCountAvailable != 0) {
		if n, b, ok = cutLenenc(b); !ok {
			return false
		}
	}
	if n == 0 || n > 8*uint64(len(b)) {
		return n == 0
	}
	size := int(n+7) / 8
	if len(b) <= size {
		return false
	}
	nulls, follow, types := b[:size], b[size], b[size+1:]
	if follow == 0 {
		return true
	}
	cut := func(b []byte) (t fieldType, rest []byte, ok bool) {
		if len(b) < 2 {
			return 0, nil, false
		}
		t, rest = fieldType(b[0]), b[2:]
		if attributes {
			_, rest, ok = cutLenencBytes(rest)
			return t, rest, ok
		}
		return t, rest, true
	}
	values := types
	for range n {
		if _, values, ok = cut(values); !ok {
			return false
		}
	}
	for i := range int(n) {
		var t fieldType
		t, types, _ = cut(types)
		if isNull(nulls, i) || i < params && i/8 < len(long) && isNull(long, i) {
			continue
		}
		if values, ok = cutValue(values, t); !ok {
			return false
		}
	}
	return len(values) == 0
}

// boundValues are the parts of n values in the binary protocol.
type boundValues struct {
	n      int
	nulls  []byte // a bit for each value
	types  []byte // with names; nil: those sent before are in force
	values []byte // and what follows them
}

// cutBound reads what precedes n values, which are more than none. Every type
// is there whole. With mustType it is false if no types follow.
//
//	nulls (n+7)/8 | int<1> types follow | n of: int<2> type, string<lenenc> name | values
func cutBound(b []byte, n uint64, mustType bool) (v boundValues, ok bool) {
	// A peer may claim any number; each value has a bit at least.
	if n > 8*uint64(len(b)) {
		return v, false
	}
	v.n = int(n)
	size := (v.n + 7) / 8
	if len(b) < size+1 {
		return v, false
	}
	v.nulls = b[:size]
	follow := b[size]
	b = b[size+1:]
	if follow == 0 {
		v.values = b
		return v, !mustType
	}
	v.types = b
	for range v.n {
		if len(b) < 2 {
			return v, false
		}
		if _, b, ok = cutLenencBytes(b[2:]); !ok {
			return v, false
		}
	}
	v.types = v.types[:len(v.types)-len(b)]
	v.values = b
	return v, true
}

// cutNamedType takes a type and its name off the front of b, where both are
// known to be.
func cutNamedType(b []byte) (t uint16, rest []byte) {
	t = uint16(b[0]) | uint16(b[1])<<8
	_, rest, _ = cutLenencBytes(b[2:])
	return t, rest
}

// appendNulls appends the first n bits of nulls.
func appendNulls(b, nulls []byte, n int) []byte {
	b = append(b, nulls[:(n+7)/8]...)
	if n%8 != 0 {
		b[len(b)-1] &= 1<<(n%8) - 1
	}
	return b
}

// isNull reports whether bit i of nulls is set.
func isNull(nulls []byte, i int) bool { return nulls[i/8]&(1<<(i%8)) != 0 }

// A fieldType is the lower byte of a value's type; the upper one has the sign.
// https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
type fieldType uint8

// The types whose values have no length in front.
const (
	typeTiny     fieldType = 0x01
	typeShort    fieldType = 0x02
	typeLong     fieldType = 0x03
	typeFloat    fieldType = 0x04
	typeDouble   fieldType = 0x05
	typeLongLong fieldType = 0x08
	typeBool     fieldType = 0xf4
)

// Types with a length in front that are named here.
const (
	typeJSON      fieldType = 0xf5
	typeVarString fieldType = 0xfd
)

// cutValue takes a value that is not NULL off the front of b. Dates and times
// have a length in front, as strings do. So does what MySQL 9.7 then refuses with
// error 1210: the types of columns that no parameter has, such as INT24, YEAR
// and ENUM, and NULL where the value is not said to be NULL. Of BOOL it takes no
// value at all.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func cutValue(b []byte, t fieldType) (rest []byte, ok bool) {
	var size int
	switch t {
	case typeTiny:
		size = 1
	case typeShort:
		size = 2
	case typeLong, typeFloat:
		size = 4
	case typeLongLong, typeDouble:
		size = 8
	case typeBool:
		return nil, false
	default:
		_, rest, ok = cutLenencBytes(b)
		return rest, ok
	}
	if len(b) < size {
		return nil, false
	}
	return b[size:], true
}
