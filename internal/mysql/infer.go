package mysql

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// A client may send the types of a statement's parameters with the first
// COM_STMT_EXECUTE only, as libmysqlclient, libmariadb and Connector/J do. Who
// has missed that one can only guess them from the values: each parameter's octets
// have to be what a value of its type looks like, and all together have to be as
// long as they are.

// typeUnknown stands in the place of both octets of a type that is not known.
const typeUnknown = 0xff

// An Execute are the parts of a COM_STMT_EXECUTE that brings no types.
type Execute struct {
	front  []byte // the fixed front
	nulls  []byte
	values []byte
	params int
}

// Untyped returns the parts of a COM_STMT_EXECUTE for a statement of params
// placeholders if it brings no types, but relies on those sent before; typed says
// that it brings them. attributes says that ClientQueryAttributes is in effect.
// Where it is malformed both are false.
func Untyped(payload []byte, params int, attributes bool) (x Execute, typed, ok bool) {
	if len(payload) < executeHeader || Command(payload[0]) != ComStmtExecute || params <= 0 {
		return x, false, false
	}
	b, n := payload[executeHeader:], uint64(params)
	if attributes {
		if n, b, ok = cutLenenc(b); !ok || n < uint64(params) {
			return x, false, false
		}
	}
	size := int(min(n, 1<<16)+7) / 8
	switch {
	case len(b) <= size:
		return x, false, false
	case b[size] != 0:
		return x, true, false
	case n != uint64(params):
		return x, false, false
	}
	return Execute{payload[:executeHeader], b[:size], b[size+1:], params}, false, true
}

// AppendTyped appends the payload of x with types, two octets for each
// placeholder, in the form without ClientQueryAttributes.
func (x *Execute) AppendTyped(b, types []byte) []byte {
	at := len(b)
	b = append(b, x.front...)
	b[at+5] &^= paramCountAvailable
	b = appendNulls(b, x.nulls, x.params)
	b = append(b, 1)
	for i := range x.params {
		if types[2*i] == typeUnknown { // of a NULL, so any will do
			b = append(b, byte(typeVarString), 0)
			continue
		}
		b = append(b, types[2*i], types[2*i+1])
	}
	return append(b, x.values...)
}

// Fits reports whether the values are as many and as long as types say, none of
// which is unknown. long is as for StripExecute.
func (x *Execute) Fits(types, long []byte) bool {
	if len(types) != 2*x.params {
		return false
	}
	b, ok := x.values, true
	for i := range x.params {
		if x.absent(i, long) {
			continue
		}
		if types[2*i] == typeUnknown {
			return false
		}
		if b, ok = cutValue(b, fieldType(types[2*i])); !ok {
			return false
		}
	}
	return len(b) == 0
}

// Infer returns the types that the values have to have; nil where that is not
// certain. Those of parameters without a value here are marked as unknown.
func (x *Execute) Infer(long []byte) []byte {
	if x.params > maxInferred || len(x.values) > maxInferredSize {
		return nil
	}
	for _, kinds := range [][]guess{likely, likelyLarge, possible} {
		in := inference{x: x, long: long, kinds: kinds, steps: maxSteps, dead: make(map[[2]int]bool)}
		in.search(0, 0, make([]byte, 0, 2*x.params))
		switch {
		case in.found == 1 && in.steps > 0:
			return in.types
		case in.found > 1 || in.steps <= 0:
			return nil
		}
	}
	return nil
}

// absent reports whether parameter i has no value: it is NULL, or
// COM_STMT_SEND_LONG_DATA has brought it.
func (x *Execute) absent(i int, long []byte) bool {
	return isNull(x.nulls, i) || i/8 < len(long) && isNull(long, i)
}

// What is looked at before it is given up.
const (
	maxInferred     = 256
	maxInferredSize = 64 << 10
	maxSteps        = 10_000
)

// An inference looks for the ways to cut values into parameters.
type inference struct {
	x     *Execute
	long  []byte
	kinds []guess
	steps int
	found int
	types []byte          // of the first way found
	dead  map[[2]int]bool // parameter and offset from which there is none
}

