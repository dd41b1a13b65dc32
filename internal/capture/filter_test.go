//go:build linux

package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mrtecopy/internal/netnstest"
)

// A sample is a packet to be shown to a filter. Its zero fields are a plain TCP
// packet without payload.
type sample struct {
	src, dst   string // ADDR:PORT
	protocol   uint8  // 0: TCP
	fragment   uint16 // IPv4: flags and offset; IPv6: not 0 puts a fragment header
	ipOptions  int    // octets
	extension  uint8  // IPv6: an extension header of that number
	tcpOptions int    // octets
	flags      uint8
	payload    string
	id         uint16 // IPv4's identification, or in IPv6's flow label
}

func (s sample) bytes() []byte {
	src, dst := netip.MustParseAddrPort(s.src), netip.MustParseAddrPort(s.dst)
	tcp := make([]byte, 20+s.tcpOptions)
	binary.BigEndian.PutUint16(tcp, src.Port())
	binary.BigEndian.PutUint16(tcp[2:], dst.Port())
	tcp[12], tcp[13] = byte(len(tcp)/4)<<4, s.flags
	tcp = append(tcp, s.payload...)

	protocol := s.protocol
	if protocol == 0 {
		protocol = unix.IPPROTO_TCP
	}
	var b []byte
	if dst.Addr().Is4() {
		b = make([]byte, 20+s.ipOptions)
		b[0] = 0x40 | byte(len(b)/4)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(tcp)))
		binary.BigEndian.PutUint16(b[4:], s.id)
		binary.BigEndian.PutUint16(b[6:], s.fragment)
		b[8], b[9] = 64, protocol
		copy(b[12:], src.Addr().AsSlice())
		copy(b[16:], dst.Addr().AsSlice())
		return append(b, tcp...)
	}
	if s.fragment != 0 {
		s.extension = unix.IPPROTO_FRAGMENT
	}
	if s.extension != 0 || s.protocol == 0 && s.fragment != 0 {
		tcp = append([]byte{protocol, 0, 0, 0, 0, 0, 0, 0}, tcp...)
		protocol = s.extension
	}
	b = make([]byte, 40)
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[2:], s.id)
	binary.BigEndian.PutUint16(b[4:], uint16(len(tcp)))
	b[6], b[7] = protocol, 64
	copy(b[8:], src.Addr().AsSlice())
	copy(b[24:], dst.Addr().AsSlice())
	return append(b, tcp...)
}

const (
	client4, client6 = "10.9.9.9:40000", "[fd09::9]:40000"
	server4, server6 = "10.1.0.2:3306", "[fd01::2]:3306"
	prepareHead      = "\x0c\x00\x00\x01\x00\x01\x00\x00\x00"
	greetingHead     = "\x4b\x00\x00\x00\x0a9.7.4"
	zlibHead         = "\x76\x00\x00\x01\xdb\x00\x00\x78\x9c"
	zstdHead         = "\x79\x00\x00\x01\xdb\x00\x00\x28\xb5\x2f\xfd"
	plainHead        = "\x10\x00\x00\x01\x00\x00\x00\x0c\x00\x00\x01\x00\x01\x00\x00\x00"
)

