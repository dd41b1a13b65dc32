//go:build linux

package capture

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// Even when a trickle of packets retires an almost empty block every 4 ms,
	// 128 blocks last a reader that does not get the CPU for half a second.
	defaultBlocks = 128
	// DefaultBlockSize is a block of three of the largest GRO packets (64 KiB).
	DefaultBlockSize = 256 << 10
	defaultRetire    = 4 * time.Millisecond

	defaultSlotBlockSize = 1 << 20
	defaultSlotBlocks    = 16
)

// Open starts a capture.
func Open(c Config) (*Ring, error) {
	r, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("capture %s: %w", c.Interface, err)
	}
	return r, nil
}

func open(c Config) (_ *Ring, err error) {
	ifi, err := net.InterfaceByName(c.Interface)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // without "route ip+net"
		}
		return nil, fmt.Errorf("%w (ip link show)", err)
	}
	if ifi.Flags&net.FlagUp == 0 {
		return nil, fmt.Errorf("%w (ip link set %s up)", ErrDown, ifi.Name)
	}
	// Protocol 0: it receives nothing until bind.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("open a packet socket: %w (it takes root, or the capability CAP_NET_RAW)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	r := &Ring{name: ifi.Name, fd: fd, loopback: ifi.Flags&net.FlagLoopback != 0}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if err := r.setUpRing(c); err != nil {
		return nil, err
	}
	if r.loopback {
		// Saves copying what Frames would leave out. Linux before 4.20 cannot.
		_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	// Deaf until everything is in place: a socket can join its group only once
	// it is bound, and until then it would see the packets of the whole group.
	deaf := []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K}}
	if err := attach(fd, deaf); err != nil {
		return nil, err
	}
	if err := bind(fd, ifi, c); err != nil {
		return nil, err
	}
	if c.Filter != nil {
		err = attach(fd, c.Filter)
	} else if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		err = fmt.Errorf("detach the filter: %w", err)
	}
	return r, err
}

// setUpRing asks the kernel for the ring and maps it.
func (r *Ring) setUpRing(c Config) error {
	blockSize, blocks, version := cmp.Or(c.BlockSize, DefaultBlockSize), cmp.Or(c.Blocks, defaultBlocks), unix.TPACKET_V3
	if c.Immediate {
		blockSize, blocks, version = cmp.Or(c.BlockSize, defaultSlotBlockSize), cmp.Or(c.Blocks, defaultSlotBlocks), unix.TPACKET_V2
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, version); err != nil {
		return fmt.Errorf("choose TPACKET_V%d: %w", version+1, err)
	}
	slots := blocks * (blockSize / slotSize)
	r.layout = layout{immediate: c.Immediate, blockSize: blockSize, units: blocks}
	var err error
	if c.Immediate {
		r.layout.units = slots
		r.overflow.allow(r.fd)
		err = unix.SetsockoptTpacketReq(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq{
			Block_size: uint32(blockSize),
			Block_nr:   uint32(blocks),
			Frame_size: slotSize,
			Frame_nr:   uint32(slots),
		})
	} else {
		err = unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
			Block_size:     uint32(blockSize),
			Block_nr:       uint32(blocks),
			Frame_size:     slotSize, // of no effect: frames follow each other as they come
			Frame_nr:       uint32(slots),
			Retire_blk_tov: uint32(max(cmp.Or(c.Retire, defaultRetire).Milliseconds(), 1)),
		})
	}
	if err != nil {
		return fmt.Errorf("set up a ring of %d blocks of %d KiB: %w", blocks, blockSize>>10, err)
	}
	r.mem, err = unix.Mmap(r.fd, 0, blocks*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a ring of %d blocks of %d KiB: %w", blocks, blockSize>>10, err)
	}
	return nil
}

// bind binds the socket to the interface and to its group.
func bind(fd int, ifi *net.Interface, c Config) error {
	if c.Promiscuous {
		m := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("make it promiscuous: %w", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifi.Index}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	// An interface that went down meanwhile does not fail the bind.
	if errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && unix.Errno(errno) == unix.ENETDOWN {
		return fmt.Errorf("%w (ip link set %s up)", ErrDown, ifi.Name)
	}
	if c.FanoutID == 0 {
		return nil
	}
	arg := int(c.FanoutID) | unix.PACKET_FANOUT_HASH<<16
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, arg); err != nil {
		return fmt.Errorf("join fanout group %d (another program or interface may use this number): %w", c.FanoutID, err)
	}
	return nil
}

// attach makes p the socket's filter, in place of the one it had.
func attach(fd int, p []bpf.RawInstruction) error {
	f := make([]unix.SockFilter, len(p))
	for i, ins := range p {
		f[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	if len(f) == 0 {
		return errors.New("attach the filter: it is empty")
	}
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attach a filter of %d instructions: %w", len(f), err)
	}
	return nil
}
