//go:build linux

package rawsend

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // octets sent
}

// When the socket's send buffer or the interface's queue is full, a flush waits
// up to this often, this long each time, and then gives up on what is left.
const (
	maxWaits = 4
	waitTime = 250_000 // nanoseconds
)

// Flush sends what is pending. The scheduler is not told of the system call, as it
// does not block.
func (s *Sender) Flush() {
	waits := 0
	for first := 0; first < s.n; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.msgs[first])), uintptr(s.n-first), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			for i := range int(n) {
				s.stats.bytes += uint64(s.msgs[first+i].n)
			}
			s.stats.packets += uint64(n)
			first += int(n)
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			if waits < maxWaits {
				waits++
				s.wait(errno)
				continue
			}
			s.stats.fail(errno, s.n-first)
			first = s.n
		default: // of the first packet
			s.stats.fail(errno, 1)
			first++
		}
	}
	s.n = 0
}

// wait waits until there may be room again: in the socket's send buffer (EAGAIN),
// or in the interface's queue, which poll(2) knows nothing of.
func (s *Sender) wait(errno unix.Errno) {
	fds := [1]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	if errno == unix.ENOBUFS {
		fds[0].Fd = -1
	}
	_, _ = unix.Ppoll(fds[:], &unix.Timespec{Nsec: waitTime}, nil)
}
