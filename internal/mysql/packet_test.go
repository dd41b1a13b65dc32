package mysql

import "testing"

func TestHeader(t *testing.T) {
	for _, h := range []Header{{0, 0}, {1, 255}, {0x010203, 7}, {MaxPayload, 1}} {
		b := AppendHeader(nil, h.Length, h.Sequence)
		if got, ok := ParseHeader(b); !ok || got != h {
			t.Errorf("ParseHeader(%x) = %v, %v, want %v", b, got, ok, h)
		}
		for n := range HeaderSize {
			if got, ok := ParseHeader(b[:n]); ok {
				t.Errorf("ParseHeader(%x) = %v", b[:n], got)
			}
		}
	}
	if got, want := string(AppendHeader(nil, 0x030201, 4)), "\x01\x02\x03\x04"; got != want {
		t.Errorf("AppendHeader = %x, want %x", got, want)
	}
}
