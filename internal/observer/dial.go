package observer

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// own are the observer's connections: they are captured like any client's.
type own struct {
	mu    sync.RWMutex
	ports map[uint16]netip.Addr // by local port; the zero Addr: not connected yet
}

// has reports whether e is the observer's end of one of its connections.
func (o *own) has(e wire.Endpoint) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	a, ok := o.ports[e.Port]
	return ok && (!a.IsValid() || wire.AddrFrom(a) == e.Addr)
}

func (o *own) set(port uint16, a netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ports == nil {
		o.ports = make(map[uint16]netip.Addr)
	}
	o.ports[port] = a
}

func (o *own) drop(port uint16) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.ports, port)
}

// late is how long after its end a connection's packets may still be read from a
// ring.
const late = 2 * time.Second

// dial connects to production. The port is known to be ours before the SYN leaves.
func (o *Observer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var ports []uint16 // one for each address tried
	var mu sync.Mutex
	d := net.Dialer{Control: func(network, _ string, c syscall.RawConn) (err error) {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		control := c.Control(func(fd uintptr) {
			var port uint16
			if port, err = bindAny(int(fd), strings.HasSuffix(network, "6")); err == nil {
				o.own.set(port, netip.Addr{})
				mu.Lock()
				ports = append(ports, port)
				mu.Unlock()
			}
		})
		if control != nil {
			return control
		}
		return err
	}}
	conn, err := d.DialContext(ctx, network, addr)
	var local netip.AddrPort
	if err == nil {
		if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			local = a.AddrPort()
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, p := range ports {
		if p == local.Port() {
			o.own.set(p, local.Addr().Unmap())
		} else {
			o.own.drop(p)
		}
	}
	if err != nil {
		return nil, err
	}
	return &listening{Conn: conn, o: o, port: local.Port()}, nil
}

// bindAny binds a socket to a port that the kernel chooses.
func bindAny(fd int, six bool) (port uint16, err error) {
	var any unix.Sockaddr = &unix.SockaddrInet4{}
	if six {
		any = &unix.SockaddrInet6{}
	}
	if err := unix.Bind(fd, any); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(fd)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		port = uint16(a.Port)
	case *unix.SockaddrInet6:
		port = uint16(a.Port)
	}
	return port, err
}

// listening is a connection whose greeting is read along: the driver does not
// show it.
type listening struct {
	net.Conn
	o     *Observer
	port  uint16 // 0: no TCP
	heard []byte
	done  bool
	once  sync.Once
}

// maxGreeting is more than any greeting has.
const maxGreeting = 1 << 10

func (l *listening) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if !l.done {
		l.heard = append(l.heard, b[:n]...)
		h, ok := mysql.ParseHeader(l.heard)
		if l.done = len(l.heard) > maxGreeting || ok && len(l.heard) >= mysql.HeaderSize+h.Length; l.done {
			l.o.greeted(l.heard)
			l.heard = nil
		}
	}
	return n, err
}

// Close also gives the port back, once nothing of the connection can be captured
// any more.
func (l *listening) Close() error {
	l.once.Do(func() {
		if l.port != 0 {
			time.AfterFunc(late, func() { l.o.own.drop(l.port) })
		}
	})
	return l.Conn.Close()
}

// SyscallConn lets the driver look whether the connection lives.
func (l *listening) SyscallConn() (syscall.RawConn, error) {
	if c, ok := l.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, syscall.EINVAL
}

// greeted takes the packet that production greeted us with.
func (o *Observer) greeted(packet []byte) {
	h, ok := mysql.ParseHeader(packet)
	if !ok || h.Sequence != 0 || len(packet) < mysql.HeaderSize+h.Length {
		return
	}
	if g, err := mysql.ParseGreeting(packet[mysql.HeaderSize : mysql.HeaderSize+h.Length]); err == nil {
		d := session.DialectOf(&g)
		o.dialect.Store(&d)
	}
}
