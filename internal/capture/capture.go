//go:build linux

// Package capture reads IP packets from a network interface through an
// AF_PACKET ring that is shared with the kernel (packet(7), and
// Documentation/networking/packet_mmap.rst of the kernel).
//
// The socket is of type SOCK_DGRAM, so frames, and the filter program's
// offsets, begin at the network header whatever the device puts before it:
// Ethernet, nothing (tun), loopback. Packets are views into the ring, leased
// until Release. Whatever was not captured is counted: by the kernel when the
// ring was full, here when a frame was cut.
//
// A Ring is used by one goroutine at a time.
package capture

import (
	"time"

	"golang.org/x/net/bpf"
)

// A Frame is one captured IP packet, leased from its ring until Release.
type Frame struct {
	IP       []byte // from the IP header on, with the padding of a short frame; shorter than Size when it was cut
	Size     int    // octets from the IP header on that were on the wire
	Stamp    int64  // when the kernel saw it, nanoseconds since 1970
	Outgoing bool   // this host sent it
}

// A Config says what to capture and how.
type Config struct {
	Interface string

	// Filter is a classic BPF program over the packet from its network header
	// on, such as ServerFilter makes. Nil passes everything.
	Filter []bpf.RawInstruction

	// Immediate chooses between the two kinds of ring. A ring of blocks
	// (TPACKET_V3; false) wakes its reader once per block, when it is full or
	// Retire old: much cheaper per packet. A ring of slots (TPACKET_V2; true)
	// wakes it for each frame.
	Immediate bool

	BlockSize int           // octets, a multiple of the page size; 0: 256 KiB, for slots 1 MiB
	Blocks    int           // 0: 128, for slots 16; in all 32 and 16 MiB
	Retire    time.Duration // what a block waits for more packets, in milliseconds; 0: 4 ms

	// FanoutID, unless 0, joins the ring to the group of that number in this
	// network namespace. The kernel spreads the interface's packets over the
	// group's rings by a hash that is the same for both directions of a flow.
	// A group is of one interface.
	FanoutID uint16

	Promiscuous bool // also frames addressed to other stations, as at a mirror port
}

// Stats count since Open.
type Stats struct {
	Received uint64 // frames that passed the filter and found room in the ring
	Dropped  uint64 // frames that passed the filter and found none
	Cut      uint64 // frames captured in part
	Foreign  uint64 // frames that are not IP
}
