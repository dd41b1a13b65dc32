package mysql

import (
	"bytes"
	"encoding/binary"
)

// A proxy may say in front of a client's stream on whose behalf it connects,
// which MariaDB and Percona Server read where they are told to.
// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
var (
	proxyText   = []byte("PROXY ")
	proxyBinary = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

const (
	// proxyTextMax is the longest header in text, with its CRLF.
	proxyTextMax = 107
	// proxyBinaryHeader is the size of a binary header's fixed front.
	//
	//	signature | int<1> version and command | int<1> family | int<2> size of the rest, big endian
	proxyBinaryHeader = 16
)

// ProxyHeader returns the size n of the PROXY protocol's header, version 1
// (text) or 2 (binary), at the front of a client's stream. more reports that b
// may be the beginning of one, but is too short to tell or does not hold all of
// it; of nothing at all that is true. With both zero the stream has none. A
// login is never taken for one: as the header of a packet, both signatures have
// a sequence id that no client begins with.
func ProxyHeader(b []byte) (n int, more bool) {
	if begins(b, proxyText) {
		line := b[:min(len(b), proxyTextMax)]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			return i + 1, false // MariaDB does not ask for the CR
		}
		return 0, len(line) < proxyTextMax
	}
	if !begins(b, proxyBinary) {
		return 0, false
	}
	// Version 2, and the command LOCAL (the proxy itself) or PROXY.
	if len(b) > len(proxyBinary) && b[12] != 0x20 && b[12] != 0x21 {
		return 0, false
	}
	if len(b) < proxyBinaryHeader {
		return 0, true
	}
	if n = proxyBinaryHeader + int(binary.BigEndian.Uint16(b[14:])); len(b) < n {
		return 0, true
	}
	return n, false
}

// begins reports whether b begins with signature, or is a part of its beginning.
func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}
