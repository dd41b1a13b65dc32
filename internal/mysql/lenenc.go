package mysql

import (
	"bytes"
	"encoding/binary"
)

// Length-encoded integers, "lenenc":
//
//	0x00-0xfa            the value itself
//	0xfc int<2> | 0xfd int<3> | 0xfe int<8>
//
// 0xfb (NULL, or LOCAL INFILE) and 0xff (ERR) are no integers.

// cutLenenc takes a lenenc integer off the front of b.
func cutLenenc(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	switch c := b[0]; {
	case c <= 0xfa:
		return uint64(c), b[1:], true
	case c == 0xfc && len(b) >= 3:
		return uint64(binary.LittleEndian.Uint16(b[1:])), b[3:], true
	case c == 0xfd && len(b) >= 4:
		return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, b[4:], true
	case c == 0xfe && len(b) >= 9:
		return binary.LittleEndian.Uint64(b[1:]), b[9:], true
	}
	return 0, nil, false
}

// appendLenenc appends v in its shortest form.
func appendLenenc(b []byte, v uint64) []byte {
	switch {
	case v <= 0xfa:
		return append(b, byte(v))
	case v < 1<<16:
		return append(b, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(b, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xfe), v)
}

// cutLenencBytes takes a string<lenenc> off the front of b.
func cutLenencBytes(b []byte) (s, rest []byte, ok bool) {
	n, b, ok := cutLenenc(b)
	if !ok || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// cutNul takes a string<NUL> off the front of b.
func cutNul(b []byte) (s, rest []byte, ok bool) { return bytes.Cut(b, []byte{0}) }

// cutNulOrAll is cutNul for a last field, whose NUL some peers leave out.
func cutNulOrAll(b []byte) (s, rest []byte) {
	s, rest, _ = cutNul(b)
	return s, rest
}
