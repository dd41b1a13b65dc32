package mysql

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// A value is a parameter of a COM_STMT_EXECUTE or an attribute.
type value struct {
	typ  uint16
	name string
	data string // as on the wire; of a string with its length
	null bool
	long bool // COM_STMT_SEND_LONG_DATA brought it
}

// execute builds a COM_STMT_EXECUTE of statement 7, in the form of
// ClientQueryAttributes if named is set.
func execute(flags byte, bound, named bool, params int, values ...value) []byte {
	b := append([]byte{byte(ComStmtExecute), 7, 0, 0, 0, flags}, 1, 0, 0, 0)
	if named && (params > 0 || flags&paramCountAvailable != 0) {
		b = appendLenenc(b, uint64(len(values)))
	}
	if len(values) == 0 {
		return b
	}
	return appendValues(b, bound, named, values...)
}

func appendValues(b []byte, bound, named bool, values ...value) []byte {
	nulls := make([]byte, (len(values)+7)/8)
	for i, v := range values {
		if v.null {
			nulls[i/8] |= 1 << (i % 8)
		}
	}
	b = append(b, nulls...)
	if !bound {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		for _, v := range values {
			b = binary.LittleEndian.AppendUint16(b, v.typ)
			if named {
				b = append(appendLenenc(b, uint64(len(v.name))), v.name...)
			}
		}
	}
	for _, v := range values {
		if !v.null && !v.long {
			b = append(b, v.data...)
		}
	}
	return b
}

// everyType has a value of each type, and of dates and times all lengths.
var everyType = []value{
	{typ: 0x01, data: "\xff"},
	{typ: 0x8001, data: "\xff"},
	{typ: 0x02, data: "\x01\x80"},
	{typ: 0x0d, data: "\x042024"},
	{typ: 0x03, data: "\x01\x02\x03\x04"},
	{typ: 0x8009, data: "\x03123"},
	{typ: 0x08, data: "12345678"},
	{typ: 0x8008, data: "\xff\xff\xff\xff\xff\xff\xff\xff"},
	{typ: 0x04, data: "\x00\x00\xc0\x3f"},
	{typ: 0x05, data: "\x00\x00\x00\x00\x00\x00\xf8\x3f"},
	{typ: 0x06, data: "\x01x"},
	{typ: 0x06, null: true},
	{typ: 0xfd, null: true},
	{typ: 0x03, null: true},
	{typ: 0x0a, data: "\x04\xe8\x07\x01\x02"},
	{typ: 0x0c, data: "\x07\xe8\x07\x01\x02\x03\x04\x05"},
	{typ: 0x07, data: "\x0b\xe8\x07\x01\x02\x03\x04\x05\x06\x00\x00\x00"},
	{typ: 0x0b, data: "\x08\x00\x01\x00\x00\x00\x02\x03\x04"},
	{typ: 0x0b, data: "\x0c\x01\x00\x00\x00\x00\x02\x03\x04\x05\x00\x00\x00"},
	{typ: 0x0b, data: "\x00"},
	{typ: 0x00, data: "\x041.50"},
	{typ: 0xf6, data: "\x041.50"},
	{typ: 0x0f, data: "\x03abc"},
	{typ: 0xfd, data: "\x00"},
	{typ: 0xfe, data: "\xfc\x2c\x01" + strings.Repeat("x", 300)},
	{typ: 0xfc, data: "\x03\x00\xff\x7f"},
	{typ: 0xf9, data: "\x01t"},
	{typ: 0xfa, data: "\x01m"},
	{typ: 0xfb, data: "\x01l"},
	{typ: 0xf5, data: "\x02{}"},
	{typ: 0xf7, data: "\x01e"},
	{typ: 0xf8, data: "\x01s"},
	{typ: 0x10, data: "\x01\x01"},
}

var traceID = value{typ: 0xfe, name: "traceparent", data: "\x0500-ab"}

