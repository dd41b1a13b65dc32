//go:build linux

package rawsend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"mrtecopy/internal/netnstest"
)

// A testNet is this host, a router and the target behind it, and a neighbour: the
// router's other address.
type testNet struct {
	t              *testing.T
	host           *netnstest.Namespace
	router, target *netnstest.Namespace
}

var (
	neighbour4, neighbour6 = netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("fd01::2")
	target4, target6       = netip.MustParseAddr("10.2.0.2"), netip.MustParseAddr("fd02::2")
	forged4, forged6       = netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
)

func newTestNet(t *testing.T) *testNet {
	host := netnstest.New(t)
	n := &testNet{t, host, host.Another(), host.Another()}
	host.Veth(n.router, "v0", []string{"10.1.0.1/24", "fd01::1/64"}, []string{"10.1.0.2/24", "fd01::2/64"})
	n.router.Veth(n.target, "v1", []string{"10.2.0.1/24", "fd02::1/64"}, []string{"10.2.0.2/24", "fd02::2/64"})
	host.IP("route", "add", "default", "via", "10.1.0.2")
	host.IP("route", "add", "default", "via", "fd01::2")
	n.router.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
		"net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.v0.rp_filter=0")
	return n
}

func (n *testNet) open(c Config) *Sender {
	n.t.Helper()
	s, err := Open(c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { s.Close() })
	return s
}

// A tap reads what arrives at an interface, IP header first.
type tap struct {
	t  *testing.T
	fd int
}

func openTap(t *testing.T, ns *netnstest.Namespace, name string) *tap {
	t.Helper()
	p := &tap{t: t}
	ns.Do(func() {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			t.Fatal(err)
		}
		p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(p.fd) })
		if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifi.Index}); err != nil {
			t.Fatal(err)
		}
	})
	return p
}

// read returns the TCP packets with a forged source that arrived, and waits until
// there were want.
func (p *tap) read(want int) (packets [][]byte) {
	p.t.Helper()
	b := make([]byte, 64<<10)
	for deadline := time.Now().Add(10 * time.Second); ; {
		n, from, err := unix.Recvfrom(p.fd, b, 0)
		if err == unix.EAGAIN && len(packets) >= want {
			return packets
		}
		if err == unix.EAGAIN && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			p.t.Fatalf("after %d packets of %d: %v", len(packets), want, err)
		}
		ll := from.(*unix.SockaddrLinklayer)
		if ll.Pkttype == unix.PACKET_OUTGOING || ll.Protocol != htons(unix.ETH_P_IP) && ll.Protocol != htons(unix.ETH_P_IPV6) {
			continue
		}
		if src, _ := netip.AddrFromSlice(b[12:16]); b[0]>>4 == 4 && src != forged4 {
			continue
		}
		if src, _ := netip.AddrFromSlice(b[8:24]); b[0]>>4 == 6 && src != forged6 {
			continue
		}
		packets = append(packets, bytes.Clone(b[:n]))
	}
}

// forge returns a TCP packet of size octets to target.
func forge(t *testing.T, target netip.Addr, seq uint32, size int) []byte {
	t.Helper()
	tcp := &layers.TCP{SrcPort: 40000, DstPort: 3306, Seq: seq, Ack: 1, ACK: true, Window: 100}
	var ip gopacket.SerializableLayer
	header := 0
	if target.Is4() {
		l := &layers.IPv4{Version: 4, TTL: 64, Id: 1, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolTCP,
			SrcIP: forged4.AsSlice(), DstIP: target.AsSlice()}
		ip, header = l, 40
		tcp.SetNetworkLayerForChecksum(l)
	} else {
		l := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP,
			SrcIP: forged6.AsSlice(), DstIP: target.AsSlice()}
		ip, header = l, 60
		tcp.SetNetworkLayerForChecksum(l)
	}
	b := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, opts, ip, tcp, gopacket.Payload(make([]byte, size-header))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decrementHops makes of a packet what a router makes of it.
