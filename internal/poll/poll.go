//go:build linux

// Package poll waits for file descriptors, for loops that are woken hundreds of
// times a second.
//
// To wait costs such a loop more than what it waits for, and half of that is the
// runtime's: a thread that blocks gives up its processor, another thread looks for
// it in vain, and both are woken and put to sleep each time. So a brief wait is not
// told to the scheduler; a long one is.
package poll

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// brief is how long a wait may take of which the scheduler does not know. Within
// that time it interrupts one where it needs to, as for a garbage collection.
const brief = 10 * time.Millisecond

// A Poller waits for one goroutine. Its zero value is ready.
type Poller struct {
	// Crowded says that there are more loops than processors: then one that keeps
	// its processor while it waits keeps the others from theirs.
	Crowded bool

	busy bool // the last wait was brief
}

// Wait returns when one of the fds has one of its events, whose Revents it sets,
// or after d at the latest; sooner too if it likes.
func (p *Poller) Wait(fds []unix.PollFd, d time.Duration) error {
	for i := range fds {
		fds[i].Revents = 0
	}
	if p.busy || d == 0 {
		n, errno := ppoll(fds, min(d, brief))
		if errno == 0 && n == 0 && d > brief {
			p.busy = false
		}
		return failed(errno)
	}
	began := time.Now()
	ts := unix.NsecToTimespec(int64(d))
	n, err := unix.Ppoll(fds, &ts, nil)
	p.busy = n > 0 && time.Since(began) < brief && !p.Crowded
	errno, _ := err.(unix.Errno)
	return failed(errno)
}

// Pause waits for d, which is brief, or until one of the fds has one of its events.
func Pause(fds []unix.PollFd, d time.Duration) {
	_, _ = ppoll(fds, min(d, brief))
}

func failed(errno unix.Errno) error {
	if errno == 0 || errno == unix.EINTR {
		return nil
	}
	return fmt.Errorf("poll: %w", errno)
}

// ppoll is ppoll(2), without the scheduler's knowledge.
func ppoll(fds []unix.PollFd, d time.Duration) (n int, errno unix.Errno) {
	ts := unix.NsecToTimespec(int64(d))
	r, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}
