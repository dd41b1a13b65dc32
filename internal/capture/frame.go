//go:build linux

package capture

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// appendFrame appends the packet b, of size octets on the wire, unless it is
// left out.
func (r *Ring) appendFrame(dst []Frame, b []byte, size int, ll *unix.RawSockaddrLinklayer, sec, nsec uint32) []Frame {
	outgoing := ll.Pkttype == unix.PACKET_OUTGOING
	if outgoing && r.loopback {
		return dst
	}
	ip := network(b, htons(ll.Protocol), outgoing)
	if ip == nil {
		r.stats.Foreign++
		return dst
	}
	size -= len(b) - len(ip)
	if len(ip) < size {
		r.stats.Cut++
	}
	return append(dst, Frame{
		IP:       ip,
		Size:     size,
		Stamp:    int64(sec)*1e9 + int64(nsec),
		Outgoing: outgoing,
	})
}

// network returns b from the IP header on, or nil if there is none.
//
// The kernel takes the VLAN tag off an incoming frame; b begins with one only
// where two were stacked. An outgoing frame's b begins at the IP header, though
// the protocol may be a tag's. Newer kernels (6.10) report the protocol behind
// the tags in both cases.
func network(b []byte, protocol uint16, outgoing bool) []byte {
	tagged := false
	switch protocol {
	case unix.ETH_P_IP, unix.ETH_P_IPV6:
		tagged = !isIP(b)
	case unix.ETH_P_8021Q, unix.ETH_P_8021AD:
		tagged = !outgoing
	default:
		return nil
	}
	if tagged {
		if len(b) < vlanTag {
			return nil
		}
		b = b[vlanTag:] // uint16 tag control information | uint16 protocol
	}
	if !isIP(b) {
		return nil
	}
	return b
}

const vlanTag = 4

// isIP reports whether b begins like an IP header.
func isIP(b []byte) bool { return len(b) > 0 && (b[0]>>4 == 4 || b[0]>>4 == 6) }

// htons converts a number between host and network byte order.
func htons(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}
