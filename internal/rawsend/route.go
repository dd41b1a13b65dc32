//go:build linux

package rawsend

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A route is this host's way to the target.
type route struct {
	mtu    int
	source netip.Addr // this host's own
}

// ErrLocal means that the target's address is one of this host's. It may become
// so while a Sender lives, where addresses move between servers.
var ErrLocal = errors.New("this is an address of this host: the target must be another one")

// lookUp asks the kernel for the way to target, by a UDP socket that is connected
// to it and sends nothing.
func lookUp(target netip.Addr) (r route, err error) {
	var sa unix.Sockaddr
	var domain, level, option int
	if target.Is4() {
		sa = &unix.SockaddrInet4{Port: discard, Addr: target.As4()}
		domain, level, option = unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU
	} else {
		sa = &unix.SockaddrInet6{Port: discard, Addr: target.As16()}
		domain, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return r, fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sa); err != nil {
		return r, fmt.Errorf("no route: %w (see: ip route get %s)", err, target)
	}
	if r.mtu, err = unix.GetsockoptInt(fd, level, option); err != nil {
		return r, fmt.Errorf("ask for the MTU: %w", err)
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return r, fmt.Errorf("ask for the source address: %w", err)
	}
	switch sa := own.(type) {
	case *unix.SockaddrInet4:
		r.source = netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		r.source = netip.AddrFrom16(sa.Addr)
	}
	if r.source == target {
		return r, ErrLocal
	}
	return r, nil
}

// discard is RFC 863's port. Any would do.
const discard = 9
