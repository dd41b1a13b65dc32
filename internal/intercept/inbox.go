package intercept

import (
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// An inbox is where new control connections are left for the engine: it wakes the
// engine from its poll.
type inbox struct {
	mu    sync.Mutex
	fd    int // an eventfd, readable when there is something; -1: closed
	conns []conn
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

// put leaves c for the engine.
func (b *inbox) put(c conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns = append(b.conns, c)
	b.signal()
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

// take returns what was left since the last call.
func (b *inbox) take() []conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		var count [8]byte
		_, _ = unix.Read(b.fd, count[:]) // EAGAIN: nothing new
	}
	conns := b.conns
	b.conns = nil
	return conns
}
