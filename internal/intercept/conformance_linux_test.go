package intercept

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/wire"
)

// A kernel is a socket of the kernel, whose packets pass through a tun device.
type kernel struct {
	t   *testing.T
	ns  *netnstest.Namespace
	tun int
	fd  int
	buf [1 << 16]byte
}

func newKernel(t *testing.T, ns *netnstest.Namespace) *kernel {
	k := &kernel{t: t, ns: ns}
	tun := ns.Tun("t0", "10.9.0.1/24")
	k.tun = int(tun.Fd())
	// The test may be slow: what is to be repeated waits a second, not the 200 ms
	// of TCP_RTO_MIN.
	ns.IP("route", "replace", "10.9.0.0/24", "dev", "t0", "rto_min", "1s")
	// Without what we do not do: timestamps, and the tail loss probe of RFC 8985.
	ns.Do(func() {
		for name, value := range map[string]string{"tcp_timestamps": "0", "tcp_early_retrans": "0"} {
			if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if k.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() {
		if k.fd >= 0 {
			unix.Close(k.fd)
		}
	})
	k.set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return k
}

func (k *kernel) set(level, option, value int) {
	k.must(unix.SetsockoptInt(k.fd, level, option, value))
}

func (k *kernel) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func sockaddr(e wire.Endpoint) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(e.Port), Addr: [4]byte(e.Addr[12:])}
}

func (k *kernel) connect(f wire.Flow) {
	k.must(unix.Bind(k.fd, sockaddr(f.Src)))
	if err := unix.Connect(k.fd, sockaddr(f.Dst)); !errors.Is(err, unix.EINPROGRESS) {
		k.t.Fatalf("connect: %v", err)
	}
}

func (k *kernel) write(n int) {
	if m, err := unix.Write(k.fd, make([]byte, n)); m != n {
		k.t.Fatalf("write of %d: %d, %v", n, m, err)
	}
}

func (k *kernel) close() { k.must(unix.Shutdown(k.fd, unix.SHUT_WR)) }

func (k *kernel) abort() {
	k.must(unix.SetsockoptLinger(k.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	k.must(unix.Close(k.fd))
	k.fd = -1
}

// keepAlive waits a second, the least there is, for the kernel to send one. It
// would go on, so it is given a long interval.
func (k *kernel) keepAlive() {
	k.set(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 60)
	k.set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1)
	k.set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}

func (k *kernel) receive(g *wire.Segment) {
	if _, err := unix.Write(k.tun, g.Append(nil)); err != nil {
		k.t.Fatalf("write to the tun device: %v", err)
	}
}

func (k *kernel) next(within time.Duration) *wire.Segment {
	k.drain()
	for end := time.Now().Add(within); ; {
		fds := []unix.PollFd{{Fd: int32(k.tun), Events: unix.POLLIN}}
		left := max(0, time.Until(end))
		switch n, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond)); {
		case err != nil && !errors.Is(err, unix.EINTR):
			k.t.Fatal(err)
		case n == 0 && left == 0:
			return nil
		case n <= 0:
			continue
		}
		n, err := unix.Read(k.tun, k.buf[:])
		k.must(err)
		g := new(wire.Segment)
		if wire.Parse(k.buf[:n], n, g) && g.Flow == scriptFlow { // and not the kernel's multicast
			g.Payload = append([]byte(nil), g.Payload...)
			return g
		}
	}
}

// drain reads what came, so that the window stays open.
func (k *kernel) drain() {
	var b [1 << 16]byte
	for k.fd >= 0 {
		if n, err := unix.Read(k.fd, b[:]); n <= 0 || err != nil {
			return
		}
	}
}

// stateNames are the values of tcpi_state (include/net/tcp_states.h).
var stateNames = [...]string{"", "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT",
	"CLOSED", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING"}

func (k *kernel) is(state string, within time.Duration) error {
	var got string
	for end := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		info, err := unix.GetsockoptTCPInfo(k.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		k.must(err)
		got = stateNames[info.State]
		if got == "CLOSED" {
			soError, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_ERROR)
			k.must(err)
			switch {
			case unix.Errno(soError) == unix.ECONNRESET:
				got = "RESET"
			case unix.Errno(soError) == unix.ECONNREFUSED:
				got = "REFUSED"
			case soError != 0:
				got = unix.Errno(soError).Error()
			case state == "TIME-WAIT":
				got = state // the kernel keeps it in something smaller than a socket
			}
		}
		if got == state || time.Now().After(end) {
			break
		}
	}
	if got != state {
		return fmt.Errorf("it is in %v", got)
	}
	return nil
}
