package replay

import "time"

// A clock reads the time of the sessions: how long the program has run, by the
// monotonic clock, or a simulation's.
type clock struct {
	start time.Time
	wall  func() time.Time
}

func newClock() clock { return clock{time.Now().Add(-time.Second), time.Now} } // so that no reading is 0, which means "not set"

func (c clock) now() time.Duration { return c.wall().Sub(c.start) }

// stamp converts the kernel's time stamp of a frame, nanoseconds of Unix time.
// The two clocks may drift apart by a step of the wall clock: a stamp is never
// taken for the future, nor for more than a minute ago.
func (c clock) stamp(unix int64) time.Duration {
	now := c.wall()
	age := min(max(time.Duration(now.UnixNano()-unix), 0), time.Minute)
	return max(now.Sub(c.start)-age, 1)
}