func decrementHops(b []byte) []byte {
	b = bytes.Clone(b)
	if b[0]>>4 == 6 {
		b[7]--
		return b
	}
	b[8]--
	binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(b[10:])+0x100) // RFC 1141
	return b
}

func modes(f func(mode Mode, target netip.Addr)) {
	for _, mode := range []Mode{IP, Link} {
		for _, target := range []netip.Addr{neighbour4, neighbour6, target4, target6} {
			f(mode, target)
		}
	}
}

// TestPacketsArrive sends forged packets to a neighbour and to a target behind a
// router, and holds what arrives against what was sent.
func TestPacketsArrive(t *testing.T) {
	modes(func(mode Mode, target netip.Addr) {
		t.Run(fmt.Sprintf("%v %v", mode, target), func(t *testing.T) {
			n := newTestNet(t)
			routed := target == target4 || target == target6
			at := openTap(t, n.router, "v0")
			if routed {
				at = openTap(t, n.target, "v1")
			}
			s := n.open(Config{Target: target, Mode: mode})
			if s.MTU() != 1500 {
				t.Errorf("MTU %d", s.MTU())
			}
			if want := map[bool]string{true: "10.1.0.1", false: "fd01::1"}[target.Is4()]; s.Source().String() != want {
				t.Errorf("source %v, want %s", s.Source(), want)
			}
			// While the kernel asks for a neighbour's address it keeps few packets.
			s.Commit(append(s.Next(), forge(t, target, 0, 100)...))
			s.Flush()
			at.read(1)
			before := s.Stats()

			const packets = 150 // two full batches and a rest
			var sent [][]byte
			size := 0
			for i := range packets {
				b := forge(t, target, uint32(i), 100+i*9)
				sent, size = append(sent, b), size+len(b)
				s.Commit(append(s.Next(), b...))
			}
			s.Flush()
			got := at.read(packets)
			for i := range got {
				want := sent[i]
				if routed {
					want = decrementHops(want)
				}
				if !bytes.Equal(got[i], want) {
					t.Fatalf("packet %d arrived as\n%x, sent was\n%x", i, got[i], want)
				}
			}
			st := s.Stats()
			if st.Packets-before.Packets != packets || st.Bytes-before.Bytes != uint64(size) || st.Refused != 0 || len(st.Errors) != 0 {
				t.Errorf("%+v", st)
			}
		})
	})
}

// TestADeviceWithoutNeighbours, here a tunnel, takes packets at either layer.
func TestADeviceWithoutNeighbours(t *testing.T) {
	for _, mode := range []Mode{IP, Link} {
		for _, target := range []netip.Addr{netip.MustParseAddr("10.3.0.2"), netip.MustParseAddr("fd03::2")} {
			t.Run(fmt.Sprintf("%v %v", mode, target), func(t *testing.T) {
				ns := netnstest.New(t)
				tun := ns.Tun("t0", "10.3.0.1/24", "fd03::1/64")
				s, err := Open(Config{Target: target, Mode: mode})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				want := forge(t, target, 1, 100)
				s.Commit(append(s.Next(), want...))
				s.Flush()
				b := make([]byte, 2000)
				for { // router solicitations come first
					n, err := tun.Read(b)
					if err != nil {
						t.Fatal(err)
					}
					if bytes.Equal(b[:n], want) {
						return
					}
				}
			})
		}
	}
}

