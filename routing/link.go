package routing

import (
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// inputInterface returns the interface under whose name routing sees the
// packets of the one called name: those of a port of a bridge, a bond or a
// team come in by the bridge. A VRF leaves them their name. "" stays "".
func inputInterface(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", name, err)
	}
	for range 8 { // a bond in a bridge makes two
		l, err := readLink(nic.Index)
		if err != nil {
			return "", fmt.Errorf("interface %s: %w", name, err)
		}
		if l.master == 0 {
			break
		}
		m, err := readLink(l.master)
		if err != nil {
			return "", fmt.Errorf("interface %s, which %s is part of: %w", name, nic.Name, err)
		}
		if m.kind == "vrf" {
			break
		}
		if nic, err = net.InterfaceByIndex(l.master); err != nil {
			return "", fmt.Errorf("interface %s: what it is part of: %w", name, err)
		}
	}
	return nic.Name, nil
}

// A link is what matters of an interface here.
type link struct {
	master int    // index of the interface that it is part of, or 0
	kind   string // such as bridge or vrf
}

func readLink(index int) (link, error) {
	m := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	bodies, err := request(unix.RTM_GETLINK, 0, m)
	if err != nil {
		return link{}, err
	}
	if err := errNoAnswer(bodies); err != nil {
		return link{}, err
	}
	return parseLink(bodies[0])
}

// parseLink reads the body of an RTM_NEWLINK message.
//
//	uint8 family | pad | uint16 type | int32 index | uint32 flags | uint32 change | attributes
func parseLink(b []byte) (l link, err error) {
	if len(b) < unix.SizeofIfInfomsg {
		return l, errTruncated
	}
	attrs, err := parseAttributes(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return l, err
	}
	for _, a := range attrs {
		switch a.kind {
		case unix.IFLA_MASTER:
			l.master = int(a.number())
		case unix.IFLA_LINKINFO:
			info, err := parseAttributes(a.value)
			if err != nil {
				return l, err
			}
			for _, i := range info {
				if i.kind == unix.IFLA_INFO_KIND {
					l.kind = i.text()
				}
			}
		}
	}
	return l, nil
}
