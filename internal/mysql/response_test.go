package mysql

import "testing"

func TestParseError(t *testing.T) {
	for _, tt := range []struct {
		payload string
		want    ServerError
		text    string
		ok      bool
	}{
		{"\xff\x15\x04#28000Access denied", ServerError{1045, "28000", "Access denied"}, "ERROR 1045 (28000): Access denied", true},
		{"\xff\x6a\x04Host not allowed", ServerError{1130, "", "Host not allowed"}, "ERROR 1130: Host not allowed", true},
		{"\xff\x15\x04", ServerError{1045, "", ""}, "ERROR 1045: ", true},
		{"\xff\x15\x04#2800", ServerError{1045, "", "#2800"}, "ERROR 1045: #2800", true},
		{"\xff\xff\xff\x01\x01\x01", ServerError{}, "", false}, // MariaDB's progress report
		{"\xff\x15", ServerError{}, "", false},
		{"\x00\x00\x00\x02\x00\x00\x00", ServerError{}, "", false},
		{"", ServerError{}, "", false},
	} {
		got, ok := ParseError([]byte(tt.payload))
		if ok != tt.ok || got != tt.want || ok && got.Error() != tt.text {
			t.Errorf("%q: %+v, %v, %q", tt.payload, got, ok, got.Error())
		}
	}
}

func TestParsePrepareOK(t *testing.T) {
	const ok12 = "\x00\x04\x03\x02\x01\x06\x05\x08\x07\x00\x00\x00"
	for _, s := range []string{ok12, ok12 + "\x01"} {
		if id, columns, params, ok := ParsePrepareOK([]byte(s)); !ok || id != 0x01020304 || columns != 0x0506 || params != 0x0708 {
			t.Errorf("%x: %x, %x, %x, %v", s, id, columns, params, ok)
		}
	}
	for _, s := range []string{"", ok12[:11], "\x01" + ok12[1:]} {
		if _, _, _, ok := ParsePrepareOK([]byte(s)); ok {
			t.Errorf("%x is ok", s)
		}
	}
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte("\xff\x15\x04#28000Access denied"))
	f.Add([]byte("\xff\x6a\x04Host not allowed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, ok := ParseError(b)
		if !ok {
			return
		}
		got := string([]byte{0xff, byte(e.Code), byte(e.Code >> 8)})
		if e.State != "" {
			got += "#" + e.State
		}
		if got += e.Message; got != string(b) {
			t.Fatalf("%q lost bytes: %q", b, got)
		}
	})
}