// search goes on with parameter i, whose value begins at offset at.
func (in *inference) search(i, at int, types []byte) {
	if in.steps--; in.steps <= 0 || in.found > 1 || in.dead[[2]int{i, at}] {
		return
	}
	if i == in.x.params {
		if at != len(in.x.values) {
			return
		}
		if in.found++; in.found == 1 {
			in.types = append([]byte(nil), types...)
		}
		return
	}
	before := in.found
	if in.x.absent(i, in.long) {
		in.search(i+1, at, append(types, typeUnknown, typeUnknown))
	} else {
		for _, k := range in.kinds {
			b := in.x.values[at:]
			rest, ok := cutValue(b, k.t)
			if ok && k.plausible(b[:len(b)-len(rest)]) {
				in.search(i+1, len(in.x.values)-len(rest), append(types, byte(k.t), 0))
			}
		}
	}
	if in.found == before {
		in.dead[[2]int{i, at}] = true
	}
}

// A guess is a type, and whether octets look like a value of it.
type guess struct {
	t         fieldType
	plausible func(value []byte) bool
}

const (
	typeTime     fieldType = 0x0b
	typeDateTime fieldType = 0x0c
)

// likely are the types that clients bind mostly, and values as they are mostly.
// Where these do not fit there may be larger numbers among them, or others.
var (
	likely = []guess{{typeLong, below24}, {typeLongLong, below40}, {typeDouble, usualDouble},
		{typeVarString, text}, {typeDateTime, dateTime}, {typeTime, timeOfDay}}
	likelyLarge = append([]guess{{typeLong, below28}, {typeLongLong, below53}}, likely[2:]...)
	possible    = []guess{{typeTiny, anything}, {typeShort, anything}, {typeLong, anything}, {typeLongLong, below53}, {typeDouble, usualDouble},
		{typeFloat, usualFloat}, {typeVarString, anything}, {typeDateTime, dateTime}, {typeTime, timeOfDay}}
)

func anything([]byte) bool { return true }

func below24(b []byte) bool { return within(int64(int32(binary.LittleEndian.Uint32(b))), 24) }
func below28(b []byte) bool { return within(int64(int32(binary.LittleEndian.Uint32(b))), 28) }
func below40(b []byte) bool { return within(int64(binary.LittleEndian.Uint64(b)), 40) }
func below53(b []byte) bool { return within(int64(binary.LittleEndian.Uint64(b)), 53) }

// within reports whether v is a number of so many bits, or a negative one of a
// few bits less.
func within(v int64, bits int) bool { return -1<<(bits-8) <= v && v < 1<<bits }

func usualDouble(b []byte) bool {
	f := math.Abs(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	return 1e-9 <= f && f <= 1e15
}

func usualFloat(b []byte) bool {
	f := math.Abs(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	return 1e-6 <= f && f <= 1e9
}

// text: UTF-8 without control characters; numbers of four or eight octets are
// not, for they have zeros.
func text(b []byte) bool {
	_, b, _ = cutLenenc(b)
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return utf8.Valid(b)
}

// dateTime: length 4, 7 or 11, year, month, day, and the time.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func dateTime(b []byte) bool {
	switch b[0] {
	case 4, 7, 11:
	default:
		return false
	}
	year := binary.LittleEndian.Uint16(b[1:])
	if year < 1000 || year > 9999 || b[3] < 1 || b[3] > 12 || b[4] < 1 || b[4] > 31 {
		return false
	}
	return b[0] == 4 || b[5] < 24 && b[6] < 60 && b[7] < 60
}

// timeOfDay: length 8 or 12, sign, days, and the time.
func timeOfDay(b []byte) bool {
	if b[0] != 8 && b[0] != 12 || b[1] > 1 {
		return false
	}
	return binary.LittleEndian.Uint32(b[2:]) <= 34 && b[6] < 24 && b[7] < 60 && b[8] < 60
}
