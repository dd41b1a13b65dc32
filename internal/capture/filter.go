//go:build linux

package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// maxFilterAddrs bounds the addresses a filter compares one by one; more are
// left to the reader of the frames.
const maxFilterAddrs = 64

// ServerFilter returns the filter for a MySQL server's side: it passes
//
//   - TCP to one of the servers at port;
//   - TCP from there with FIN or RST: the end of a connection, whose client's end
//     may be missed or never come;
//   - TCP from there whose payload begins like something that the replay has to
//     know: see heads.
//
// It passes no IPv4 fragments. Of IPv6 packets with extension headers it passes
// those to a server, whatever they carry, but fragments; and none from it. With
// no servers, or more than 64, it passes by port alone.
func ServerFilter(servers []netip.Addr, port uint16) ([]bpf.RawInstruction, error) {
	return assemble(
		family(4, slices.Concat(toTCP4,
			ifPort(dstPort, port, passIf(dst4, servers)),
			ifPort(srcPort, port, heads, passIf(src4, servers)),
		)),
		family(6, slices.Concat(
			ifExtension(passIf(dst6, servers)),
			toTCP6,
			ifPort(dstPort, port, passIf(dst6, servers)),
			ifPort(srcPort, port, heads, passIf(src6, servers)),
		)),
	)
}

// ReplyFilter returns the filter for the replies of a target: it passes TCP from
// target at port, IPv6 packets from it with extension headers whatever they
// carry, and no fragments.
func ReplyFilter(target netip.Addr, port uint16) ([]bpf.RawInstruction, error) {
	only := []netip.Addr{target}
	return assemble(
		family(4, slices.Concat(toTCP4, ifPort(srcPort, port, passIf(src4, only)))),
		family(6, slices.Concat(
			ifExtension(passIf(src6, only)),
			toTCP6,
			ifPort(srcPort, port, passIf(src6, only)),
		)),
	)
}

// A filter is put together from pieces that either decide (pass, drop) or fall
// through to the next one. X, the register that indirect loads add, points to
// the IP header or to the TCP header; the scratch words keep both.
const (
	ipAt  = 0
	tcpAt = 1
)

var (
	pass = []bpf.Instruction{bpf.RetConstant{Val: 1<<32 - 1}} // the whole frame
	drop = []bpf.Instruction{bpf.RetConstant{Val: 0}}
)

// Where the fields are: in the IP header, and in the TCP header.
var (
	src4, dst4 = field{12, 4}, field{16, 4}
	src6, dst6 = field{8, 16}, field{24, 16}
)

type field struct{ offset, size uint32 }

const srcPort, dstPort = 0, 2

// findIP sets X to the IP header: at the packet's beginning, or behind the VLAN
// tag in an incoming frame (see network).
var findIP = slices.Concat(
	[]bpf.Instruction{
		bpf.LoadConstant{Dst: bpf.RegX, Val: 0},
		bpf.LoadExtension{Num: bpf.ExtProto},
	},
	when(bpf.JumpEqual, unix.ETH_P_8021Q, afterTag),
	when(bpf.JumpEqual, unix.ETH_P_8021AD, afterTag),
	[]bpf.Instruction{bpf.StoreScratch{Src: bpf.RegX, N: ipAt}},
)

var afterTag = slices.Concat(
	[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtType}},
	when(bpf.JumpNotEqual, unix.PACKET_OUTGOING, []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: vlanTag}}),
)

// family does body, where X points to the IP header, if it is of that version.
func family(version uint32, body []bpf.Instruction) []bpf.Instruction {
	return slices.Concat(
		[]bpf.Instruction{
			bpf.LoadIndirect{Off: 0, Size: 1},
			bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		},
		when(bpf.JumpEqual, version, body, drop),
	)
}

// toTCP4 sets X to the TCP header of an unfragmented IPv4 packet.
var toTCP4 = slices.Concat(
	[]bpf.Instruction{bpf.LoadIndirect{Off: 9, Size: 1}},
	when(bpf.JumpNotEqual, unix.IPPROTO_TCP, drop),
	[]bpf.Instruction{bpf.LoadIndirect{Off: 6, Size: 2}},
	when(bpf.JumpBitsSet, 0x3fff, drop), // more fragments, or an offset
	[]bpf.Instruction{
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
		bpf.StoreScratch{Src: bpf.RegX, N: tcpAt},
	},
)

