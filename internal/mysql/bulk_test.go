package mysql

import (
	"bytes"
	"testing"
)

func TestBulk(t *testing.T) {
	const head = "\xfa\x07\x00\x00\x00"
	const execute = "\x17\x09\x00\x00\x00\x00\x01\x00\x00\x00"
	tests := []struct {
		name    string
		payload string
		params  int
		types   string
		want    []string
		named   []string // with ClientQueryAttributes
	}{
		{
			name:    "integers and strings",
			payload: head + "\x80\x00\x01\x00\xfd\x00" + "\x00\x07\x00\x02ab" + "\x01\x00\x00",
			params:  2,
			want:    []string{execute + "\x00\x01\x01\x00\xfd\x00\x07\x02ab", execute + "\x01\x01\x01\x00\xfd\x00\x00"},
			named:   []string{execute + "\x02\x00\x01\x01\x00\x00\xfd\x00\x00\x07\x02ab", execute + "\x02\x01\x01\x01\x00\x00\xfd\x00\x00\x00"},
		},
		{
			name:    "types of before, unit results",
			payload: head + "\x40\x00" + "\x00\x07",
			params:  1,
			types:   "\x01\x80",
			want:    []string{execute + "\x00\x01\x01\x80\x07"},
			named:   []string{execute + "\x01\x00\x01\x01\x80\x00\x07"},
		},
		{name: "no types", payload: head + "\x00\x00\x00\x07", params: 1},
		{name: "types of another number of parameters", payload: head + "\x00\x00\x00\x07", params: 1, types: "\x01\x00\x01\x00"},
		{name: "types cut short", payload: head + "\x80\x00\x01", params: 1},
		{name: "no rows", payload: head + "\x80\x00\x01\x00", params: 1},
		{name: "no parameters", payload: head + "\x80\x00", params: 0},
		{name: "DEFAULT", payload: head + "\x80\x00\x01\x00\x02", params: 1},
		{name: "a value cut short", payload: head + "\x80\x00\x02\x00\x00\x07", params: 1},
		{name: "a row cut short", payload: head + "\x80\x00\x01\x00\x01\x00\x00\x07", params: 2},
		{name: "another command", payload: execute + "\x00\x01\x01\x00\x07", params: 1},
		{name: "the header cut short", payload: head + "\x80", params: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for caps, want := range map[Capabilities][]string{0: tt.want, ClientQueryAttributes: tt.named} {
				bulk, rows, ok := ParseBulk([]byte(tt.payload), tt.params, []byte(tt.types))
				if ok != (want != nil) || ok && rows != len(want) {
					t.Fatalf("%d rows, %v, want %d", rows, ok, len(want))
				}
				for i := range want {
					if got := bulk.AppendExecute(nil, 9, caps); string(got) != want[i] {
						t.Errorf("row %d: got %q, want %q", i, got, want[i])
					}
				}
			}
		})
	}
}

// Each row becomes a COM_STMT_EXECUTE with values as it had, and none is left.
func FuzzBulk(f *testing.F) {
	f.Add([]byte("\xfa\x07\x00\x00\x00\x80\x00\x01\x00\xfd\x00\x00\x07\x00\x02ab\x01\x00\x00"), 2)
	f.Add([]byte("\xfa\x07\x00\x00\x00\xc0\x00\x03\x00\x00\x07\x00\x00\x00\x01"), 1)
	f.Fuzz(func(t *testing.T, b []byte, params int) {
		bulk, rows, ok := ParseBulk(b, params, nil)
		if !ok {
			return
		}
		for range rows {
			e := bulk.AppendExecute(nil, 1, ClientQueryAttributes)
			plain := bulk.Types
			out, types, ok := StripExecute(nil, e, params, nil, nil)
			if !ok || len(out) >= len(e) || params < 100 && !bytes.Contains(plain, []byte{byte(typeJSON)}) && !bytes.Equal(types, plain) {
				t.Fatalf("%q: %q, types %q, %v", b, e, types, ok)
			}
		}
		if len(bulk.rows) > 0 {
			t.Fatalf("%q: %q is left", b, bulk.rows)
		}
	})
}
