package routing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/netnstest"
)

// A space is a network namespace that stands for one host.
type space struct {
	*netnstest.Namespace
	tb    testing.TB
	name  string
	links int
}

// newSpaces makes one namespace for each name.
func newSpaces(tb testing.TB, names ...string) []*space {
	tb.Helper()
	first := netnstest.New(tb)
	var spaces []*space
	for i, n := range names {
		s := &space{Namespace: first, tb: tb, name: n}
		if i > 0 {
			s.Namespace = first.Another()
		}
		for _, of := range []string{"all", "default"} { // addresses count at once
			s.sysctl("net/ipv6/conf/"+of+"/accept_dad", "0")
		}
		tb.Cleanup(s.leavesNothing)
		spaces = append(spaces, s)
	}
	return spaces
}

// leavesNothing fails the test if saved values were not put back.
func (s *space) leavesNothing() {
	s.must(func() error {
		path, err := savedPath()
		if err != nil {
			return err
		}
		if err := os.Remove(path); err == nil && !s.tb.Failed() {
			return fmt.Errorf("%s was left behind", path)
		}
		return nil
	})
}

// do calls f in the namespace.
func (s *space) do(f func() error) (err error) {
	s.Do(func() { err = f() })
	return err
}

// must is do for what has to work.
func (s *space) must(f func() error) {
	s.tb.Helper()
	if err := s.do(f); err != nil {
		s.tb.Fatalf("%s: %v", s.name, err)
	}
}

// ip runs `ip ARGS` in the namespace.
func (s *space) ip(format string, args ...any) string {
	s.tb.Helper()
	return s.Run("ip", strings.Fields(fmt.Sprintf(format, args...))...)
}

func (s *space) sysctl(key, value string) {
	s.tb.Helper()
	s.must(func() error { return writeSysctl(key, value) })
}

// lan joins hosts on one link, each by a new interface called dev. Addresses
// follow in the order of the hosts, separated by commas where there are several.
func lan(bridge *space, dev string, hosts []*space, addrs ...string) {
	br := "br-" + dev
	bridge.ip("link add %s type bridge", br)
	bridge.ip("link set %s up", br)
	for i, h := range hosts {
		port := fmt.Sprintf("%s-%d", dev, i)
		// Not the index of the other end: that would come up a second later.
		bridge.ip("link add %s index %d type veth peer name %s netns %s", port, 100+bridge.links, dev, h.Path())
		bridge.links++
		bridge.ip("link set %s master %s up", port, br)
		for _, a := range strings.Split(addrs[i], ",") {
			h.ip("addr add %s dev %s", a, dev)
		}
		h.ip("link set %s up", dev)
	}
	for _, h := range hosts {
		h.must(func() error { return awaitCarrier(dev) })
	}
}

func awaitCarrier(dev string) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		i, err := net.InterfaceByName(dev)
		if err != nil || i.Flags&net.FlagRunning != 0 {
			return err
		}
	}
	return fmt.Errorf("%s has no carrier", dev)
}

// state is everything that applying and undoing may touch.
func (s *space) state() string {
	var b strings.Builder
	for _, family := range []string{"-4", "-6"} {
		b.WriteString(s.ip("%s rule", family))
		b.WriteString(s.ip("%s route show table all", family))
	}
	s.must(func() error {
		keys, err := filepath.Glob("/proc/sys/net/ipv[46]/conf/*/*")
		if err != nil || len(keys) == 0 {
			return fmt.Errorf("no sysctls: %v", err)
		}
		for _, k := range keys {
			k = strings.TrimPrefix(k, "/proc/sys/")
			fmt.Fprintf(&b, "%s=%s\n", k, readSysctl(k))
		}
		return nil
	})
	return b.String()
}

// same fails the test if the state has changed.
func (s *space) same(before, when string) {
	s.tb.Helper()
	after := s.state()
	if after == before {
		return
	}
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[line]--
	}
	for line := range strings.Lines(after) {
		count[line]++
	}
	for line, n := range count {
		if n != 0 {
			s.tb.Errorf("%s: %+d of: %s", when, n, line)
		}
	}
}

// serve accepts connections on a port and says hello to each.
func (s *space) serve(port uint16) {
	s.tb.Helper()
	s.must(func() error {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		s.tb.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					fmt.Fprintln(c, "hello")
					io.Copy(io.Discard, c)
					c.Close()
				}()
			}
		}()
		return nil
	})
}

// dial connects from the namespace and reads the greeting.
func (s *space) dial(addr string, port uint16) (net.Conn, error) {
	return s.dialFrom(0, addr, port, 400*time.Millisecond)
}

func (s *space) dialFrom(own int, addr string, port uint16, limit time.Duration) (c net.Conn, err error) {
	err = s.do(func() error {
		d := net.Dialer{Timeout: limit, LocalAddr: &net.TCPAddr{Port: own}}
		if c, err = d.Dial("tcp", net.JoinHostPort(addr, fmt.Sprint(port))); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadFull(c, make([]byte, len("hello\n"))); err != nil {
			return errors.Join(err, c.Close())
		}
		s.tb.Cleanup(func() { c.Close() })
		return nil
	})
	return c, err
}

// A tap sees every packet that comes into a namespace.
type tap struct {
	tb testing.TB
	fd int
}

func (s *space) tap() *tap {
	s.tb.Helper()
	t := &tap{s.tb, -1}
	s.must(func() (err error) {
		all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(all))
		return err
	})
	s.tb.Cleanup(func() { unix.Close(t.fd) })
	return t
}

// replies returns the destinations of the TCP packets from a port that have
// come in. It waits for the first up to a limit.
func (t *tap) replies(port uint16, limit time.Duration) []netip.AddrPort {
	t.tb.Helper()
	var to []netip.AddrPort
	b := make([]byte, 2048)
	for end := time.Now().Add(limit); ; {
		n, from, err := unix.Recvfrom(t.fd, b, 0)
		if err == unix.EAGAIN {
			if len(to) > 0 || time.Now().After(end) {
				return to
			}
			unix.Poll([]unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}, 10)
			continue
		}
		if err != nil {
			t.tb.Fatalf("tap: %v", err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if dst, src := parseReply(b[:n]); src == port {
			to = append(to, dst)
		}
	}
}

// parseReply returns the destination and the source port of a TCP packet.
func parseReply(b []byte) (dst netip.AddrPort, port uint16) {
	switch {
	case len(b) >= 40 && b[0] == 0x45 && b[9] == unix.IPPROTO_TCP:
		to := netip.AddrFrom4([4]byte(b[16:20]))
		return netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[22:])), binary.BigEndian.Uint16(b[20:])
	case len(b) >= 60 && b[0]>>4 == 6 && b[6] == unix.IPPROTO_TCP:
		to := netip.AddrFrom16([16]byte(b[24:40]))
		return netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[42:])), binary.BigEndian.Uint16(b[40:])
	}
	return netip.AddrPort{}, 0
}

// has reports whether one of the packets was for a.
func has(to []netip.AddrPort, a string) bool {
	return slices.ContainsFunc(to, func(p netip.AddrPort) bool { return p.Addr() == netip.MustParseAddr(a) })
}

// output calls f in the namespace and returns what it wrote.
func (s *space) output(f func(io.Writer) error) (string, error) {
	var b bytes.Buffer
	err := s.do(func() error { return f(&b) })
	return b.String(), err
}

// works calls f in the namespace, which has to return no error.
func (s *space) works(f func(io.Writer) error) string {
	s.tb.Helper()
	out, err := s.output(f)
	if err != nil {
		s.tb.Fatalf("%s: %v\n%s", s.name, err, out)
	}
	return out
}
