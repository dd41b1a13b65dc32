package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// A route is a default route of a port's table: via a gateway, or one that
// drops.
type route struct {
	six      bool
	via      netip.Addr // not valid in one that drops
	dev      string
	onlink   bool
	drop     bool
	metric   uint32 // 0: not given; the kernel makes it 1024 for IPv6
	table    uint32
	protocol uint8
}

// The metric of an IPv6 route that was added without one (IP6_RT_PRIO_USER).
const defaultMetric6 = 1024

func (r route) add() command {
	return append(command{"ip", family(r.six), "route", "replace"}, r.words()...)
}
func (r route) remove() command {
	return append(command{"ip", family(r.six), "route", "del"}, r.words()...)
}

func (r route) do() error      { return run(r.add()) }
func (r route) undo() error    { return run(r.remove()) }
func (r route) undone() string { return r.remove().String() }

func (r route) words() []string {
	var w []string
	if r.drop {
		w = append(w, "blackhole", "default")
	} else {
		w = append(w, "default", "via", r.via.WithZone("").String(), "dev", r.dev)
	}
	w = append(w, "table", strconv.Itoa(int(r.table)))
	if r.metric != 0 {
		w = append(w, "metric", strconv.Itoa(int(r.metric)))
	}
	w = append(w, "protocol", strconv.Itoa(int(r.protocol)))
	if r.onlink {
		w = append(w, "onlink")
	}
	return w
}

// present reports whether the host has r.
func (r route) present(h *host) bool {
	for _, o := range h.routes {
		if o == r {
			return true
		}
	}
	return false
}

// readRoutes returns the default routes of one table of ours.
func readRoutes(six bool, table uint32) ([]route, error) {
	request := make([]byte, unix.SizeofRtMsg)
	request[0] = addressFamily(six)
	request = appendAttribute(request, unix.RTA_TABLE, binary.NativeEndian.AppendUint32(nil, table))
	bodies, err := dump(unix.RTM_GETROUTE, request)
	if errors.Is(err, unix.ENOENT) { // no such table
		return nil, nil
	}
	var routes []route
	for _, b := range bodies {
		var e routeEntry
		if e, err = parseRoute(b); err != nil {
			break
		}
		if e.table != table || e.bits != 0 || e.protocol != protocol {
			continue
		}
		r := route{six: six, table: table, protocol: e.protocol, metric: e.metric, drop: e.kind == unix.RTN_BLACKHOLE}
		if !r.drop {
			r.via, r.onlink = e.gateway, e.flags&unix.RTNH_F_ONLINK != 0
			if nic, err := net.InterfaceByIndex(e.oif); err == nil {
				r.dev = nic.Name
			}
			if six && r.metric == defaultMetric6 {
				r.metric = 0
			}
		}
		routes = append(routes, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read the routes (ip %s route show table %d): %w", family(six), table, err)
	}
	return routes, nil
}

// A routeEntry is what the kernel tells of a route.
type routeEntry struct {
	kind     uint8 // unix.RTN_UNICAST and so on
	protocol uint8
	bits     uint8 // of the destination
	flags    uint32
	table    uint32
	gateway  netip.Addr
	oif      int
	metric   uint32
}

// parseRoute reads the body of an RTM_NEWROUTE message.
//
//	uint8 family | dst_len | src_len | tos | table | protocol | scope | type | uint32 flags | attributes
func parseRoute(b []byte) (e routeEntry, err error) {
	if len(b) < unix.SizeofRtMsg {
		return e, errTruncated
	}
	attrs, err := parseAttributes(b[unix.SizeofRtMsg:])
	if err != nil {
		return e, err
	}
	e.bits, e.table, e.protocol, e.kind = b[1], uint32(b[4]), b[5], b[7]
	e.flags = binary.NativeEndian.Uint32(b[8:])
	for _, a := range attrs {
		switch a.kind {
		case unix.RTA_TABLE:
			e.table = a.number()
		case unix.RTA_OIF:
			e.oif = int(a.number())
		case unix.RTA_PRIORITY:
			e.metric = a.number()
		case unix.RTA_GATEWAY:
			var ok bool
			if e.gateway, ok = netip.AddrFromSlice(a.value); !ok {
				return e, errTruncated
			}
		case unix.RTA_VIA: // an IPv4 route by an IPv6 gateway: uint16 family | address
			var ok bool
			if e.gateway, ok = netip.AddrFromSlice(a.value[min(2, len(a.value)):]); !ok {
				return e, errTruncated
			}
		}
	}
	return e, nil
}

// A hop is where the kernel would send a packet.
type hop struct {
	kind    uint8      // unix.RTN_UNICAST, RTN_LOCAL, …; 0: nowhere
	gateway netip.Addr // not valid: the destination is on the link
	dev     string
}

func (n hop) String() string {
	switch {
	case n.kind == unix.RTN_LOCAL:
		return "to this host itself"
	case n.kind == 0:
		return "nowhere"
	case n.gateway.IsValid():
		return fmt.Sprintf("via %v dev %s", n.gateway, n.dev)
	}
	return "directly to dev " + n.dev
}

// lookup asks the kernel which way a packet to dst goes. With a port it is a
// TCP segment from that port of src, one of this host's own addresses; without
// one src is not used.
func lookup(dst, src netip.Addr, port uint16) (hop, error) {
	m := make([]byte, unix.SizeofRtMsg)
	m[0] = addressFamily(dst.Is6())
	m[1] = uint8(dst.BitLen())
	m = appendAttribute(m, unix.RTA_DST, dst.AsSlice())
	if dst.Zone() != "" {
		if nic, err := net.InterfaceByName(dst.Zone()); err == nil {
			m = appendAttribute(m, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(nic.Index)))
		}
	}
	if port != 0 {
		m[2] = uint8(src.BitLen())
		m = appendAttribute(m, unix.RTA_SRC, src.AsSlice())
		m = appendAttribute(m, unix.RTA_IP_PROTO, []byte{unix.IPPROTO_TCP})
		m = appendAttribute(m, unix.RTA_SPORT, binary.BigEndian.AppendUint16(nil, port))
		m = appendAttribute(m, unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, 40000)) // any client's
	}
	bodies, err := request(unix.RTM_GETROUTE, 0, m)
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EACCES) {
		return hop{}, nil // no route, unreachable, blackhole, prohibit
	}
	if err != nil || len(bodies) == 0 {
		return hop{}, fmt.Errorf("ask for the route to %v: %w", dst, errors.Join(err, errNoAnswer(bodies)))
	}
	e, err := parseRoute(bodies[0])
	if err != nil {
		return hop{}, fmt.Errorf("ask for the route to %v: %w", dst, err)
	}
	switch e.kind {
	case unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_THROW:
		return hop{}, nil // IPv6 tells these as an answer
	}
	n := hop{kind: e.kind, gateway: e.gateway}
	if nic, err := net.InterfaceByIndex(e.oif); err == nil {
		n.dev = nic.Name
	}
	return n, nil
}

func errNoAnswer(bodies [][]byte) error {
	if len(bodies) == 0 {
		return errors.New("no answer")
	}
	return nil
}
