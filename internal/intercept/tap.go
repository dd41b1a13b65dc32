package intercept

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/wire"
)

// maxFrames bounds the frames of one ring in one turn, so that messages and
// other rings have theirs.
const maxFrames = 4096

// ringMiB is the memory of the rings. There are slots for some 250 replies in
// one MiB; what finds none the target sends again, but late.
const ringMiB = 64

// A tap is an interface that is listened on.
type tap struct {
	name  string
	index int // of the interface
	ring  *capture.Ring
	down  bool          // the interface was taken down, or removed
	past  capture.Stats // of the rings before this one
}

// open opens the ring, with its share of the memory.
func (t *tap) open(filter []bpf.RawInstruction, taps int) error {
	// The index first: when the name passes to another interface meanwhile, the
	// ring is taken for one of an interface that was removed, and opened again.
	ifi, err := net.InterfaceByName(t.name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", t.name, err)
	}
	ring, err := capture.Open(capture.Config{Interface: t.name, Filter: filter, Immediate: true, BlockSize: 1 << 20, Blocks: max(ringMiB/taps, 4)})
	if err != nil {
		return err
	}
	t.index, t.ring = ifi.Index, ring
	return nil
}

// openTaps opens a ring on each interface.
func (e *engine) openTaps(interfaces []string) error {
	filter, err := capture.ReplyFilter(e.config.Target, e.config.Port)
	if err != nil {
		return err
	}
	for _, name := range interfaces {
		t := tap{name: name}
		if err := t.open(filter, len(interfaces)); err != nil {
			return err
		}
		e.taps = append(e.taps, t)
	}
	return nil
}

// takeFrames looks at what the rings hold and returns how many frames that were.
func (e *engine) takeFrames(now time.Duration) (n int) {
	for i := range e.taps {
		p := &e.polled[1+len(e.heard)+i]
		if p.Revents&unix.POLLIN != 0 {
			n += e.drain(now, i)
		}
		if p.Revents&unix.POLLERR != 0 {
			e.tapFailed(i)
		}
	}
	return n
}

// drain takes the frames of one ring.
func (e *engine) drain(now time.Duration, i int) (n int) {
	ring := e.taps[i].ring
	for n < maxFrames {
		e.frames = ring.Frames(e.frames[:0])
		for k := range e.frames {
			e.frame(now, &e.frames[k], uint8(i))
		}
		ring.Release()
		if len(e.frames) == 0 {
			break
		}
		n += len(e.frames)
	}
	return n
}

// frame takes a frame that came over the given path.
func (e *engine) frame(now time.Duration, f *capture.Frame, path uint8) {
	if wire.Parse(f.IP, f.Size, &e.segment) && e.segment.Src == e.target {
		e.deliver(now, &e.segment, path)
	}
}

// tapFailed says what is wrong with an interface. Its ring stays: what it holds
// is to be read, and it goes on by itself when the interface is up again.
func (e *engine) tapFailed(i int) {
	t := &e.taps[i]
	if err := t.ring.Err(); err != nil {
		t.down = true
		e.warn("tap "+t.name, "capture disturbed", "err", err)
	}
}

// mendTaps looks after the interfaces that were down: one that was removed and
// made again needs a new ring.
func (e *engine) mendTaps() {
	for i := range e.taps {
		t := &e.taps[i]
		if !t.down {
			continue
		}
		ifi, err := net.InterfaceByName(t.name)
		if err != nil || ifi.Flags&net.FlagUp == 0 {
			continue
		}
		if ifi.Index != t.index {
			filter, err := capture.ReplyFilter(e.config.Target, e.config.Port)
			if err != nil {
				continue
			}
			old := *t
			if err := t.open(filter, len(e.taps)); err != nil {
				e.warn("tap "+t.name, "capture disturbed", "err", err)
				continue
			}
			t.past = old.stats()
			_ = old.ring.Close()
		}
		t.down = false
		e.config.Log.Info("capture goes on", "interface", t.name)
	}
}

// stats counts since the start.
func (t *tap) stats() capture.Stats {
	s, _ := t.ring.Stats() // on an error what it has counted so far
	s.Received += t.past.Received
	s.Dropped += t.past.Dropped
	s.Cut += t.past.Cut
	s.Foreign += t.past.Foreign
	return s
}