// toTCP6 sets X to the TCP header that follows an IPv6 header.
var toTCP6 = slices.Concat(
	[]bpf.Instruction{bpf.LoadIndirect{Off: 6, Size: 1}},
	when(bpf.JumpNotEqual, unix.IPPROTO_TCP, drop),
	[]bpf.Instruction{
		bpf.TXA{},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 40},
		bpf.TAX{},
		bpf.StoreScratch{Src: bpf.RegX, N: tcpAt},
	},
)

// ifExtension does body, where X points to the IPv6 header, if one of the
// extension headers follows that wire.Parse reads.
func ifExtension(body []bpf.Instruction) []bpf.Instruction {
	return slices.Concat([]bpf.Instruction{
		bpf.LoadIndirect{Off: 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_HOPOPTS, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_ROUTING, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_DSTOPTS, SkipTrue: 1},
		bpf.Jump{Skip: uint32(len(body) + len(drop))},
	}, body, drop)
}

// toPayload moves X from the TCP header to the payload.
var toPayload = []bpf.Instruction{
	bpf.LoadIndirect{Off: 12, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0},
	bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 2},
	bpf.ALUOpX{Op: bpf.ALUOpAdd},
	bpf.TAX{},
}

// heads drops a server's segment, where X points to the TCP header, unless it
// has FIN or RST or its payload begins with
//
//   - a greeting;
//   - an ERR: it may refuse a login, or a COM_STMT_PREPARE;
//   - the OK of a COM_STMT_PREPARE;
//   - a compressed packet that may begin with such an OK.
//
// It has to begin there, as it does when a server answers. Whether the session
// is compressed is not known here, so each reader has to look again.
//
// It runs for all that a production server sends: an ACK ends at the load of
// the payload, and the middle of a result nearly always at its fourth octet.
var heads = slices.Concat(
	[]bpf.Instruction{bpf.LoadIndirect{Off: 13, Size: 1}},
	when(bpf.JumpBitsNotSet, finOrRST, slices.Concat(
		toPayload,
		// int<3> payload length | int<1> sequence id
		[]bpf.Instruction{bpf.LoadIndirect{Off: 0, Size: 4}},
		when(bpf.JumpBitsSet, maxSequence^0xff, drop),
		either(bpf.JumpBitsNotSet, maxSequence, greeting, slices.Concat(
			[]bpf.Instruction{bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfeffffff}}, // 12 and 13 are one
			either(bpf.JumpEqual, 0x0c000001, slices.Concat(status, okOrERR), refusal),
		)),
	)),
)

const finOrRST = 0x05

// maxSequence is the highest sequence id at which a compressed response is
// taken for a beginning. It follows those of the request, of which libmysqlclient
// and libmariadb make a packet for each 16 KiB.
const maxSequence = 0x0f

// greeting drops what is no greeting: a packet shorter than 256 octets, of
// sequence id 0 (known already), whose first octet is the protocol version 10.
// A holds the packet's header.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
var greeting = slices.Concat(
	when(bpf.JumpBitsSet, 0x00ffff00, drop),
	[]bpf.Instruction{bpf.LoadIndirect{Off: 4, Size: 1}},
	when(bpf.JumpNotEqual, 10, drop),
)

// status loads the first octet of a packet.
var status = []bpf.Instruction{bpf.LoadIndirect{Off: 4, Size: 1}}

// refusal passes an ERR, and leaves what is none to compressed.
var refusal = slices.Concat(status, either(bpf.JumpEqual, headerERR, nil, compressed))

const headerERR = 0xff

// okOrERR drops what is neither an ERR nor an OK, by the status in A. A packet of
// 12 octets, or 13 (with CLIENT_OPTIONAL_RESULTSET_METADATA), whose status is 0 is
// taken for the OK of a COM_STMT_PREPARE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
var okOrERR = when(bpf.JumpNotEqual, headerERR, when(bpf.JumpNotEqual, 0, drop))

