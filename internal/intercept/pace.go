package intercept

import (
	"time"

	"golang.org/x/sys/unix"
)

// A pace keeps the engine from waking for each frame when there are many: to
// wake costs far more than to look at a frame. A single reply is passed on at
// once; from busyFrames on the engine rests a little after each turn, so that
// the next one finds several.
type pace struct {
	spacing time.Duration // between the beginnings of two turns, while busy
	since   time.Duration // when the count began
	frames  int
	busy    bool
	last    time.Duration // when the last turn began
}

const (
	paceWindow = 20 * time.Millisecond
	busyFrames = 100 // in a window: 5,000 a second
)

// rest follows a turn with n frames.
func (p *pace) rest(n int, clock func() time.Duration) {
	now := clock()
	p.frames += n
	if now-p.since >= paceWindow {
		p.busy = p.frames >= busyFrames
		p.since, p.frames = now, 0
	}
	if d := p.last + p.spacing - now; p.busy && n > 0 && d > 0 {
		// Not time.Sleep, for which the runtime wakes another thread.
		ts := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&ts, nil)
		now = clock()
	}
	p.last = now
}
