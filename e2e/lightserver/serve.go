package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/mysql"
)

// A server is all connections, in one thread round one epoll.
type server struct {
	epoll, listener int
	conns           []*conn // by file descriptor
	counts          *counts
	in, out         []byte // of the connection whose turn it is
}

// A conn is one client's connection.
type conn struct {
	head      [mysql.HeaderSize + 2]byte // the packet's header, and of its payload as much as decides
	n         int                        // octets in head
	rest      int                        // of the packet, behind head
	goesOn    bool                       // the packet before was as long as a packet can be
	loggedIn  bool
	greeted   time.Time
	statement uint32 // the last one's id
	unsent    []byte // what the socket did not take; nothing is read as long as there is any
}

// serve returns when it cannot go on.
func serve(at netip.AddrPort, c *counts) error {
	runtime.LockOSThread()
	unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}) // best effort: a crowd needs root
	s := &server{counts: c, in: make([]byte, 256<<10), out: make([]byte, 0, 256<<10)}
	var err error
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if err := s.listen(at); err != nil {
		return fmt.Errorf("listen at %v: %w", at, err)
	}
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if fd := int(e.Fd); fd == s.listener {
				s.accept()
			} else {
				s.serve(fd, e.Events)
			}
		}
	}
}

func (s *server) listen(at netip.AddrPort) (err error) {
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(s.listener, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		return err
	}
	if err := unix.Listen(s.listener, 4096); err != nil {
		return err
	}
	return s.watch(unix.EPOLL_CTL_ADD, s.listener, unix.EPOLLIN)
}

func (s *server) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(s.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// accept greets everybody who waits.
func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		for len(s.conns) <= fd {
			s.conns = append(s.conns, nil)
		}
		s.conns[fd] = &conn{greeted: time.Now()}
		s.counts.open++
		if _, err := unix.Write(fd, greeting); err != nil || s.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil {
			s.close(fd)
		}
	}
}

func (s *server) close(fd int) {
	unix.Close(fd)
	s.conns[fd] = nil
	s.counts.open--
}

// serve does what a connection is ready for.
func (s *server) serve(fd int, ready uint32) {
	c := s.conns[fd]
	if c == nil {
		return // closed in this round
	}
	if len(c.unsent) > 0 {
		s.write(fd, c, c.unsent)
		return
	}
	n, err := unix.Read(fd, s.in)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if n <= 0 {
		s.close(fd)
		return
	}
	s.out = s.out[:0]
	quit := s.take(c, s.in[:n])
	if len(s.out) > 0 {
		s.write(fd, c, s.out)
	}
	if quit && s.conns[fd] == c {
		s.close(fd)
	}
}

// write writes b, and keeps what the socket does not take.
func (s *server) write(fd int, c *conn, b []byte) {
	n, err := unix.Write(fd, b)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		s.close(fd)
		return
	}
	waited := len(c.unsent) > 0
	c.unsent = append([]byte(nil), b[max(n, 0):]...)
	if waits := len(c.unsent) > 0; waits != waited {
		events := uint32(unix.EPOLLIN)
		if waits {
			events = unix.EPOLLOUT
		}
		s.watch(unix.EPOLL_CTL_MOD, fd, events)
	}
}

// take takes what a client sent, and puts the answers to what is complete into
// s.out. It reports whether the client takes leave.
func (s *server) take(c *conn, b []byte) (quit bool) {
	for len(b) > 0 || c.complete() {
		if c.complete() {
			if s.answer(c) {
				return true
			}
			continue
		}
		if c.wants() > 0 {
			n := copy(c.head[c.n:c.n+c.wants()], b)
			c.n += n
			b = b[n:]
			if c.wants() == 0 {
				c.rest = c.length() - (c.n - mysql.HeaderSize)
			}
			continue
		}
		n := min(c.rest, len(b))
		c.rest -= n
		b = b[n:]
	}
	return false
}

// wants is how many octets of the packet's beginning are missing.
func (c *conn) wants() int {
	if c.n < mysql.HeaderSize {
		return mysql.HeaderSize - c.n
	}
	return min(len(c.head), mysql.HeaderSize+c.length()) - c.n
}

func (c *conn) complete() bool { return c.n >= mysql.HeaderSize && c.wants() == 0 && c.rest == 0 }

// length is the payload's.
func (c *conn) length() int { return int(c.head[0]) | int(c.head[1])<<8 | int(c.head[2])<<16 }

// answer answers a packet that is complete, if it ends a command.
func (s *server) answer(c *conn) (quit bool) {
	head, begins, ends := c.head[mysql.HeaderSize:c.n], !c.goesOn, c.length() < mysql.MaxPayload
	c.n, c.goesOn = 0, !ends
	switch {
	case !c.loggedIn:
		c.loggedIn = true
		s.counts.login(time.Since(c.greeted))
		s.out = append(s.out, okLogin...)
	case begins && len(head) > 0 && mysql.Command(head[0]) == mysql.ComQuit:
		s.counts.commands++
		return true
	case !ends:
	case !begins: // of a command so long it is an INSERT's last packet
		s.counts.commands++
		s.out = append(s.out, okAny...)
	case len(head) > 0:
		s.counts.commands++
		if mysql.Command(head[0]) == mysql.ComStmtPrepare {
			c.statement++
		}
		s.out = appendAnswer(s.out, head, c.statement)
	}
	return false
}
