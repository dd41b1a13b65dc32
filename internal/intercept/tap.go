package intercept

import (
	"errors"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/wire"
)

// maxFrames bounds the frames of one ring in one turn, so that messages and
// other rings have theirs.
const maxFrames = 4096

// A tap is an interface that is listened on.
type tap struct {
	name string
	ring *capture.Ring
	gone bool          // the interface was removed
	past capture.Stats // of the rings before this one
}

func openRing(name string, filter []bpf.RawInstruction) (*capture.Ring, error) {
	return capture.Open(capture.Config{Interface: name, Filter: filter, Immediate: true})
}

// openTaps opens a ring on each interface.
func (e *engine) openTaps(interfaces []string) error {
	filter, err := capture.ReplyFilter(e.config.Target, e.config.Port)
	if err != nil {
		return err
	}
	for _, name := range interfaces {
		ring, err := openRing(name, filter)
		if err != nil {
			return err
		}
		e.taps = append(e.taps, tap{name: name, ring: ring})
	}
	e.pollTaps()
	return nil
}

// pollTaps sets what is polled: the inbox, then each tap.
func (e *engine) pollTaps() {
	e.polled = append(e.polled[:0], unix.PollFd{Fd: int32(e.inbox.fd), Events: unix.POLLIN})
	for i := range e.taps {
		fd := int32(e.taps[i].ring.FD())
		if e.taps[i].gone {
			fd = -1 // poll passes it over
		}
		e.polled = append(e.polled, unix.PollFd{Fd: fd, Events: unix.POLLIN})
	}
}

// takeFrames looks at what the rings hold and returns how many frames that were.
func (e *engine) takeFrames(now time.Duration) (n int) {
	for i := range e.taps {
		p := &e.polled[1+i]
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
			f := &e.frames[k]
			if wire.Parse(f.IP, f.Size, &e.segment) && e.segment.Src == e.target {
				e.deliver(now, &e.segment, uint8(i))
			}
		}
		ring.Release()
		if len(e.frames) == 0 {
			break
		}
		n += len(e.frames)
	}
	return n
}

// tapFailed says what is wrong with an interface.
func (e *engine) tapFailed(i int) {
	t := &e.taps[i]
	err := t.ring.Err()
	if err == nil {
		return
	}
	e.warn("tap "+t.name, "capture disturbed", "err", err)
	if errors.Is(err, capture.ErrGone) {
		t.gone = true
		e.pollTaps()
	}
}

// reopenTaps tries the interfaces again that were removed.
func (e *engine) reopenTaps() {
	for i := range e.taps {
		t := &e.taps[i]
		if !t.gone {
			continue
		}
		filter, err := capture.ReplyFilter(e.config.Target, e.config.Port)
		if err != nil {
			continue
		}
		ring, err := openRing(t.name, filter)
		if err != nil {
			continue // it is not back yet
		}
		t.past = t.stats()
		_ = t.ring.Close()
		t.ring, t.gone = ring, false
		e.config.Log.Info("capture goes on", "interface", t.name)
		e.pollTaps()
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
