package intercept

import (
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/poll"
)

// A pace keeps the engine from waking for each frame: to wake costs far more than
// to look at a frame. While there is nothing that a command may wait for, it is
// calm, and rests after each turn. Else a reply is passed on at once, and only where
// there are many does the engine rest a little, so that the next turn finds several.
type pace struct {
	spacing  time.Duration // between the beginnings of two turns, while busy
	since    time.Duration // when the count began
	frames   int
	few      bool          // so many came that a rest pays
	busy     bool          // very many
	urgentAt time.Duration // when something was urgent last
	last     time.Duration // when the last turn began
}

const (
	paceWindow = 20 * time.Millisecond
	fewFrames  = 4   // in a window: 200 a second
	busyFrames = 100 // 5,000 a second
	// calmAfter is how long nothing was urgent: logins and PREPAREs come in bursts.
	calmAfter = 100 * time.Millisecond
	// calmRest is how long a reply waits at most while the engine is calm: less than
	// a delayed ACK may (RFC 9293, section 3.8.6.3), and as long as mrtecopy's own
	// ring keeps a command.
	calmRest = 5 * time.Millisecond
)

// urgent says that something could not wait.
func (p *pace) urgent(now time.Duration) { p.urgentAt = now }

// calm reports whether nothing was urgent for a while.
func (p *pace) calm(now time.Duration) bool { return p.few && now-p.urgentAt >= calmAfter }

// count counts a turn's frames, and returns how long to rest behind it.
func (p *pace) count(n int, now time.Duration) time.Duration {
	p.frames += n
	if now-p.since >= paceWindow {
		p.few, p.busy = p.frames >= fewFrames, p.frames >= busyFrames
		p.since, p.frames = now, 0
	}
	var d time.Duration
	switch {
	case n == 0:
	case p.calm(now):
		d = p.last + calmRest - now
	case p.busy:
		d = p.last + p.spacing - now
	}
	return max(d, 0)
}

// rest follows a turn with n frames. While the engine is calm, messages of mrtecopy
// end it, for which conns are polled: they are about to make it otherwise.
func (p *pace) rest(n int, clock func() time.Duration, conns []unix.PollFd) {
	now := clock()
	if d := p.count(n, now); d > 0 {
		if !p.calm(now) {
			conns = nil
		}
		poll.Pause(conns, d)
		now = clock()
	}
	p.last = now
}
