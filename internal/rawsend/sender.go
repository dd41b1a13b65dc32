//go:build linux

// Package rawsend puts batches of whole IP packets, whose source address may be
// anyone's, onto the wire to one target.
//
// A Sender never blocks for longer than about a millisecond and never fails for
// a packet's sake: what could not be sent is counted, and TCP repeats it. It
// sends to its target and to nobody else, receives nothing, and allocates
// nothing per packet. One goroutine uses it.
package rawsend

import (
	"bytes"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Mode is the layer packets are handed over at.
type Mode uint8

const (
	// IP is a raw IP socket: routes, neighbours and the firewall's output rules
	// apply as to all this host sends.
	IP Mode = iota
	// Link is a packet socket: past the firewall and connection tracking, to the
	// link-layer address of the next hop, which is this package's to find out.
	Link
)

func (m Mode) String() string {
	switch m {
	case IP:
		return "ip"
	case Link:
		return "link"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// ParseMode is the inverse of String.
func ParseMode(s string) (Mode, error) {
	for _, m := range []Mode{IP, Link} {
		if s == m.String() {
			return m, nil
		}
	}
	return 0, fmt.Errorf("%q is no way to send: want ip or link", s)
}

// A Config says where to send and how.
type Config struct {
	Target netip.Addr
	Mode   Mode
	Batch  int // packets per system call; 0: 64
}

// A Sender is a raw socket and the batch that waits for it.
type Sender struct {
	target netip.Addr
	mode   Mode
	fd     int // -1: closed
	route  route
	local  bool // the target's address is this host's own now

	version uint8  // of IP
	dst     []byte // target, as in the IP header
	dstAt   int    // and where it stands there

	// The socket address every packet of a batch is sent to: one of these.
	inet4 unix.RawSockaddrInet4
	inet6 unix.RawSockaddrInet6
	link  unix.RawSockaddrLinklayer

	// The pending batch is msgs[:n]; msgs[i] points to iovs[i], which points to
	// the packet. A packet is made in place, in the ith part of arena.
	msgs  []mmsghdr
	iovs  []unix.Iovec
	n     int
	arena []byte
	part  int // octets, at least the MTU

	stats counters
}

// MTU returns the largest packet the route to the target takes.
//
// That is what this host knows: the interface's MTU, or the route's. It does not
// learn from routers on the way, whose ICMP errors go to the forged sources.
func (s *Sender) MTU() int { return s.route.mtu }

// Source returns this host's own address towards the target.
func (s *Sender) Source() netip.Addr { return s.route.source }

// Next returns an empty slice for one packet, with a capacity of at least the
// MTU. It is the Sender's again at the next call of any of its methods, unless
// that is Commit.
func (s *Sender) Next() []byte { return s.arena[s.n*s.part:][:0:s.part] }

// Commit adds packet, a whole IP packet for the target that was appended to what
// Next returned, to the batch. A full batch is flushed. A packet for anybody
// else is refused, and counted; see Refresh for when all are.
func (s *Sender) Commit(packet []byte) {
	if s.fd < 0 {
		return
	}
	if s.local || len(packet) < s.dstAt+len(s.dst) || packet[0]>>4 != s.version ||
		!bytes.Equal(packet[s.dstAt:][:len(s.dst)], s.dst) {
		s.stats.refused++
		return
	}
	s.iovs[s.n].Base = &packet[0]
	s.iovs[s.n].SetLen(len(packet))
	if s.n++; s.n == len(s.msgs) {
		s.Flush()
	}
}

// Close drops what is pending and closes the socket.
func (s *Sender) Close() error {
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd, s.n = -1, 0
	return err
}