var samples = []struct {
	name          string
	sample        sample
	server, reply bool // whether ServerFilter and ReplyFilter(server4 or server6) pass it
}{
	{"to the server", sample{src: client4, dst: server4}, true, false},
	{"to the server, payload", sample{src: client4, dst: server4, payload: "abc"}, true, false},
	{"to the server, IP options", sample{src: client4, dst: server4, ipOptions: 40}, true, false},
	{"to the server, TCP options", sample{src: client4, dst: server4, tcpOptions: 40}, true, false},
	{"to the server's other port", sample{src: client4, dst: "10.1.0.2:3307"}, false, false},
	{"to another server", sample{src: client4, dst: "10.1.0.3:3306"}, false, false},
	{"to the server, UDP", sample{src: client4, dst: server4, protocol: unix.IPPROTO_UDP}, false, false},
	{"to the server, first fragment", sample{src: client4, dst: server4, fragment: 0x2000}, false, false},
	{"to the server, last fragment", sample{src: client4, dst: server4, fragment: 100}, false, false},
	{"to the server, DF", sample{src: client4, dst: server4, fragment: 0x4000}, true, false},
	{"from the server", sample{src: server4, dst: client4}, false, true},
	{"from the server, any response", sample{src: server4, dst: client4, payload: "\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"}, false, true},
	{"from the server, prepare head", sample{src: server4, dst: client4, payload: prepareHead}, true, true},
	{"from the server, prepare head, options", sample{src: server4, dst: client4, payload: prepareHead, ipOptions: 8, tcpOptions: 12}, true, true},
	{"from the server, prepare head, error", sample{src: server4, dst: client4, payload: "\x0c\x00\x00\x01\xff"}, true, true},
	{"from the server, prepare head, late", sample{src: server4, dst: client4, payload: "\x0c\x00\x00\x02\x00"}, false, true},
	{"from the server, prepare head, 4 octets", sample{src: server4, dst: client4, payload: "\x0c\x00\x00\x01"}, false, true},
	{"from the server, prepare head, OPTIONAL_RESULTSET_METADATA", sample{src: server4, dst: client4, payload: "\x0d\x00\x00\x01\x00"}, true, true},
	{"from the server, prepare head, 14 octets", sample{src: server4, dst: client4, payload: "\x0e\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"}, false, true},
	{"from the server, greeting", sample{src: server4, dst: client4, payload: greetingHead, tcpOptions: 12}, true, true},
	{"from the server, greeting, 5 octets", sample{src: server4, dst: client4, payload: greetingHead[:5]}, true, true},
	{"from the server, greeting, 4 octets", sample{src: server4, dst: client4, payload: greetingHead[:4]}, false, true},
	{"from the server, greeting, too long", sample{src: server4, dst: client4, payload: "\x4b\x01\x00\x00\x0a9.7.4"}, false, true},
	{"from the server, greeting, protocol 9", sample{src: server4, dst: client4, payload: "\x4b\x00\x00\x00\x093.20"}, false, true},
	{"from the server, ERR for a greeting", sample{src: server4, dst: client4, payload: "\x45\x00\x00\x00\xff\x6a\x04Host"}, false, true},
	{"from the server, sequence id 1 for a greeting's", sample{src: server4, dst: client4, payload: "\x4b\x00\x00\x01\x0a9.7.4 is a value"}, false, true},
	{"from the server, zlib", sample{src: server4, dst: client4, payload: zlibHead, tcpOptions: 12}, true, true},
	{"from the server, zlib, cut", sample{src: server4, dst: client4, payload: zlibHead[:8]}, false, true},
	{"from the server, zlib of another level", sample{src: server4, dst: client4, payload: "\x76\x00\x00\x01\xdb\x00\x00\x78\xda"}, false, true},
	{"from the server, zlib, sequence id 15", sample{src: server4, dst: client4, payload: "\x76\x00\x00\x0f\xdb\x00\x00\x78\x9c"}, true, true},
	{"from the server, zlib, sequence id 16", sample{src: server4, dst: client4, payload: "\x76\x00\x00\x10\xdb\x00\x00\x78\x9c"}, false, true},
	{"from the server, zlib, sequence id 0", sample{src: server4, dst: client4, payload: "\x76\x00\x00\x00\xdb\x00\x00\x78\x9c"}, false, true},
	{"from the server, zstd", sample{src: server4, dst: client4, payload: zstdHead, ipOptions: 4}, true, true},
	{"from the server, zstd, cut", sample{src: server4, dst: client4, payload: zstdHead[:10]}, false, true},
	{"from the server, not quite zstd", sample{src: server4, dst: client4, payload: "\x79\x00\x00\x01\xdb\x00\x00\x28\xb5\x2f\xfe"}, false, true},
	{"from the server, compressed session, prepare head", sample{src: server4, dst: client4, payload: plainHead}, true, true},
	{"from the server, compressed session, late prepare head", sample{src: server4, dst: client4, payload: "\x10\x00\x00\x03\x00\x00\x00\x0d\x00\x00\x03\x00"}, true, true},
	{"from the server, compressed session, prepare head, cut", sample{src: server4, dst: client4, payload: plainHead[:11]}, false, true},
	{"from the server, compressed session, prepare head with a length", sample{src: server4, dst: client4, payload: "\x10\x00\x00\x01\x00\x01\x00\x0c\x00\x00\x01\x00"}, false, true},
	{"from the server, compressed session, prepare head, error", sample{src: server4, dst: client4, payload: "\x10\x00\x00\x01\x00\x00\x00\x0c\x00\x00\x01\xff"}, true, true},
	{"from the server, compressed session, longer packet", sample{src: server4, dst: client4, payload: "\x10\x00\x00\x01\x00\x00\x00\x0c\x01\x00\x01\x00"}, false, true},
	{"from the server, compressed session, OK", sample{src: server4, dst: client4, payload: "\x0b\x00\x00\x01\x00\x00\x00\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"}, false, true},
	{"from another server, greeting", sample{src: "10.1.0.3:3306", dst: client4, payload: greetingHead}, false, false},
	{"from the server's other port, zlib", sample{src: "10.1.0.2:3307", dst: client4, payload: zlibHead}, false, false},
	{"from the server, FIN", sample{src: server4, dst: client4, flags: 0x11}, true, true},
	{"from the server, RST", sample{src: server4, dst: client4, flags: 0x04, tcpOptions: 12}, true, true},
	{"from another server, FIN", sample{src: "10.1.0.3:3306", dst: client4, flags: 0x11}, false, false},
	{"IPv6, from the server, FIN", sample{src: server6, dst: client6, flags: 0x11}, true, true},
	{"from the server's other port", sample{src: "10.1.0.2:3307", dst: client4, payload: prepareHead}, false, false},
	{"from another server", sample{src: "10.1.0.3:3306", dst: client4, payload: prepareHead}, false, false},
	{"from server to server", sample{src: server4, dst: server4}, true, true},
	{"from the port to the port", sample{src: "10.9.9.9:3306", dst: server4}, true, false},
	{"from the server to the port", sample{src: server4, dst: "10.9.9.9:3306", payload: prepareHead}, true, true},

	{"IPv6, to the server", sample{src: client6, dst: server6}, true, false},
	{"IPv6, to the server, TCP options", sample{src: client6, dst: server6, tcpOptions: 40, payload: "abc"}, true, false},
	{"IPv6, to the server's other port", sample{src: client6, dst: "[fd01::2]:3307"}, false, false},
	{"IPv6, to another server", sample{src: client6, dst: "[fd01::3]:3306"}, false, false},
	{"IPv6, to the server, UDP", sample{src: client6, dst: server6, protocol: unix.IPPROTO_UDP}, false, false},
	{"IPv6, to the server, fragment", sample{src: client6, dst: server6, fragment: 1}, false, false},
	{"IPv6, to the server, extension", sample{src: client6, dst: server6, extension: unix.IPPROTO_DSTOPTS}, true, false},
	{"IPv6, to another server, extension", sample{src: client6, dst: "[fd01::3]:3306", extension: unix.IPPROTO_HOPOPTS}, false, false},
	{"IPv6, from the server, extension", sample{src: server6, dst: client6, extension: unix.IPPROTO_ROUTING, payload: prepareHead}, false, true},
	{"IPv6, from the server", sample{src: server6, dst: client6}, false, true},
	{"IPv6, from the server, prepare head", sample{src: server6, dst: client6, tcpOptions: 12, payload: prepareHead}, true, true},
	{"IPv6, from the server, greeting", sample{src: server6, dst: client6, tcpOptions: 12, payload: greetingHead}, true, true},
	{"IPv6, from the server, zlib", sample{src: server6, dst: client6, tcpOptions: 12, payload: zlibHead}, true, true},
	{"IPv6, from another server", sample{src: "[fd01::3]:3306", dst: client6, payload: prepareHead}, false, false},
}

