package replay

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// An inbox hands a shard what other goroutines have for it, which is seldom. It is
// the one place with a lock, and its descriptor wakes the shard's poll.
type inbox struct {
	fd int // eventfd

	mu   sync.Mutex
	news []any // *linkUp, *observer.Look, *snapshot, stopNow
}

func newInbox() (inbox, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return inbox{}, fmt.Errorf("make an eventfd: %w", err)
	}
	return inbox{fd: fd}, nil
}

// put adds one piece of news and wakes the shard.
func (b *inbox) put(n any) {
	b.mu.Lock()
	b.news = append(b.news, n)
	first := len(b.news) == 1
	b.mu.Unlock()
	if first {
		one := [8]byte{1}
		// It fails only when the counter is full, and then the shard wakes anyway.
		_, _ = unix.Write(b.fd, one[:])
	}
}

// get moves all news to the caller's slice, when poll found the descriptor readable.
func (b *inbox) get(to []any) []any {
	var n [8]byte
	_, _ = unix.Read(b.fd, n[:]) // EAGAIN: nothing new
	b.mu.Lock()
	to = append(to, b.news...)
	clear(b.news)
	b.news = b.news[:0]
	b.mu.Unlock()
	return to
}

func (b *inbox) close() { _ = unix.Close(b.fd) }
