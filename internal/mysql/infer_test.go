package mysql

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// bound returns a COM_STMT_EXECUTE without types of these values; nil is NULL.
func bound(attributes bool, values ...[]byte) []byte {
	b := []byte{byte(ComStmtExecute), 7, 0, 0, 0, 0, 1, 0, 0, 0}
	if attributes {
		b = appendLenenc(b, uint64(len(values)))
	}
	nulls := make([]byte, (len(values)+7)/8)
	for i, v := range values {
		if v == nil {
			nulls[i/8] |= 1 << (i % 8)
		}
	}
	b = append(append(b, nulls...), 0)
	for _, v := range values {
		b = append(b, v...)
	}
	return b
}

func long32(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
func long64(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
func str(s string) []byte   { return append(appendLenenc(nil, uint64(len(s))), s...) }

func TestInfer(t *testing.T) {
	const (
		l, q, f, s, d, null = byte(typeLong), byte(typeLongLong), byte(typeDouble), byte(typeVarString), byte(typeDateTime), byte(typeUnknown)
	)
	date := []byte{7, 0xea, 0x07, 11, 26, 8, 45, 0}
	double := []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f} // 1.5
	for _, tt := range []struct {
		name   string
		values [][]byte
		want   []byte // nil: it cannot be told
	}{
		{"an id", [][]byte{long32(2563)}, []byte{l}},
		{"a range of ids", [][]byte{long32(256), long32(355)}, []byte{l, l}},
		{"sysbench's update", [][]byte{str(strings.Repeat("31-", 40)), long32(5000)}, []byte{s, l}},
		{"sysbench's insert", [][]byte{long32(1), long32(2504), str("abc"), str("pad")}, []byte{l, l, s, s}},
		{"bigint", [][]byte{long64(1 << 40)}, []byte{q}},
		{"a negative one", [][]byte{long64(-3), str("x")}, []byte{q, s}},
		{"double", [][]byte{double}, []byte{f}},
		{"datetime", [][]byte{date, long32(4)}, []byte{d, l}},
		{"NULL", [][]byte{nil, long32(9)}, []byte{null, l}},
		{"only NULL", [][]byte{nil, nil}, []byte{null, null}},
		{"a binary string", [][]byte{str("\x00\x01\x02\x03\xff\xfe")}, []byte{s}},
		{"an empty string", [][]byte{str("")}, []byte{s}},
		{"a word", [][]byte{str("abc")}, []byte{s}},
		{"a large number", [][]byte{long32(1764143000)}, []byte{l}},
		{"five octets for two", [][]byte{{0xff}, {0xff, 0xff, 0xff, 0xff}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, attributes := range []bool{false, true} {
				x, typed, ok := Untyped(bound(attributes, tt.values...), len(tt.values), attributes)
				if typed || !ok {
					t.Fatalf("typed %v, ok %v", typed, ok)
				}
				types := x.Infer(nil)
				var got []byte
				for i := 0; i < len(types); i += 2 {
					got = append(got, types[i])
				}
				if !bytes.Equal(got, tt.want) {
					t.Fatalf("types %x, want %x", got, tt.want)
				}
				if types == nil {
					continue
				}
				if !slices.Contains(got, null) && !x.Fits(types, nil) {
					t.Error("what was inferred does not fit")
				}
				if out := x.AppendTyped(nil, types); !Whole(out, len(tt.values), false, nil) {
					t.Errorf("with types: %x", out)
				}
			}
		})
	}
}

func TestUntypedKnowsTypes(t *testing.T) {
	b := []byte{byte(ComStmtExecute), 7, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 0, 9, 0, 0, 0}
	if _, typed, ok := Untyped(b, 1, false); !typed || ok {
		t.Errorf("typed %v, ok %v, want true, false", typed, ok)
	}
}

// FuzzInfer checks that what is inferred fits, and makes an EXECUTE that can be
// read to its end.
func FuzzInfer(f *testing.F) {
	f.Add(bound(false, long32(5), str("x")), uint8(2), false)
	f.Add(bound(true, long64(5), nil), uint8(2), true)
	f.Fuzz(func(t *testing.T, payload []byte, params uint8, attributes bool) {
		x, typed, ok := Untyped(payload, int(params), attributes)
		if typed && ok {
			t.Fatal("it both brings types and does not")
		}
		if !ok {
			return
		}
		types := x.Infer(nil)
		if types == nil {
			return
		}
		if len(types) != 2*int(params) {
			t.Fatalf("%d octets of types for %d parameters", len(types), params)
		}
		if out := x.AppendTyped(nil, types); !Whole(out, int(params), false, nil) {
			t.Fatalf("%x makes %x", payload, out)
		}
	})
}
