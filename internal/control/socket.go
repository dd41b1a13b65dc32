package control

import (
	"io"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A stream is a TCP connection or TLS over one.
type stream interface {
	net.Conn
	CloseWrite() error
}

// A socket is the TCP connection at the bottom of a Conn. It blocks until the
// handshake is over. Then it is detached from the runtime's poller, and neither
// reading nor writing blocks: its descriptor is polled by the owner of the Conn,
// among those it waits for anyway, so that no other goroutine has to be woken for
// a message.
type socket struct {
	*net.TCPConn
	fd      int   // -1: not detached
	out     queue // written, and not taken by the kernel yet
	drained bool  // what had come was read
}

func newSocket(c *net.TCPConn) *socket { return &socket{TCPConn: c, fd: -1} }

// detach ends the blocking.
func (s *socket) detach() error {
	rc, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	var errDup error
	err = rc.Control(func(f uintptr) { fd, errDup = unix.FcntlInt(f, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = os.NewSyscallError("fcntl", errDup)
	}
	if err != nil {
		return err
	}
	s.fd = fd
	return s.TCPConn.Close() // the runtime's descriptor of two
}

// wouldBlock is what Read returns when nothing has come: an error that does not
// end TLS.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing has come" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// Read reads what has come, a wouldBlock if that is nothing.
//
// The call is one of which the scheduler is not told, as it does not block: to tell
// it costs more than to read.
func (s *socket) Read(b []byte) (int, error) {
	if s.fd < 0 {
		return s.TCPConn.Read(b)
	}
	if len(b) == 0 {
		return 0, nil
	}
	if s.drained { // crypto/tls asks until nothing is left
		return 0, wouldBlock{}
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, wouldBlock{}
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0:
			return 0, io.EOF
		default:
			s.drained = int(n) < len(b)
			return int(n), nil
		}
	}
}

// Write takes all of b; flush hands it to the kernel. Not only Send writes: TLS
// answers some records, and a peer may send such and read nothing.
func (s *socket) Write(b []byte) (int, error) {
	if s.fd < 0 {
		return s.TCPConn.Write(b)
	}
	if s.out.size()+len(b) > MaxPending {
		return 0, errPending
	}
	s.out.add(b)
	return len(b), nil
}

// flush writes as much as the kernel takes, and reports whether it took any.
func (s *socket) flush() (took bool, err error) {
	rest := s.out.octets()
	for len(rest) > 0 && err == nil {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(&rest[0])), uintptr(len(rest)))
		switch errno {
		case 0:
			rest = rest[n:]
			took = true
		case unix.EINTR:
		case unix.EAGAIN:
			s.out.take(s.out.size() - len(rest))
			return took, nil
		default:
			err = os.NewSyscallError("write", errno)
		}
	}
	s.out.take(s.out.size() - len(rest))
	return took, err
}

// CloseWrite says that nothing more comes. What was written must have been flushed.
func (s *socket) CloseWrite() error {
	if s.fd < 0 {
		return s.TCPConn.CloseWrite()
	}
	return os.NewSyscallError("shutdown", unix.Shutdown(s.fd, unix.SHUT_WR))
}

// Close closes a detached socket at once, and again is nothing.
func (s *socket) Close() error {
	if s.fd < 0 {
		return s.TCPConn.Close()
	}
	fd := s.fd
	s.fd, s.out = -1, queue{}
	return os.NewSyscallError("close", unix.Close(fd))
}

// A detached socket has no deadlines: crypto/tls sets some.

func (s *socket) SetDeadline(t time.Time) error {
	if s.fd < 0 {
		return s.TCPConn.SetDeadline(t)
	}
	return nil
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	if s.fd < 0 {
		return s.TCPConn.SetWriteDeadline(t)
	}
	return nil
}