// TestWhatCannotBeSentIsCounted, and what comes after it in the batch is sent.
func TestWhatCannotBeSentIsCounted(t *testing.T) {
	modes(func(mode Mode, target netip.Addr) {
		t.Run(fmt.Sprintf("%v %v", mode, target), func(t *testing.T) {
			n := newTestNet(t)
			at := openTap(t, n.router, "v0")
			s := n.open(Config{Target: target, Mode: mode})
			commit := func(b []byte) { s.Commit(append(s.Next(), b...)) }
			commit(forge(t, target, 1, 100))
			commit(forge(t, target, 2, 1600)) // larger than the MTU, and than Next's capacity
			commit(forge(t, target, 3, 100))
			commit(forge(t, target, 4, 1600))
			for _, other := range []string{"10.1.0.3", "fd01::3"} {
				commit(forge(t, netip.MustParseAddr(other), 5, 100))
			}
			commit([]byte{0x45})
			commit(nil)
			commit(forge(t, target, 6, 100))
			s.Flush()
			at.read(3)
			st := s.Stats()
			want := []ErrorCount{{unix.EMSGSIZE, 2}}
			if st.Packets != 3 || st.Bytes != 300 || st.Refused != 4 || fmt.Sprint(st.Errors) != fmt.Sprint(want) {
				t.Errorf("%+v", st)
			}
			if name := st.Errors[0].Name(); name != "EMSGSIZE" {
				t.Errorf("the error is called %q", name)
			}
		})
	})
}

// TestAFirewallIsCounted: at the IP layer the host's own rules apply.
func TestAFirewallIsCounted(t *testing.T) {
	n := newTestNet(t)
	s := n.open(Config{Target: target4})
	n.host.Run("nft", "add table inet t; add chain inet t out { type filter hook output priority 0; }; add rule inet t out ip daddr 10.2.0.2 drop")
	for i := range 70 {
		s.Commit(append(s.Next(), forge(t, target4, uint32(i), 100)...))
	}
	s.Flush()
	if st := s.Stats(); st.Packets != 0 || fmt.Sprint(st.Errors) != fmt.Sprint([]ErrorCount{{unix.EPERM, 70}}) {
		t.Errorf("%+v", st)
	}
}

// TestAFullQueueDoesNotBlock sends far more than the network takes.
func TestAFullQueueDoesNotBlock(t *testing.T) {
	for _, mode := range []Mode{IP, Link} {
		t.Run(mode.String(), func(t *testing.T) {
			n := newTestNet(t)
			s := n.open(Config{Target: target4, Mode: mode})
			n.host.Run("tc", "qdisc", "add", "dev", "v0", "root", "tbf", "rate", "8kbit", "burst", "2000", "limit", "1000000")
			b := forge(t, target4, 1, 1500)
			const packets = 1000
			for range packets {
				s.Commit(append(s.Next(), b...))
			}
			s.Flush()
			st := s.Stats()
			if len(st.Errors) == 0 || st.Packets == 0 {
				t.Fatalf("%+v", st)
			}
			total := st.Packets
			for _, e := range st.Errors {
				if e.Errno != unix.EAGAIN && e.Errno != unix.ENOBUFS {
					t.Errorf("%d packets: %v", e.Packets, e.Errno)
				}
				total += e.Packets
			}
			if total != packets {
				t.Errorf("%d packets were counted of %d: %+v", total, packets, st)
			}
		})
	}
}

