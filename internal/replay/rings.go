package replay

import (
	"errors"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/ledger"
)

// maxBlocks is how many blocks of a ring are read in a turn at the most.
const maxBlocks = 256

// A tap is one interface a shard captures on. Its ring is nil while the
// interface does not exist.
type tap struct {
	config capture.Config
	ring   *capture.Ring
	past   capture.Stats // of rings that were closed
	down   bool          // the interface was taken down: it may be removed next
}

// open opens the tap's ring.
func (t *tap) open() (err error) {
	t.ring, err = capture.Open(t.config)
	t.down = false
	return err
}

// close closes the ring, whose account stays.
func (t *tap) close() {
	if t.ring == nil {
		return
	}
	if st, err := t.ring.Stats(); err == nil {
		t.past.Dropped += st.Dropped
		t.past.Cut += st.Cut
		t.past.Foreign += st.Foreign
	}
	_ = t.ring.Close() // nothing was written to it
	t.ring = nil
}

// addStats adds what the tap counted.
func (t *tap) addStats(c *ledger.Capture) {
	st := t.past
	if t.ring != nil {
		if now, err := t.ring.Stats(); err == nil {
			st.Dropped += now.Dropped
			st.Cut += now.Cut
			st.Foreign += now.Foreign
		}
	}
	c.KernelDrops += st.Dropped
	c.Cut += st.Cut
	c.Foreign += st.Foreign
}

// readRings takes every frame that is ready. revents are poll's findings, one
// for each tap that has a ring.
func (s *shard) readRings() {
	at := ringPolls
	for _, t := range s.taps {
		if t.ring == nil {
			continue
		}
		if s.polls[at].Revents&unix.POLLERR != 0 {
			s.ringFailed(t)
		}
		at++
		// What is in the ring goes first: a burst fills it faster than we send. But
		// one that fills as fast as it is read must not starve the rest.
		for range maxBlocks {
			if t.ring == nil {
				break
			}
			s.frames = t.ring.Frames(s.frames[:0])
			if len(s.frames) == 0 {
				break
			}
			for i := range s.frames {
				s.frame(&s.frames[i])
			}
			clear(s.frames)
			t.ring.Release()
		}
	}
}

// ringFailed handles an interface that went down, or away. One that is down
// resumes by itself.
func (s *shard) ringFailed(t *tap) {
	err := t.ring.Err()
	switch {
	case err == nil:
	case errors.Is(err, capture.ErrGone):
		s.ringGone(t)
	default:
		t.down = t.down || errors.Is(err, capture.ErrDown)
		s.log.Warn("capture", "error", err)
	}
}

func (s *shard) ringGone(t *tap) {
	s.log.Warn("an interface is gone; capturing goes on when it is back", "interface", t.config.Interface)
	t.close()
}

// mendTaps opens the rings of interfaces that are back.
func (s *shard) mendTaps() {
	if s.stage != running {
		return
	}
	for _, t := range s.taps {
		if t.ring != nil && t.down && t.ring.Gone() {
			s.ringGone(t)
		}
		if t.ring == nil && t.open() == nil {
			s.log.Info("an interface is back", "interface", t.config.Interface)
		}
	}
}