// A link is how a sample is put on the wire.
type link struct {
	name     string
	outgoing bool // by the capturing host
	tags     []uint16
}

var links = []link{
	{"in", false, nil},
	{"in, tagged", false, []uint16{unix.ETH_P_8021Q}},
	{"in, two tags", false, []uint16{unix.ETH_P_8021AD, unix.ETH_P_8021Q}},
	{"in, two tags of a kind", false, []uint16{unix.ETH_P_8021Q, unix.ETH_P_8021Q}},
	{"out", true, nil},
	{"out, tagged", true, []uint16{unix.ETH_P_8021Q}},
}

// frame puts the Ethernet header before an IP packet.
func (l link) frame(ip []byte) []byte {
	b := append(make([]byte, 6), 2, 0, 0, 0, 0, 9) // to nobody here, so that no stack answers
	for _, tag := range l.tags {
		b = binary.BigEndian.AppendUint16(b, tag)
		b = append(b, 0x20, 0x05)
	}
	if ip[0]>>4 == 4 {
		b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	} else {
		b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IPV6)
	}
	return append(b, ip...)
}

// inject puts frames on v0, from one end of the cable.
func inject(t *testing.T, from *netnstest.Namespace, frames [][]byte) {
	t.Helper()
	from.Do(func() {
		ifi := must(net.InterfaceByName("v0"))
		fd := must(unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0))
		defer unix.Close(fd)
		for _, b := range frames {
			to := unix.SockaddrLinklayer{Ifindex: ifi.Index, Protocol: htons(binary.BigEndian.Uint16(b[12:]))}
			if err := unix.Sendto(fd, b, 0, &to); err != nil {
				t.Fatalf("inject %x: %v", b, err)
			}
		}
	})
}

