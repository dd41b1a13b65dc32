package intercept

import (
	"fmt"
	"time"
)

// headerEvery is how many rows come between two headers.
const headerEvery = 20

// A status is what the last status line was made of.
type status struct {
	rows int
	at   time.Duration
	last Summary
}

// writeStatus writes a row of the table an operator watches.
func (e *engine) writeStatus(now time.Duration) {
	t := &e.status
	wall := time.Now()
	s := e.summary(wall)
	if t.rows%headerEvery == 0 {
		fmt.Fprintf(e.config.Status, "%s %10s %11s %12s %8s %8s %10s %8s %8s\n", wall.Format(time.DateOnly),
			"sessions", "segments/s", "responses/s", "control", "held KiB", "strangers", "resets", "dropped")
	}
	t.rows++
	seconds := max(now-t.at, time.Millisecond).Seconds()
	if t.at == 0 {
		seconds = e.config.StatusEvery.Seconds()
	}
	rate := func(now, before uint64) float64 { return float64(now-before) / seconds }
	fmt.Fprintf(e.config.Status, "%-10s %10d %11.0f %12.0f %8d %8d %10d %8d %8d\n", wall.Format(time.TimeOnly),
		s.Sessions.Open,
		rate(s.Segments.Received, t.last.Segments.Received),
		rate(s.Responses.Ended, t.last.Responses.Ended),
		s.Control.Open, s.Held.Bytes>>10, s.Segments.Strangers, s.Resets.Sent, s.Capture.KernelDrops)
	if drops := s.Capture.KernelDrops; drops > t.last.Capture.KernelDrops {
		e.warn("drops", "the kernel dropped frames: the ring was full; the target sends them again", "frames", drops-t.last.Capture.KernelDrops)
	}
	t.at, t.last = now, s
}

// A limit keeps what a peer can cause from filling the log.
type limit struct {
	last   time.Duration
	untold int
}

const warnEvery = 5 * time.Second

// warn logs what happens to what, unless it did so a moment ago.
func (e *engine) warn(what, msg string, args ...any) {
	l := e.limited[what]
	now := e.now()
	if l == nil {
		l = new(limit)
		e.limited[what] = l
	} else if now-l.last < warnEvery {
		l.untold++
		return
	}
	e.config.Log.Warn(msg, append(args, "more", l.untold)...)
	l.last, l.untold = now, 0
}
