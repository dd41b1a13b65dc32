//go:build linux

package rawsend

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// resolveTimeout is as long as the kernel's own attempts at a neighbour: three,
// a second apart (arp(7), ucast_solicit and mcast_solicit).
const resolveTimeout = 3500 * time.Millisecond

// errUnresolved says that the next hop did not tell its link-layer address yet.
var errUnresolved = errors.New("its link-layer address is not known")

// awaitNextHop finds the next hop, and waits for it to answer.
func (s *Sender) awaitNextHop() error {
	for deadline := time.Now().Add(resolveTimeout); ; time.Sleep(20 * time.Millisecond) {
		err := s.findNextHop()
		if !errors.Is(err, errUnresolved) || time.Now().After(deadline) {
			return err
		}
	}
}

// findNextHop sets the link-layer address packets are sent to. Where the kernel
// does not know it, or not for sure, it is made to ask.
func (s *Sender) findNextHop() error {
	c, err := dialRTNetlink()
	if err != nil {
		return err
	}
	defer c.close()
	ifindex, hop, err := c.route(s.target)
	if err != nil {
		return fmt.Errorf("look up the route: %w", err)
	}
	ifi, err := c.link(ifindex)
	if err != nil {
		return fmt.Errorf("look up interface %d: %w", ifindex, err)
	}
	if len(ifi.addr) > len(s.link.Addr) {
		return fmt.Errorf("%s is no Ethernet: its packets cannot be sent at the link layer, only at the IP layer", ifi.name)
	}
	addr := ifi.addr
	if !ifi.noARP { // else a device without neighbours takes its own address, or none
		n, err := c.neighbour(ifindex, hop)
		if err != nil {
			return fmt.Errorf("look up neighbour %s on %s: %w", hop, ifi.name, err)
		}
		if n.state&(unix.NUD_REACHABLE|unix.NUD_PERMANENT|unix.NUD_NOARP) == 0 {
			if err := c.solicit(ifindex, hop); err != nil {
				return fmt.Errorf("ask neighbour %s on %s for its address: %w", hop, ifi.name, err)
			}
		}
		const usable = unix.NUD_REACHABLE | unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
		if n.state&usable == 0 || len(n.addr) == 0 {
			return fmt.Errorf("next hop %s on %s: %w (is it up, on this network?)", hop, ifi.name, errUnresolved)
		}
		addr = n.addr
	}
	protocol := uint16(unix.ETH_P_IP)
	if s.target.Is6() {
		protocol = unix.ETH_P_IPV6
	}
	s.link = unix.RawSockaddrLinklayer{
		Family:   unix.AF_PACKET,
		Protocol: htons(protocol),
		Ifindex:  int32(ifindex),
		Halen:    uint8(len(addr)),
	}
	copy(s.link.Addr[:], addr)
	return nil
}

// route returns the interface and the address of the next hop towards target.
func (c *rtnetlink) route(target netip.Addr) (ifindex int, hop netip.Addr, err error) {
	b := target.AsSlice()
	req := appendStruct(nil, unix.RtMsg{Family: family(target), Dst_len: uint8(8 * len(b))})
	req = appendAttr(req, unix.RTA_DST, b)
	hop = target
	err = c.call(unix.RTM_GETROUTE, 0, req, func(reply []byte) {
		for typ, b := range attrs(reply, unix.SizeofRtMsg) {
			switch typ {
			case unix.RTA_OIF:
				ifindex = int(nativeUint32(b))
			case unix.RTA_GATEWAY:
				hop, _ = netip.AddrFromSlice(b)
			case unix.RTA_VIA: // uint16 family | address: an IPv4 route by an IPv6 router (RFC 5549)
				if len(b) > 2 {
					hop, _ = netip.AddrFromSlice(b[2:])
				}
			}
		}
	})
	return ifindex, hop, err
}

type linkInfo struct {
	name  string
	addr  []byte
	noARP bool // it has no neighbours to be asked for addresses
}

func (c *rtnetlink) link(ifindex int) (l linkInfo, err error) {
	req := appendStruct(nil, unix.IfInfomsg{Index: int32(ifindex)})
	err = c.call(unix.RTM_GETLINK, 0, req, func(reply []byte) {
		if len(reply) >= unix.SizeofIfInfomsg {
			l.noARP = nativeUint32(reply[8:])&unix.IFF_NOARP != 0
		}
		for typ, b := range attrs(reply, unix.SizeofIfInfomsg) {
			switch typ {
			case unix.IFLA_IFNAME:
				l.name = unix.ByteSliceToString(b)
			case unix.IFLA_ADDRESS:
				l.addr = b
			}
		}
	})
	return l, err
}

type neighbour struct {
	addr  []byte
	state uint16 // NUD_…; 0: not in the kernel's table
}

func (c *rtnetlink) neighbour(ifindex int, hop netip.Addr) (found neighbour, err error) {
	// All of the interface's: older kernels cannot be asked for one.
	req := appendStruct(nil, unix.NdMsg{Family: family(hop)})
	req = appendAttr(req, unix.NDA_IFINDEX, nativeBytes(uint32(ifindex)))
	err = c.call(unix.RTM_GETNEIGH, unix.NLM_F_DUMP, req, func(reply []byte) {
		if len(reply) < unix.SizeofNdMsg || int(nativeUint32(reply[4:])) != ifindex {
			return
		}
		n := neighbour{state: nativeUint16(reply[8:])}
		match := false
		for typ, b := range attrs(reply, unix.SizeofNdMsg) {
			switch typ {
			case unix.NDA_DST:
				a, _ := netip.AddrFromSlice(b)
				match = a == hop
			case unix.NDA_LLADDR:
				n.addr = b
			}
		}
		if match {
			found = n
		}
	})
	return found, err
}

// solicit has the kernel ask the neighbour, as if it had something to send.
func (c *rtnetlink) solicit(ifindex int, hop netip.Addr) error {
	req := appendStruct(nil, unix.NdMsg{Family: family(hop), Ifindex: int32(ifindex), Flags: unix.NTF_USE})
	req = appendAttr(req, unix.NDA_DST, hop.AsSlice())
	err := c.call(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_ACK, req, nil)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w (it takes root, or the capability CAP_NET_ADMIN)", err)
	}
	return err
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