// compressed drops what is no compressed packet that may hold the OK of a
// PREPARE, or an ERR. Servers compress with zlib at level 6 alone, whose streams
// begin with 78 9c (RFC 1950, section 2.2), or with zstd (its magic number: RFC
// 8878, section 3.1.1). What is below 50 octets, or does not get shorter, they
// leave as it is.
//
//	int<3> length | int<1> sequence id | int<3> length before compression, or 0 | payload
//
// No other response of an uncompressed session has these octets there, but two:
// an OK that tells a last insert id, or a number of affected rows, whose octets
// happen to be 78 9c; and what a segment in the middle of a result begins with
// by chance.
var compressed = slices.Concat(
	[]bpf.Instruction{bpf.LoadIndirect{Off: 7, Size: 2}},
	either(bpf.JumpEqual, 0x789c, nil,
		either(bpf.JumpEqual, 0x28b5, zstdMagic, plainInside)),
)

var zstdMagic = slices.Concat(
	[]bpf.Instruction{bpf.LoadIndirect{Off: 9, Size: 2}},
	when(bpf.JumpNotEqual, 0x2ffd, drop),
)

// plainInside drops what is no packet in a compressed one that is not compressed,
// with the OK of a PREPARE, or an ERR. Its sequence id is the compressed packet's;
// it is not looked at.
var plainInside = slices.Concat(
	[]bpf.Instruction{bpf.LoadIndirect{Off: 3, Size: 4}}, // sequence id, length before compression
	when(bpf.JumpBitsSet, 0x00ffffff, drop),
	[]bpf.Instruction{bpf.LoadIndirect{Off: 11, Size: 1}}, // the inner packet's status
	when(bpf.JumpNotEqual, headerERR,
		when(bpf.JumpNotEqual, 0, drop),
		[]bpf.Instruction{
			bpf.LoadIndirect{Off: 7, Size: 2}, // its length, of which the third octet is 0:
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfeff},
		},
		when(bpf.JumpNotEqual, 0x0c00, drop),
		[]bpf.Instruction{bpf.LoadIndirect{Off: 9, Size: 1}},
		when(bpf.JumpNotEqual, 0, drop),
	),
)

// ifPort does body if a port of the TCP header is port. X points to the TCP
// header before and after it.
func ifPort(at uint32, port uint16, body ...[]bpf.Instruction) []bpf.Instruction {
	body = append(slices.Clip(body), []bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegX, N: tcpAt}})
	return slices.Concat(
		[]bpf.Instruction{bpf.LoadIndirect{Off: at, Size: 2}},
		when(bpf.JumpEqual, uint32(port), body...),
	)
}

// passIf passes if the address f is one of addrs. It leaves X at the IP header.
func passIf(f field, addrs []netip.Addr) []bpf.Instruction {
	if len(addrs) == 0 || len(addrs) > maxFilterAddrs {
		return pass
	}
	p := []bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegX, N: ipAt}}
	for _, a := range addrs {
		b := a.Unmap().AsSlice()
		if len(b) != int(f.size) {
			continue
		}
		match := pass
		for at := len(b) - 4; at >= 0; at -= 4 {
			match = slices.Concat(
				[]bpf.Instruction{bpf.LoadIndirect{Off: f.offset + uint32(at), Size: 4}},
				when(bpf.JumpEqual, binary.BigEndian.Uint32(b[at:]), match),
			)
		}
		p = append(p, match...)
	}
	return p
}

// when does body if the comparison of A holds.
func when(cond bpf.JumpTest, val uint32, body ...[]bpf.Instruction) []bpf.Instruction {
	b := slices.Concat(body...)
	if len(b) <= 255 {
		return append([]bpf.Instruction{bpf.JumpIf{Cond: cond, Val: val, SkipFalse: uint8(len(b))}}, b...)
	}
	return append([]bpf.Instruction{
		bpf.JumpIf{Cond: cond, Val: val, SkipTrue: 1},
		bpf.Jump{Skip: uint32(len(b))},
	}, b...)
}

// either does yes if the comparison of A holds, else no. What neither of them
// decides goes on behind both.
func either(cond bpf.JumpTest, val uint32, yes, no []bpf.Instruction) []bpf.Instruction {
	return slices.Concat(when(cond, val, yes, []bpf.Instruction{bpf.Jump{Skip: uint32(len(no))}}), no)
}

// assemble makes a filter of findIP and what follows; the rest is dropped.
func assemble(pieces ...[]bpf.Instruction) ([]bpf.RawInstruction, error) {
	p, err := bpf.Assemble(slices.Concat(findIP, slices.Concat(pieces...), drop))
	if err != nil {
		return nil, fmt.Errorf("assemble the capture filter: %w", err)
	}
	return p, nil
}