// TestRefreshFollowsTheRoute: its MTU, and the next hop's link-layer address.
func TestRefreshFollowsTheRoute(t *testing.T) {
	for _, target := range []netip.Addr{target4, target6} {
		t.Run(target.String(), func(t *testing.T) {
			n := newTestNet(t)
			s := n.open(Config{Target: target, Mode: Link})
			via := map[bool]string{true: "10.1.0.2", false: "fd01::2"}[target.Is4()]
			n.host.IP("route", "add", target.String(), "via", via, "mtu", "1400")
			n.host.IP("link", "set", "v0", "mtu", "9000")
			refresh := func(mtu int) {
				t.Helper()
				if err := s.Refresh(); err != nil {
					t.Fatal(err)
				}
				if s.MTU() != mtu || cap(s.Next()) < mtu {
					t.Errorf("MTU %d, room for %d, want %d", s.MTU(), cap(s.Next()), mtu)
				}
			}
			refresh(1400)
			s.Commit(append(s.Next(), forge(t, target, 1, 100)...)) // pending meanwhile
			n.host.IP("route", "change", target.String(), "via", via, "mtu", "9000")
			refresh(9000)

			n.router.IP("link", "set", "v0", "down")
			n.router.IP("link", "set", "v0", "address", "02:00:00:00:00:77")
			n.router.IP("link", "set", "v0", "up")
			if target.Is6() { // is lost with the interface
				n.router.IP("addr", "replace", "fd01::2/64", "dev", "v0", "nodad")
			}
			at := openTap(t, n.router, "v0")
			n.host.IP("neigh", "flush", "dev", "v0")
			for deadline := time.Now().Add(10 * time.Second); s.Refresh() != nil; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal(s.Refresh())
				}
			}
			if mac := net.HardwareAddr(s.link.Addr[:s.link.Halen]); mac.String() != "02:00:00:00:00:77" {
				t.Errorf("next hop at %v", mac)
			}
			s.Commit(append(s.Next(), forge(t, target, 2, 100)...))
			s.Flush()
			got := at.read(2)
			for i, b := range got {
				if !bytes.Equal(b, forge(t, target, uint32(i+1), 100)) {
					t.Errorf("packet %d arrived as %x", i+1, b)
				}
			}

			n.host.IP("link", "set", "v0", "down")
			if err := s.Refresh(); err == nil || s.MTU() != 9000 {
				t.Errorf("without a route: %v, MTU %d", err, s.MTU())
			}
			s.Commit(append(s.Next(), forge(t, target, 3, 100)...))
			s.Flush()
			if st := s.Stats(); fmt.Sprint(st.Errors) != fmt.Sprint([]ErrorCount{{unix.ENETDOWN, 1}}) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestItReceivesNothing, whatever comes back.
func TestItReceivesNothing(t *testing.T) {
	for _, mode := range []Mode{IP, Link} {
		for _, target := range []netip.Addr{neighbour4, neighbour6} {
			t.Run(fmt.Sprintf("%v %v", mode, target), func(t *testing.T) {
				n := newTestNet(t)
				s := n.open(Config{Target: target, Mode: mode})
				// The socket is of protocol 255.
				n.router.Do(func() {
					back := n.open(Config{Target: s.Source()})
					b := forge(t, s.Source(), 1, 100)
					b[map[bool]int{true: 9, false: 6}[s.Source().Is4()]] = 255
					back.Commit(append(back.Next(), b...))
					back.Flush()
					if st := back.Stats(); st.Packets != 1 {
						t.Fatalf("%+v", st)
					}
				})
				if _, err := net.Dial("tcp", netip.AddrPortFrom(target, 1).String()); !errors.Is(err, unix.ECONNREFUSED) {
					t.Fatal(err)
				}
				fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
				if _, err := unix.Poll(fds, 0); err != nil || fds[0].Revents != 0 {
					t.Errorf("poll: %v, %#x", err, fds[0].Revents)
				}
			})
		}
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	for _, mode := range []Mode{IP, Link} {
		t.Run(mode.String(), func(t *testing.T) {
			n := newTestNet(t)
			s := n.open(Config{Target: target4, Mode: mode})
			small, large := forge(t, target4, 1, 100), forge(t, target4, 1, 2000)
			var st Stats
			allocs := testing.AllocsPerRun(100, func() {
				for range 100 {
					s.Commit(append(s.Next(), small...))
				}
				s.Commit(large) // an error
				s.Flush()
				st = s.Stats()
			})
			if allocs != 0 || st.Packets < 10000 || st.Errors[0].Packets < 100 {
				t.Errorf("a batch allocates %v times, want 0; %+v", allocs, st)
			}
		})
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	n := newTestNet(t)
	check := func(target string, mode Mode, want string) {
		t.Helper()
		c := Config{Mode: mode}
		if target != "" {
			c.Target = netip.MustParseAddr(target)
		}
		s, err := Open(c)
		if err == nil {
			s.Close()
			t.Fatalf("opened %v", c)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say %q", target, err, want)
		}
	}
	for _, mode := range []Mode{IP, Link} {
		check("", mode, "not the address of a server")
		check("0.0.0.0", mode, "not the address of a server")
		check("ff02::1", mode, "not the address of a server")
		check("127.0.0.2", mode, "must be another host")
		check("10.1.0.1", mode, "an address of this host")
		check("fd01::1", mode, "an address of this host")
		check("10.1.0.255", mode, "no route: permission denied") // broadcast
		check("fe80::1", mode, "link-local")
	}
	check("10.1.0.9", Link, "send to 10.1.0.9: next hop 10.1.0.9 on v0: its link-layer address is not known")
	n.host.IP("route", "del", "default")
	check("10.2.0.2", IP, "send to 10.2.0.2: no route: network is unreachable (see: ip route get 10.2.0.2)")

	// Capabilities belong to the thread, and this one dies with the test.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
		t.Fatal(errno)
	}
	check("10.1.0.2", IP, "operation not permitted (it takes root, or the capability CAP_NET_RAW)")
}

func TestModeText(t *testing.T) {
	for _, m := range []Mode{IP, Link} {
		if got, err := ParseMode(m.String()); got != m || err != nil {
			t.Errorf("ParseMode(%q) = %v, %v", m, got, err)
		}
	}
	if _, err := ParseMode("tunnel"); err == nil {
		t.Error("ParseMode takes anything")
	}
}

func TestCountersWithManyReasons(t *testing.T) {
	var c counters
	for range 2 {
		for errno := range unix.Errno(20) {
			c.fail(errno+1, 1)
		}
	}
	total := uint64(0)
	for _, e := range c.errors[:c.reasons] {
		total += e.Packets
	}
	if total != 40 || c.reasons != len(c.errors) || c.errors[0] != (ErrorCount{1, 2}) {
		t.Errorf("%d: %+v", total, c.errors)
	}
}

// The target's address may move to this host while a sender lives. What would be
// sent then would reach a server here.
func TestTargetBecomesLocal(t *testing.T) {
	n := newTestNet(t)
	for _, mode := range []Mode{IP, Link} {
		for _, target := range []netip.Addr{target4, target6} {
			t.Run(fmt.Sprintf("%v/%v", mode, target), func(t *testing.T) {
				// Subtests are goroutines of their own, outside the namespace.
				n.host.Do(func() {
					s, err := Open(Config{Target: target, Mode: mode})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					commit := func() { s.Commit(append(s.Next(), forge(t, target, 1, 100)...)) }
					commit() // waits in the batch

					addr := netip.PrefixFrom(target, target.BitLen()).String()
					n.host.IP("addr", "add", addr, "dev", "v0")
					// An IPv6 address gets its route in the background.
					err = s.Refresh()
					for range 500 {
						if errors.Is(err, ErrLocal) {
							break
						}
						time.Sleep(10 * time.Millisecond)
						err = s.Refresh()
					}
					if !errors.Is(err, ErrLocal) {
						t.Errorf("Refresh: %v", err)
					}
					commit()
					s.Flush()
					if st := s.Stats(); st.Packets != 0 || st.Refused != 2 {
						t.Errorf("sent %d packets, refused %d", st.Packets, st.Refused)
					}
					n.host.IP("addr", "del", addr, "dev", "v0")
					if err := s.Refresh(); err != nil {
						t.Errorf("Refresh, once it has left: %v", err)
					}
					commit()
					s.Flush()
					if st := s.Stats(); st.Packets != 1 || st.Refused != 2 {
						t.Errorf("sent %d packets, refused %d", st.Packets, st.Refused)
					}
				})
			})
		}
	}
}
