package intercept

import "time"

// A Summary is the account of a run, as --summary writes it.
type Summary struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`

	Sessions struct {
		Registered uint64 `json:"registered"` // registrations accepted, those after a reconnection included
		Rejected   uint64 `json:"rejected"`   // another mrtecopy has the 4-tuple, or there are too many
		Lost       uint64 `json:"lost"`       // given up: the responses could not be told apart any more
		Open       int    `json:"open"`
	} `json:"sessions"`
	Capture struct {
		Frames      uint64 `json:"frames"`
		KernelDrops uint64 `json:"kernel_drops"` // the ring was full; the target sends it again
		Cut         uint64 `json:"cut"`          // captured in part
	} `json:"capture"`
	Segments struct {
		Received  uint64 `json:"received"`
		Repeated  uint64 `json:"repeated"`  // of Received: the same over another interface
		Strangers uint64 `json:"strangers"` // of connections nobody has registered
		Refused   uint64 `json:"refused"`   // not held for want of room; the target sends it again
	} `json:"segments"`
	Responses struct {
		Ended       uint64 `json:"ended"`
		Errors      uint64 `json:"errors"`      // of Ended: in an ERR
		Unsolicited uint64 `json:"unsolicited"` // ERR packets the server sent on its own
	} `json:"responses"`
	Control struct {
		Connections uint64 `json:"connections"` // since the start
		Open        int    `json:"open"`
		Reports     uint64 `json:"reports"`
		Heads       uint64 `json:"heads"`
	} `json:"control"`
	Held struct {
		Bytes int `json:"bytes"` // of responses not framed yet
	} `json:"held"`
	Resets struct {
		Sent   uint64 `json:"sent"`   // sessions reset on the target because their mrtecopy stayed away
		Failed uint64 `json:"failed"` // the kernel did not send them
	} `json:"resets"`
}

// summary returns the counters as they are now.
func (e *engine) summary(now time.Time) Summary {
	s := e.stats
	s.Version, s.Started, s.Ended = e.config.Version, e.start, now
	s.Sessions.Open = len(e.sessions)
	for i := range e.taps {
		c := e.taps[i].stats()
		s.Capture.Frames += c.Received
		s.Capture.KernelDrops += c.Dropped
		s.Capture.Cut += c.Cut
	}
	s.Segments.Refused = e.work.refused
	s.Control.Open = len(e.conns)
	s.Held.Bytes = e.work.pool.InUse()
	return s
}
