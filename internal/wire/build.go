package wire

import (
	"encoding/binary"
	"math/bits"
)

// hopLimit is the TTL of what we send: Linux's default.
const hopLimit = 64

// HeaderSize returns the octets of the IP and TCP headers that Append writes
// for s.
func (s *Segment) HeaderSize() int {
	n := ipv6Header
	if s.Dst.Addr.Is4() {
		n = ipv4Header
	}
	return n + tcpHeader + s.Options.Size()
}

// Append appends s as an IP packet, its checksums filled in: IPv4 (Don't
// Fragment, identification 0: RFC 6864, section 4.1) where Dst is an IPv4
// address, else IPv6. Both ends must be of one family, and the whole must fit
// in 65,535 octets.
func (s *Segment) Append(b []byte) []byte {
	start := len(b)
	size := s.HeaderSize() + len(s.Payload)
	var pseudo uint64 // the pseudo-header's sum (RFC 9293, section 3.1)
	if s.Dst.Addr.Is4() {
		b = append(b, 0x45, 0, byte(size>>8), byte(size), 0, 0, 0x40, 0, hopLimit, protoTCP, 0, 0)
		b = append(b, s.Src.Addr[12:]...)
		b = append(b, s.Dst.Addr[12:]...)
		h := b[start:]
		binary.BigEndian.PutUint16(h[10:], fold(sum(h, 0)))
		pseudo = sum(h[12:20], uint64(protoTCP+size-ipv4Header))
	} else {
		n := size - ipv6Header
		b = append(b, 0x60, 0, 0, 0, byte(n>>8), byte(n), protoTCP, hopLimit)
		b = append(b, s.Src.Addr[:]...)
		b = append(b, s.Dst.Addr[:]...)
		pseudo = sum(b[start+8:start+ipv6Header], uint64(protoTCP+n))
	}
	tcp := len(b)
	b = binary.BigEndian.AppendUint16(b, s.Src.Port)
	b = binary.BigEndian.AppendUint16(b, s.Dst.Port)
	b = binary.BigEndian.AppendUint32(b, uint32(s.Seq))
	b = binary.BigEndian.AppendUint32(b, uint32(s.Ack))
	b = append(b, byte((tcpHeader+s.Options.Size())/4)<<4, byte(s.Flags), byte(s.Window>>8), byte(s.Window), 0, 0, 0, 0)
	b = s.Options.append(b)
	b = append(b, s.Payload...)
	binary.BigEndian.PutUint16(b[tcp+16:], fold(sum(b[tcp:], pseudo)))
	return b
}

// sum adds the 16-bit big-endian words of b to acc, an unfolded one's
// complement sum (RFC 1071), eight octets at a time.
func sum(b []byte, acc uint64) uint64 {
	var carry uint64
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	var tail uint64
	for i, c := range b {
		tail |= uint64(c) << (56 - 8*i)
	}
	acc, carry = bits.Add64(acc, tail, carry)
	acc, carry = bits.Add64(acc, 0, carry) // the end-around carry may carry once more
	return acc + carry
}

// fold folds acc to 16 bits and complements it.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	for acc>>16 != 0 {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}