// captured returns the packets a ring has, by their id.
func captured(t *testing.T, r *Ring) map[uint16]Frame {
	t.Helper()
	got := make(map[uint16]Frame)
	for n := 1; n > 0; {
		frames := r.Frames(nil)
		n = len(frames)
		for _, f := range frames {
			f.IP = slices.Clone(f.IP)
			switch f.IP[0] >> 4 {
			case 4:
				got[binary.BigEndian.Uint16(f.IP[4:])] = f
			case 6:
				got[binary.BigEndian.Uint16(f.IP[2:])] = f
			}
		}
		r.Release()
	}
	return got
}

// TestFilters shows every sample to the filters in the kernel, on every kind of
// link. The ring must also find the IP header.
func TestFilters(t *testing.T) {
	only := func(addr string) netip.Addr { return netip.MustParseAddrPort(addr).Addr() }
	many := func(n int) (addrs []netip.Addr) {
		for i := range n {
			addrs = append(addrs, netip.AddrFrom4([4]byte{10, 200, 0, byte(i)}), netip.AddrFrom16([16]byte{0xfd, 200, 15: byte(i)}))
		}
		return append(addrs, only(server4), only(server6))
	}
	filters := []struct {
		name   string
		filter []bpf.RawInstruction
		want   func(i int) bool
	}{
		{"two servers", must(ServerFilter(serverAddrs, 3306)), func(i int) bool { return samples[i].server }},
		{"64 servers", must(ServerFilter(many(31), 3306)), func(i int) bool { return samples[i].server }},
		{"reply, IPv4", must(ReplyFilter(only(server4), 3306)), func(i int) bool {
			return samples[i].reply && netip.MustParseAddrPort(samples[i].sample.src).Addr().Is4()
		}},
		{"reply, IPv6", must(ReplyFilter(only(server6), 3306)), func(i int) bool {
			return samples[i].reply && netip.MustParseAddrPort(samples[i].sample.src).Addr().Is6()
		}},
	}
	for _, f := range filters {
		t.Run(f.name, func(t *testing.T) {
			n := newTestNet(t)
			r := n.open(Config{Immediate: true, Filter: f.filter})
			for _, l := range links {
				var frames [][]byte
				for i, s := range samples {
					s.sample.id = uint16(i + 1)
					frames = append(frames, l.frame(s.sample.bytes()))
				}
				from := n.host
				if l.outgoing {
					from = n.server
				}
				inject(t, from, frames)
				got := captured(t, r)
				for i, s := range samples {
					g, passed := got[uint16(i+1)]
					if passed != f.want(i) {
						t.Errorf("%s, %s: passed %v", l.name, s.name, passed)
					}
					s.sample.id = uint16(i + 1)
					if want := s.sample.bytes(); passed && (string(g.IP) != string(want) || g.Size != len(want) || g.Outgoing != l.outgoing) {
						t.Errorf("%s, %s: captured\n%x, %d octets, outgoing %v, want\n%x", l.name, s.name, g.IP, g.Size, g.Outgoing, want)
					}
				}
			}
		})
	}
}

// TestFiltersWithoutLinkHeader shows the samples to a filter on a tun device.
func TestFiltersWithoutLinkHeader(t *testing.T) {
	ns := netnstest.New(t)
	tun := ns.Tun("t0")
	r := must(Open(Config{Interface: "t0", Immediate: true, Filter: must(ServerFilter(serverAddrs, 3306))}))
	defer r.Close()
	for i, s := range samples {
		s.sample.id = uint16(i + 1)
		must(tun.Write(s.sample.bytes()))
	}
	got := captured(t, r)
	for i, s := range samples {
		s.sample.id = uint16(i + 1)
		g, passed := got[uint16(i+1)]
		if passed != s.server || passed && string(g.IP) != string(s.sample.bytes()) {
			t.Errorf("%s: passed %v: %x", s.name, passed, g.IP)
		}
	}
}

// TestFilterByPortAlone: with too many addresses for a filter, or none given, the
// port decides.
func TestFilterByPortAlone(t *testing.T) {
	tooMany := make([]netip.Addr, maxFilterAddrs+1)
	for i := range tooMany {
		tooMany[i] = netip.AddrFrom4([4]byte{10, 200, 0, byte(i)})
	}
	for _, servers := range [][]netip.Addr{nil, tooMany} {
		t.Run(fmt.Sprint(len(servers)), func(t *testing.T) {
			n := newTestNet(t)
			r := n.open(Config{Immediate: true, Filter: must(ServerFilter(servers, 3306))})
			inject(t, n.host, [][]byte{
				links[0].frame(sample{src: client4, dst: "10.1.0.3:3306", id: 1}.bytes()),
				links[0].frame(sample{src: client4, dst: "10.1.0.2:3307", id: 2}.bytes()),
				links[0].frame(sample{src: "[fd01::3]:3306", dst: client6, payload: prepareHead, id: 3}.bytes()),
				links[0].frame(sample{src: "[fd01::3]:3306", dst: client6, id: 4}.bytes()),
			})
			got := captured(t, r)
			for id, want := range map[uint16]bool{1: true, 2: false, 3: true, 4: false} {
				if _, passed := got[id]; passed != want {
					t.Errorf("packet %d: passed %v", id, passed)
				}
			}
		})
	}
}

