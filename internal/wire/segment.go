// Package wire reads and writes IPv4, IPv6 and TCP headers in place.
//
// Reading never allocates, never copies the payload and never trusts a length
// field; it does not verify checksums, because segments captured on the sending
// host do not carry them yet (checksum offload). Writing fills them in.
package wire

import (
	"encoding/binary"

	"mrtecopy/internal/seq"
)

// Flags are the control bits of a TCP header (RFC 9293, section 3.1).
type Flags uint8

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Has reports whether all of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

func (f Flags) String() string {
	var b [8]byte
	n := 0
	for i, c := range "FSRPAUEC" {
		if f&(1<<i) != 0 {
			b[n] = byte(c)
			n++
		}
	}
	if n == 0 {
		return "-"
	}
	return string(b[:n])
}

// A Segment is a TCP segment with the addresses of its IP header. When it was
// parsed, Payload is a view into the captured frame.
type Segment struct {
	Flow
	Seq     seq.Num // SEG.SEQ
	Ack     seq.Num // SEG.ACK, meaningful with ACK
	Flags   Flags
	Window  uint16 // SEG.WND as on the wire, not scaled
	Options Options
	Payload []byte
	Missing int // octets of the payload's end that were not captured
}

// Len returns SEG.LEN: the sequence numbers the segment occupies, those that
// were not captured, SYN and FIN included.
func (s *Segment) Len() int {
	n := len(s.Payload) + s.Missing
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return n
}

// End returns the sequence number that follows the segment.
func (s *Segment) End() seq.Num { return s.Seq.Add(s.Len()) }

const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
	protoTCP   = 6
)

// Parse reads the IP packet at the start of b into s, every field of which it
// sets. It reports false for what is not a whole TCP header in an unfragmented
// packet. size is the packet's length on the wire, which is more than len(b)
// where the capture was cut; octets beyond the IP length (Ethernet padding) are
// ignored.
func Parse(b []byte, size int, s *Segment) bool {
	if len(b) == 0 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b, size, s)
	case 6:
		return parse6(b, size, s)
	}
	return false
}

func parse4(b []byte, size int, s *Segment) bool {
	if len(b) < ipv4Header {
		return false
	}
	ihl := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 { // a GSO packet of more than 64 KiB ("BIG TCP") has no length
		total = size
	}
	const moreFragmentsOrOffset = 0x3fff
	if ihl < ipv4Header || len(b) < ihl || total < ihl || total > size || b[9] != protoTCP ||
		binary.BigEndian.Uint16(b[6:])&moreFragmentsOrOffset != 0 {
		return false
	}
	s.Src.Addr, s.Dst.Addr = mapped(b[12:16]), mapped(b[16:20])
	return parseTCP(b[ihl:], total-ihl, s)
}

func mapped(b []byte) (a Addr) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b)
	return a
}

func parse6(b []byte, size int, s *Segment) bool {
	if len(b) < ipv6Header {
		return false
	}
	total := ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if total == ipv6Header {
		total = size
	}
	if total > size {
		return false
	}
	copy(s.Src.Addr[:], b[8:24])
	copy(s.Dst.Addr[:], b[24:40])
	if s.Src.Addr.Is4() || s.Dst.Addr.Is4() {
		// A mapped address stands for IPv4 here. None belongs on the wire, and
		// Linux takes no packet from one either (ip6_rcv_core).
		return false
	}
	// Extension headers that may stand before TCP (RFC 8200, section 4): hop by
	// hop, routing, destination options. A fragment header ends the attempt.
	next, at := b[6], ipv6Header
	for range 8 {
		if next == protoTCP {
			return total >= at && parseTCP(b[at:], total-at, s)
		}
		if next != 0 && next != 43 && next != 60 || len(b) < at+8 {
			return false
		}
		next, at = b[at], at+8+int(b[at+1])*8
		if len(b) < at {
			return false
		}
	}
	return false
}

// parseTCP reads the TCP segment at the start of b; size octets were on the wire.
func parseTCP(b []byte, size int, s *Segment) bool {
	if len(b) < tcpHeader {
		return false
	}
	off := int(b[12]>>4) * 4
	if off < tcpHeader || off > len(b) || off > size {
		return false
	}
	s.Src.Port = binary.BigEndian.Uint16(b[0:])
	s.Dst.Port = binary.BigEndian.Uint16(b[2:])
	s.Seq = seq.Num(binary.BigEndian.Uint32(b[4:]))
	s.Ack = seq.Num(binary.BigEndian.Uint32(b[8:]))
	s.Flags = Flags(b[13])
	s.Window = binary.BigEndian.Uint16(b[14:])
	s.Options.parse(b[tcpHeader:off])
	end := min(size, len(b))
	s.Payload, s.Missing = b[off:end:end], size-end
	return true
}
