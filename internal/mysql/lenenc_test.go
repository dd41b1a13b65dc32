package mysql

import (
	"math"
	"testing"
)

func TestLenenc(t *testing.T) {
	for _, tt := range []struct {
		v    uint64
		want string
	}{
		{0, "\x00"},
		{0xfa, "\xfa"},
		{0xfb, "\xfc\xfb\x00"},
		{0xffff, "\xfc\xff\xff"},
		{0x10000, "\xfd\x00\x00\x01"},
		{0xffffff, "\xfd\xff\xff\xff"},
		{0x1000000, "\xfe\x00\x00\x00\x01\x00\x00\x00\x00"},
		{math.MaxUint64, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		b := appendLenenc(nil, tt.v)
		if string(b) != tt.want {
			t.Errorf("appendLenenc(%d) = %x, want %x", tt.v, b, tt.want)
		}
		if v, rest, ok := cutLenenc(append(b, 'x')); !ok || v != tt.v || string(rest) != "x" {
			t.Errorf("cutLenenc(%x) = %d, %q, %v", b, v, rest, ok)
		}
		for n := range b {
			if _, _, ok := cutLenenc(b[:n]); ok {
				t.Errorf("cutLenenc(%x) is ok", b[:n])
			}
		}
	}
	for _, s := range []string{"\xfb123456789", "\xff123456789"} {
		if _, _, ok := cutLenenc([]byte(s)); ok {
			t.Errorf("cutLenenc(%x) is ok", s)
		}
	}
	if _, _, ok := cutLenencBytes([]byte("\xfe\xff\xff\xff\xff\xff\xff\xff\xffabc")); ok {
		t.Error("a string longer than the packet is ok")
	}
}