// TestFilterAgreesWithAModel shows random variations of the samples to the filter
// in the kernel and to the same rules written in Go.
func TestFilterAgreesWithAModel(t *testing.T) {
	n := newTestNet(t)
	r := n.open(Config{Immediate: true, Filter: must(ServerFilter(serverAddrs, 3306))})
	rnd := rand.New(rand.NewPCG(1, 2))
	passed := 0
	for range 20 {
		var frames, packets [][]byte
		for id := range 1000 {
			s := samples[rnd.IntN(len(samples))].sample
			s.id = uint16(id + 1)
			b := s.bytes()
			for range rnd.IntN(3) {
				at := 6 + rnd.IntN(len(b)-6)
				b[at] = []byte{0, 1, 2, 6, 0x0a, 0x0c, 0x0d, 0x50, 0x78, 0xff, byte(rnd.Int())}[rnd.IntN(11)]
			}
			if rnd.IntN(4) == 0 {
				b = b[:6+rnd.IntN(len(b)-6)]
			}
			if rnd.IntN(8) == 0 {
				b[0] = b[0]&0xf0 | byte(rnd.IntN(16))
			}
			packets, frames = append(packets, b), append(frames, links[0].frame(b))
		}
		inject(t, n.host, frames)
		got := captured(t, r)
		for i, b := range packets {
			_, ok := got[uint16(i+1)]
			if want := model(b); ok != want {
				t.Errorf("passed %v, want %v: %x", ok, want, b)
			}
			if ok {
				passed++
			}
		}
	}
	if passed < 1000 {
		t.Errorf("only %d packets passed: the test proves less than it should", passed)
	}
}

// model is ServerFilter(serverAddrs, 3306).
func model(b []byte) bool {
	var src, dst, tcp []byte
	switch {
	case b[0]>>4 == 4 && len(b) >= 20 && b[9] == 6 && b[6]&0x3f == 0 && b[7] == 0:
		src, dst = b[12:16], b[16:20]
		tcp = b[min(int(b[0]&0xf)*4, len(b)):]
	case b[0]>>4 == 6 && len(b) >= 40 && (b[6] == 0 || b[6] == 43 || b[6] == 60):
		return string(b[24:40]) == string(serverAddrs[1].AsSlice())
	case b[0]>>4 == 6 && len(b) >= 40 && b[6] == 6:
		src, dst = b[8:24], b[24:40]
		tcp = b[40:]
	default:
		return false
	}
	isServer := func(addr []byte) bool {
		a, _ := netip.AddrFromSlice(addr)
		return slices.Contains(serverAddrs, a)
	}
	if len(tcp) >= 4 && binary.BigEndian.Uint16(tcp[2:]) == 3306 && isServer(dst) {
		return true
	}
	if len(tcp) < 13 || binary.BigEndian.Uint16(tcp) != 3306 || !isServer(src) {
		return false
	}
	if len(tcp) >= 14 && tcp[13]&5 != 0 {
		return true
	}
	return modelHeads(tcp[min(int(tcp[12]>>4)*4, len(tcp)):])
}

// modelHeads is heads, for a payload.
func modelHeads(p []byte) bool {
	has := func(at int, octets string) bool { return len(p) >= at && bytes.HasPrefix(p[at:], []byte(octets)) }
	switch {
	case len(p) < 5 || p[3] > 15:
		return false
	case p[3] == 0:
		return p[1] == 0 && p[2] == 0 && p[4] == 10
	case p[4] == 0xff:
		return true
	case has(0, "\x0c\x00\x00\x01") || has(0, "\x0d\x00\x00\x01"):
		return p[4] == 0
	}
	return has(7, "\x78\x9c") || has(7, "\x28\xb5\x2f\xfd") ||
		len(p) >= 12 && has(4, "\x00\x00\x00") && (p[11] == 0xff || (p[7] == 12 || p[7] == 13) && has(8, "\x00\x00") && p[11] == 0)
}
