package intercept

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/control"
)

// An inbox is where the control connections' goroutines leave what the engine
// is to take: it wakes the engine from its poll.
type inbox struct {
	fd int // an eventfd, readable while there is something

	mu     sync.Mutex
	events []event
	spare  []event
}

// An event is a batch of messages, or the beginning or end of a connection.
type event struct {
	conn   *control.Conn
	batch  []byte // nil: it began or ended
	opened bool
}

func (b *inbox) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open an eventfd: %w", err)
	}
	b.fd = fd
	return nil
}

func (b *inbox) close() error { return unix.Close(b.fd) }

// put leaves e for the engine.
func (b *inbox) put(e event) {
	b.mu.Lock()
	b.events = append(b.events, e)
	first := len(b.events) == 1
	b.mu.Unlock()
	if first {
		b.wake()
	}
}

// wake ends the engine's poll, or the next one. It cannot fail but for a full
// counter, which wakes as well.
func (b *inbox) wake() { _, _ = unix.Write(b.fd, []byte{7: 1}) } // 1, or 2^56: either will do

// take returns what was left since the last call; it is valid until the next.
func (b *inbox) take() []event {
	var buf [8]byte
	_, _ = unix.Read(b.fd, buf[:]) // nothing to read is no error here
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.spare)
	b.events, b.spare = b.spare[:0], b.events
	return b.spare
}