func TestQueryText(t *testing.T) {
	const sql = "select ?"
	query := func(values ...value) string {
		b := appendLenenc([]byte{byte(ComQuery)}, uint64(len(values)))
		b = append(b, 1)
		if len(values) > 0 {
			b = appendValues(b, true, true, values...)
		}
		return string(b)
	}
	for _, tt := range []struct{ name, want string }{
		{"no attributes", "\x03\x00\x01"},
		{"as the mysql client sends them", "\x03\x02\x01\x00\x01\xfe\x00\x02n1\xfe\x00\x05trace\x02v1\x0800-ab-01"},
		{"NULL", query(value{typ: 0xfe, name: "n", null: true}, traceID)},
		{"every type", query(everyType...)},
		{"a long name", query(value{typ: 0x01, name: strings.Repeat("n", 300), data: "\x01"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := range len(tt.want) {
				if at, ok := QueryText([]byte(tt.want[:n])); ok {
					t.Fatalf("%d bytes: the text is at %d", n, at)
				}
			}
			for n := range len(sql) + 1 {
				if at, ok := QueryText([]byte(tt.want + sql[:n])); !ok || at != len(tt.want) {
					t.Errorf("with %q: %d, %v, want %d", sql[:n], at, ok, len(tt.want))
				}
			}
		})
	}
	for _, tt := range []struct{ name, payload string }{
		{"another command", "\x02\x00\x01schema"},
		{"two sets", "\x03\x00\x02select 1"},
		{"as it is without attributes", "\x03select 1"},
		{"NULL for a number", "\x03\xfb\x01select 1"},
		{"types of before", "\x03\x01\x01\x00\x00\x01aselect 1"},
		{"a type that there is not", "\x03\x01\x01\x00\x01\xf4\x00\x01n\x01aselect 1"},
		{"more attributes than octets", "\x03\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01select 1"},
	} {
		if at, ok := QueryText([]byte(tt.payload)); ok {
			t.Errorf("%s: the text is at %d", tt.name, at)
		}
	}
}

// bitset has a bit for each of these numbers.
func bitset(numbers []uint16) (b []byte) {
	for _, n := range numbers {
		for len(b) <= int(n/8) {
			b = append(b, 0)
		}
		b[n/8] |= 1 << (n % 8)
	}
	return b
}

func TestStripExecute(t *testing.T) {
	integer := value{typ: 0x8003, data: "\x01\x02\x03\x04"}
	text := value{typ: 0xfd, data: "\x03abc"}
	blob := value{typ: 0xfc, long: true}
	none := value{typ: 0xfd, null: true}
	many := slices.Repeat([]value{integer, none, text}, 5)
	for _, tt := range []struct {
		name          string
		flags         byte
		unbound       bool
		params, extra []value
		types         string // in force before
		long          []uint16
	}{
		{name: "no parameters"},
		{name: "no parameters, a cursor", flags: 1},
		{name: "no parameters, but a number of them", flags: paramCountAvailable},
		{name: "no parameters, but an attribute", flags: paramCountAvailable, extra: []value{traceID}},
		{name: "one", params: []value{integer}},
		{name: "one, and the flag", flags: paramCountAvailable | 1, params: []value{integer}},
		{name: "one and attributes", flags: paramCountAvailable, params: []value{text}, extra: []value{traceID, none, traceID}},
		{name: "a whole byte of NULLs of attributes", params: []value{text}, extra: slices.Repeat([]value{none}, 8)},
		{name: "NULL", params: []value{none, integer, none}, extra: []value{traceID}},
		{name: "many", params: many, extra: []value{none, traceID}},
		{name: "every type", params: everyType, extra: []value{traceID}},
		{name: "long data", params: []value{integer, blob, text, blob}, extra: []value{traceID}, long: []uint16{3, 1, 1, 9}},
		{name: "types of before", unbound: true, params: []value{integer, text}, types: "\x03\x80\xfd\x00"},
		{name: "types of before, and long data", unbound: true, params: []value{blob, text}, types: "\xfc\x00\xfd\x00", long: []uint16{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := len(tt.params)
			payload := execute(tt.flags, !tt.unbound, true, n, append(slices.Clone(tt.params), tt.extra...)...)
			params := slices.Clone(tt.params)
			for i := range params {
				if params[i].typ == 0xf5 {
					params[i].typ = 0xfd // JSON goes as a string
				}
			}
			want := execute(tt.flags&^paramCountAvailable, !tt.unbound, false, n, params...)
			wantTypes := []byte(tt.types)
			if !tt.unbound && n > 0 {
				wantTypes = nil
				for _, v := range params {
					wantTypes = binary.LittleEndian.AppendUint16(wantTypes, v.typ)
				}
			}
			got, types, ok := StripExecute([]byte("before"), payload, n, []byte(tt.types), bitset(tt.long))
			if !ok || string(got) != "before"+string(want) {
				t.Errorf("got %q, %v\nwant %q", got, ok, want)
			}
			if !bytes.Equal(types, wantTypes) {
				t.Errorf("types %x, want %x", types, wantTypes)
			}
			// Cut short anywhere it is malformed, but without parameters, where what
			// follows is not looked at.
			for size := range payload {
				got, types, ok := StripExecute([]byte("before"), payload[:size], n, []byte(tt.types), bitset(tt.long))
				if ok && string(got) != "before"+string(want) {
					t.Fatalf("%d bytes: got %q", size, got)
				}
				if !ok && (string(got) != "before" || string(types) != tt.types) {
					t.Fatalf("%d bytes: not ok, but %q, %x", size, got, types)
				}
			}
		})
	}
}

func TestStripExecuteErrors(t *testing.T) {
	one := value{typ: 0x01, data: "\x01"}
	good := execute(0, true, true, 1, one)
	for _, tt := range []struct {
		name    string
		payload []byte
		params  int
		types   string
	}{
		{"empty", nil, 0, ""},
		{"another command", append([]byte{byte(ComStmtFetch)}, good[1:]...), 1, ""},
		{"less than the header", good[:9], 0, ""},
		{"no number of parameters", good[:10], 1, ""},
		{"fewer values than the statement has", good, 2, ""},
		{"no types", execute(0, false, true, 1, one), 1, ""},
		{"types of before, and an attribute", execute(0, false, true, 1, one, traceID), 1, "\x01\x00\xfe\x00"},
		{"too few types", execute(0, false, true, 2, one, one), 2, "\x01\x00\x01"},
		{"a type that there is not", execute(0, true, true, 1, value{typ: 0xf4, data: "\x01"}), 1, ""},
		{"more values than octets", append(good[:10:10], "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01"...), 1, ""},
		{"a negative number of parameters", good, -1, ""},
		{"an octet too many", append(slices.Clone(good), 0), 1, ""},
		{"long data that was not captured", execute(0, true, true, 1, value{typ: 0xfc, long: true}, traceID), 1, ""},
		{"an attribute cut short", bytes.TrimSuffix(execute(0, true, true, 1, one, traceID), []byte("b")), 1, ""},
	} {
		if got, types, ok := StripExecute(nil, tt.payload, tt.params, []byte(tt.types), nil); ok || got != nil || string(types) != tt.types {
			t.Errorf("%s: %q, %x, %v", tt.name, got, types, ok)
		}
	}
}

func TestAttributesAllocate(t *testing.T) {
	query := append(appendValues([]byte{byte(ComQuery), 1, 1}, true, true, traceID), "select 1"...)
	payload := execute(0, true, true, len(everyType), append(slices.Clone(everyType), traceID)...)
	out, types, _ := StripExecute(nil, payload, len(everyType), nil, nil)
	out = slices.Grow(out, 64)
	if n := testing.AllocsPerRun(100, func() {
		QueryText(query)
		out, types, _ = StripExecute(out[:0], payload, len(everyType), types, nil)
	}); n != 0 {
		t.Errorf("taking attributes out allocates %v times, want 0", n)
	}
}

// The text begins where the attributes end, whatever follows and however much
// of the payload is there.
func FuzzQueryText(f *testing.F) {
	f.Add([]byte("\x03\x00\x01select 1"))
	f.Add([]byte("\x03\x02\x01\x00\x01\xfe\x00\x02n1\xfe\x00\x05trace\x02v1\x0800-ab-01select 1"))
	f.Add(appendValues([]byte{byte(ComQuery), byte(len(everyType)), 1}, true, true, everyType...))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, ok := QueryText(b)
		if !ok {
			return
		}
		if at < 3 || at > len(b) {
			t.Fatalf("%x: the text is at %d", b, at)
		}
		for _, more := range []string{"", "\x00", "\x01\xfe\x00select"} {
			if again, ok := QueryText(append(slices.Clone(b[:at]), more...)); !ok || again != at {
				t.Fatalf("%x: the text is at %d, with another %q at %d", b, at, more, again)
			}
		}
		if n, ok := QueryText(b[:at-1]); ok {
			t.Fatalf("%x: the text is at %d, without the octet before it at %d", b, at, n)
		}
	})
}

