//go:build linux

package capture

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Errors of Ring.Err that a reader treats differently.
var (
	ErrDown = errors.New("interface is down")
	ErrGone = errors.New("interface was removed")
)

// A Ring is an AF_PACKET socket and the memory it shares with the kernel.
type Ring struct {
	name     string // of the interface
	fd       int    // -1: closed
	loopback bool
	mem      []byte
	layout   layout
	next     int // the block or slot that is filled next
	held     int // how many before it are leased
	stats    Stats
	overflow overflow // of a ring of slots
	pending  error    // an error of the socket that a read met, for Err
}

// A layout is how the kernel was asked to divide the ring's memory.
type layout struct {
	immediate bool
	blockSize int
	units     int // blocks, or slots
}

// FD returns the socket's file descriptor, for poll(2).
//
// POLLIN says that there is something Frames did not return yet, or that was
// not released yet: so release before polling. POLLERR says that Err has
// something to say, and is reported until it was asked.
func (r *Ring) FD() int { return r.fd }

// Frames appends the packets that are ready to dst: those of the next block, or
// of a number of slots. They are valid until Release. On a loopback interface
// outgoing frames are left out, since each comes again as an incoming one.
func (r *Ring) Frames(dst []Frame) []Frame {
	if r.fd < 0 {
		return dst
	}
	for had, leased := len(dst), r.held; ; {
		if r.layout.immediate {
			dst = r.readSlots(dst)
		} else {
			dst = r.readBlock(dst)
		}
		if len(dst) > had || r.held == leased || leased > 0 {
			return dst
		}
		r.Release() // nothing but frames that are left out
	}
}

// Release gives what Frames returned since the last Release back to the kernel.
func (r *Ring) Release() {
	first := r.next - r.held
	if first < 0 {
		first += r.layout.units
	}
	for ; r.held > 0; r.held-- {
		if r.layout.immediate {
			r.releaseSlot(first)
		} else {
			r.releaseBlock(first)
		}
		if first++; first == r.layout.units {
			first = 0
		}
	}
	r.overflow.used = 0
}

// Stats returns the counters.
func (r *Ring) Stats() (Stats, error) {
	if r.fd < 0 {
		return r.stats, nil
	}
	// Reading them sets the kernel's to zero. Its packets include its drops.
	s, err := unix.GetsockoptTpacketStats(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return r.stats, fmt.Errorf("capture %s: read the statistics: %w", r.name, err)
	}
	r.stats.Received += uint64(s.Packets - s.Drops)
	r.stats.Dropped += uint64(s.Drops)
	return r.stats, nil
}

// Err returns the socket's error and clears it; to be asked after POLLERR.
//
// ErrDown is the interface taken down: nothing comes until it is up again, then
// capture goes on by itself, and what the ring holds remains readable. ErrGone
// is final: only a ring opened anew can capture from an interface of that name.
func (r *Ring) Err() error {
	err := r.pending
	r.pending = nil
	if errno, e := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); e != nil {
		err = e
	} else if errno != 0 {
		err = unix.Errno(errno)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENETDOWN):
		if err = ErrDown; r.Gone() {
			err = ErrGone
		}
	}
	return fmt.Errorf("capture %s: %w", r.name, err)
}

// Gone reports whether the interface was removed. One that is removed is taken
// down before, so Err may have said ErrDown, and nothing more is heard of it.
func (r *Ring) Gone() bool {
	sa, err := unix.Getsockname(r.fd)
	if err != nil {
		return false
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	return ok && ll.Ifindex == -1 // to which its socket is bound then
}

// Close ends the capture. No Frame may be used any more.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	_, err := r.Stats() // the last counts
	if r.mem != nil {
		err = errors.Join(err, unix.Munmap(r.mem))
	}
	err = errors.Join(err, unix.Close(r.fd))
	r.fd, r.mem, r.held = -1, nil, 0
	r.overflow = overflow{}
	return err
}

// grow returns b with length n, its contents undefined.
func grow(b []byte, n int) []byte { return slices.Grow(b[:0], n)[:n] }
