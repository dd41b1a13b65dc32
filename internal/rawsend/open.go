//go:build linux

package rawsend

import (
	"cmp"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const defaultBatch = 64

// Open opens a sender. In mode Link that includes waiting, up to a few seconds,
// for the next hop to tell its link-layer address.
func Open(c Config) (*Sender, error) {
	s, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("send to %s: %w", c.Target, err)
	}
	return s, nil
}

func open(c Config) (_ *Sender, err error) {
	target := c.Target.Unmap()
	switch {
	case !target.IsValid() || target.IsUnspecified() || target.IsMulticast():
		return nil, errors.New("this is not the address of a server")
	case target.IsLoopback():
		return nil, errors.New("the target must be another host")
	case target.Zone() != "" || target.Is6() && target.IsLinkLocalUnicast():
		return nil, errors.New("a link-local address cannot be the target: use a routable one")
	}
	s := &Sender{target: target, mode: c.Mode, fd: -1, dst: target.AsSlice(), version: 4, dstAt: 16}
	if target.Is6() {
		s.version, s.dstAt = 6, 24
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()

	n := cmp.Or(c.Batch, defaultBatch)
	s.msgs, s.iovs = make([]mmsghdr, n), make([]unix.Iovec, n)
	var name unsafe.Pointer
	var size uintptr
	switch {
	case c.Mode == Link:
		s.fd, err = socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
		name, size = unsafe.Pointer(&s.link), unsafe.Sizeof(s.link)
	case target.Is4():
		// IPPROTO_RAW: packets come with their header (raw(7)), and nothing of
		// TCP is received.
		s.fd, err = socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		s.inet4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: target.As4()}
		name, size = unsafe.Pointer(&s.inet4), unsafe.Sizeof(s.inet4)
	default:
		s.fd, err = socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_RAW)
		s.inet6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: target.As16()}
		name, size = unsafe.Pointer(&s.inet6), unsafe.Sizeof(s.inet6)
	}
	if err != nil {
		return nil, err
	}
	for i := range s.msgs {
		h := &s.msgs[i].hdr
		h.Name, h.Namelen = (*byte)(name), uint32(size)
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
	}
	if s.route, err = lookUp(target); err != nil {
		return nil, err
	}
	s.makeArena()
	if c.Mode == Link {
		return s, s.awaitNextHop()
	}
	return s, nil
}

// Refresh looks the route up again, as it should be now and then: the MTU, the
// source and, in mode Link, the next hop with its link-layer address may have
// changed. What could not be found out remains as it was. It does not wait.
//
// While the target's address is this host's own, every packet is refused: it
// would arrive at whatever listens here.
func (s *Sender) Refresh() error {
	r, err := lookUp(s.target)
	if local := errors.Is(err, ErrLocal); local || err == nil {
		s.local = local
	}
	if s.local {
		s.stats.refused += uint64(s.n)
		s.n = 0 // what waits would still go
	}
	if err == nil {
		s.route = r
		if s.part < r.mtu {
			s.makeArena()
		}
		if s.mode == Link {
			err = s.findNextHop()
		}
	}
	if err != nil {
		return fmt.Errorf("send to %s: %w", s.target, err)
	}
	return nil
}

// makeArena makes room for packets of the MTU. Pending ones stay where they are.
func (s *Sender) makeArena() {
	const cacheLine = 64
	s.part = (s.route.mtu + cacheLine - 1) &^ (cacheLine - 1)
	s.arena = make([]byte, s.part*len(s.msgs))
}

// socket opens a socket that receives nothing.
//
// It is not one of the runtime's network poller (as those of mdlayher/packet
// are): that would be woken whenever the kernel is done with a packet.
func socket(domain, typ, proto int) (fd int, err error) {
	fd, err = unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if errors.Is(err, unix.EPERM) {
		return -1, fmt.Errorf("open a raw socket: %w (it takes root, or the capability CAP_NET_RAW)", err)
	}
	if err != nil {
		return -1, fmt.Errorf("open a raw socket: %w", err)
	}
	none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none})
	if err != nil {
		return -1, errors.Join(fmt.Errorf("attach the filter: %w", err), unix.Close(fd))
	}
	return fd, nil
}