// What comes out is the same command: with an attribute put back it is stripped
// to the same again.
func FuzzStripExecute(f *testing.F) {
	f.Add(execute(0, true, true, 2, everyType[0], everyType[22], traceID), uint16(2), []byte{}, uint16(9))
	f.Add(execute(0, true, true, len(everyType), everyType...), uint16(len(everyType)), []byte{}, uint16(3))
	f.Add(execute(8, true, true, 0, traceID), uint16(0), []byte{}, uint16(0))
	f.Add(execute(1, false, true, 1, everyType[4]), uint16(1), []byte{3, 0}, uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, params uint16, types []byte, long uint16) {
		n := int(params)
		before := string(types)
		whole, bare := Whole(b, n, true, bitset([]uint16{long})), Whole(b, n, false, bitset([]uint16{long}))
		out, inForce, ok := StripExecute(nil, b, n, slices.Clone(types), bitset([]uint16{long}))
		if !ok {
			if out != nil || string(inForce) != before {
				t.Fatalf("not ok, but %x, %x", out, inForce)
			}
			return
		}
		if len(out) > len(b) || out[5]&paramCountAvailable != 0 {
			t.Fatalf("%x becomes %x", b, out)
		}
		if n == 0 {
			return
		}
		if !whole || !Whole(out, n, false, bitset([]uint16{long})) {
			t.Fatalf("%x becomes %x, but not whole (without attributes %v)", b, out, bare)
		}
		if len(inForce) < 2*n {
			t.Fatalf("types %x of %d parameters", inForce, n)
		}
		// Put in: the number, names, and one attribute, which is NULL.
		nulls := (n + 7) / 8
		with := appendLenenc(slices.Clone(out[:executeHeader]), uint64(n)+1)
		with = append(with, out[executeHeader:executeHeader+nulls]...)
		if n%8 == 0 {
			with = append(with, 1)
		} else {
			with[len(with)-1] |= 1 << (n % 8)
		}
		rest := out[executeHeader+nulls+1:]
		with = append(with, 1)
		for i := range n {
			with = append(with, inForce[2*i], inForce[2*i+1], 1, 'p')
		}
		if out[executeHeader+nulls] == 1 {
			rest = rest[2*n:]
		} else {
			out = slices.Concat(out[:executeHeader+nulls], []byte{1}, inForce[:2*n], rest)
		}
		with = append(append(with, 0xfe, 0, 1, 'a'), rest...)
		again, types, ok := StripExecute(nil, with, n, nil, bitset([]uint16{long}))
		if !ok || !bytes.Equal(again, out) || !bytes.Equal(types, inForce[:2*n]) {
			t.Fatalf("%x becomes %x, and that with an attribute, %x, becomes %x, %v", b, out, with, again, ok)
		}
	})
}
