// Package ledger keeps the account of a replay: every command captured ends in
// exactly one column, answered, skipped, lost or pending, and every session
// likewise.
//
// Each shard owns one [Counts] and writes plain fields of it; the engine asks
// the shards to Add theirs to a sum when a status line or the summary is due.
// Nothing in this package locks, and recording allocates nothing.
package ledger

import (
	"fmt"
	"maps"

	"mrtecopy/internal/policy"
)

// ByReason counts per reason. Index [None] stays zero.
type ByReason [NumReasons]uint64

// Total sums over the reasons.
func (b *ByReason) Total() (n uint64) {
	for _, v := range b {
		n += v
	}
	return n
}

// Map returns what is not zero under the names of the reasons. It is never nil.
func (b *ByReason) Map() map[string]uint64 {
	m := make(map[string]uint64)
	for r, n := range b {
		if n > 0 {
			m[Reason(r).String()] = n
		}
	}
	return m
}

// Commands counts client commands. The login is not one, COM_CHANGE_USER is.
type Commands struct {
	Captured uint64 // commands whose beginning was captured
	Answered uint64 // the end of the target's response was seen
	Skipped  ByReason
	Lost     ByReason
	Pending  uint64 // a gauge: set when a sum is made, not counted

	Errors  uint64 // of Answered: the answer was an ERR packet
	Waited  uint64 // waited for a response that the next bytes depend on
	Stalled uint64 // waited although pipelining is allowed: stays zero

	// Of Skipped[Policy]: by the class of the statement. What uses a statement
	// that was skipped has none.
	Classes [policy.NumClasses]uint64
}

// Sessions counts captured client connections.
type Sessions struct {
	Captured uint64 // connections seen
	Replayed uint64 // logged in on the target and ended in order
	Skipped  ByReason
	Lost     ByReason
	Open     uint64 // a gauge: set when a sum is made, not counted
	Knocking uint64 // a gauge, of Open: their SYN has waited for an answer for some seconds

	Mapped      uint64 // of Captured: replayed from another address than the client's
	PortChanged uint64 // of Captured: replayed from another port than the client's
	Delayed     uint64 // of Captured: waited for their turn to connect

	GreetingMissed   uint64 // of those that logged in on the target: production's greeting was not captured
	CollationChanged uint64 // of those: the target does not know the client's collation, and another was taken

	Adopted Adoption
}

// Capture counts what came from the rings.
type Capture struct {
	Frames      uint64 // frames read
	KernelDrops uint64 // frames the kernel dropped because the ring was full
	Bytes       uint64 // bytes of these frames from the IP header on, as on the wire
	Cut         uint64 // frames captured shorter than they were on the wire
	Foreign     uint64 // frames that were not IP
}

// Send counts what went to the target.
type Send struct {
	Segments    uint64 // TCP segments handed to the kernel
	Bytes       uint64 // bytes of these, from the IP header on
	Retransmits uint64 // of Segments: sent again
	HeldBack    uint64 // SYNs and RSTs that were too many at a time: dropped, or sent later
	// Errors counts what the kernel refused by the name of the error, such as
	// EPERM. The senders keep these; they are merged in when a sum is made.
	Errors map[string]uint64
}

// Links are gauges of the connections to the intercept, of which each shard has
// one.
type Links struct {
	Shards uint64
	Down   uint64 // of Shards: no intercept is connected
	Never  uint64 // of Down: none ever was
}

// Counts is the account of one shard, or the sum of several. One goroutine at a
// time owns it.
type Counts struct {
	Commands Commands
	Sessions Sessions
	Capture  Capture
	Send     Send
	Lag      Lag
	Links    Links
}

// Add adds all of o to c, which must be the caller's own, as must o.
func (c *Counts) Add(o *Counts) {
	c.Commands.add(&o.Commands)
	c.Sessions.add(&o.Sessions)

	c.Capture.Frames += o.Capture.Frames
	c.Capture.KernelDrops += o.Capture.KernelDrops
	c.Capture.Bytes += o.Capture.Bytes
	c.Capture.Cut += o.Capture.Cut
	c.Capture.Foreign += o.Capture.Foreign

	c.Send.Segments += o.Send.Segments
	c.Send.Bytes += o.Send.Bytes
	c.Send.Retransmits += o.Send.Retransmits
	c.Send.HeldBack += o.Send.HeldBack
	for name, n := range o.Send.Errors {
		c.AddSendError(name, n)
	}
	c.Lag.Add(&o.Lag)

	c.Links.Shards += o.Links.Shards
	c.Links.Down += o.Links.Down
	c.Links.Never += o.Links.Never
}

func (c *Commands) add(o *Commands) {
	c.Captured += o.Captured
	c.Answered += o.Answered
	c.Skipped.add(&o.Skipped)
	c.Lost.add(&o.Lost)
	c.Pending += o.Pending
	c.Errors += o.Errors
	c.Waited += o.Waited
	c.Stalled += o.Stalled
	for class, n := range o.Classes {
		c.Classes[class] += n
	}
}

func (s *Sessions) add(o *Sessions) {
	s.Captured += o.Captured
	s.Replayed += o.Replayed
	s.Skipped.add(&o.Skipped)
	s.Lost.add(&o.Lost)
	s.Open += o.Open
	s.Knocking += o.Knocking
	s.Mapped += o.Mapped
	s.PortChanged += o.PortChanged
	s.Delayed += o.Delayed
	s.GreetingMissed += o.GreetingMissed
	s.CollationChanged += o.CollationChanged
	s.Adopted.add(&o.Adopted)
}

func (b *ByReason) add(o *ByReason) {
	for r := range b {
		b[r] += o[r]
	}
}

// AddSendError counts n refusals of the kernel under the name of the error.
func (c *Counts) AddSendError(name string, n uint64) {
	if c.Send.Errors == nil {
		c.Send.Errors = make(map[string]uint64)
	}
	c.Send.Errors[name] += n
}

// Clone returns a copy that shares nothing with c.
func (c *Counts) Clone() *Counts {
	d := *c
	d.Send.Errors = maps.Clone(c.Send.Errors)
	d.Lag = Lag{}
	d.Lag.Add(&c.Lag)
	return &d
}

// Balance checks that every command and every session stands in exactly one
// column. Pending and Open must be set. An error is a defect of the program,
// not of the replay.
func (c *Counts) Balance() error {
	cmd, ses := &c.Commands, &c.Sessions
	if cmd.Skipped[None]+cmd.Lost[None]+ses.Skipped[None]+ses.Lost[None] != 0 {
		return fmt.Errorf("ledger: something was skipped or lost without a reason")
	}
	if out := cmd.Answered + cmd.Skipped.Total() + cmd.Lost.Total() + cmd.Pending; out != cmd.Captured {
		return fmt.Errorf("ledger: commands do not balance: captured %d, answered %d + skipped %d + lost %d + pending %d = %d",
			cmd.Captured, cmd.Answered, cmd.Skipped.Total(), cmd.Lost.Total(), cmd.Pending, out)
	}
	if out := ses.Replayed + ses.Skipped.Total() + ses.Lost.Total() + ses.Open; out != ses.Captured {
		return fmt.Errorf("ledger: sessions do not balance: captured %d, replayed %d + skipped %d + lost %d + open %d = %d",
			ses.Captured, ses.Replayed, ses.Skipped.Total(), ses.Lost.Total(), ses.Open, out)
	}
	return nil
}
