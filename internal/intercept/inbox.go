package intercept

import (
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// An inbox is where the control connections' goroutines leave what the engine
// is to take: it wakes the engine from its poll.
type inbox struct {
	mu     sync.Mutex
	fd     int // an eventfd, readable when there is something; -1: closed
	events []event
	spare  []event
}

// An event is a batch of messages, or the beginning or end of a connection.
type event struct {
	conn   conn
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

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		_ = unix.Close(b.fd)
		b.fd = -1
	}
}

// put leaves v for the engine.
func (b *inbox) put(v event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.events = append(b.events, v); len(b.events) == 1 {
		b.signal()
	}
}

// wake ends the engine's poll, or the next one.
func (b *inbox) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signal()
}

var one = binary.NativeEndian.AppendUint64(nil, 1)

func (b *inbox) signal() {
	if b.fd >= 0 {
		_, _ = unix.Write(b.fd, one) // fails only when the count is at its end: that wakes as well
	}
}

// take returns what was left since the last call; it is valid until the next.
// signalled says whether poll found the inbox readable.
func (b *inbox) take(signalled bool) []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if signalled {
		var count [8]byte
		_, _ = unix.Read(b.fd, count[:])
	}
	clear(b.spare)
	b.events, b.spare = b.spare[:0], b.events
	return b.spare
}
