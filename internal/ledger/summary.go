package ledger

import (
	"time"

	"mrtecopy/internal/policy"
)

// A Summary is the account of one run in the form of --summary. Fields are
// added in later versions, never renamed or left out; maps are {} when empty.
type Summary struct {
	Version     string          `json:"version"`
	Started     time.Time       `json:"started"`
	Ended       time.Time       `json:"ended"`
	Interrupted bool            `json:"interrupted"` // ended by a signal, not by --duration
	Commands    CommandsSummary `json:"commands"`
	Sessions    SessionsSummary `json:"sessions"`
	Capture     CaptureSummary  `json:"capture"`
	Send        SendSummary     `json:"send"`
	LagMS       LagSummary      `json:"lag_ms"`
}

// CommandsSummary is the account of the commands.
type CommandsSummary struct {
	Captured uint64            `json:"captured"`
	Answered uint64            `json:"answered"`
	Skipped  map[string]uint64 `json:"skipped"`
	Lost     map[string]uint64 `json:"lost"`
	Pending  uint64            `json:"pending"`
	Errors   uint64            `json:"errors"`
	Waited   uint64            `json:"waited"`
	Stalled  uint64            `json:"stalled"`
	Classes  map[string]uint64 `json:"classes"` // of skipped.policy
}

// SessionsSummary is the account of the sessions.
type SessionsSummary struct {
	Captured    uint64            `json:"captured"`
	Replayed    uint64            `json:"replayed"`
	Skipped     map[string]uint64 `json:"skipped"`
	Lost        map[string]uint64 `json:"lost"`
	Open        uint64            `json:"open"`
	Mapped      uint64            `json:"mapped"`
	PortChanged uint64            `json:"port_changed"`
	Delayed     uint64            `json:"delayed"`

	GreetingMissed   uint64 `json:"greeting_missed"`
	CollationChanged uint64 `json:"collation_changed"`

	Adopted AdoptionSummary `json:"adopted"`
}

// CaptureSummary is what came from the rings.
type CaptureSummary struct {
	Frames      uint64 `json:"frames"`
	KernelDrops uint64 `json:"kernel_drops"`
	Bytes       uint64 `json:"bytes"`
	Cut         uint64 `json:"cut"`
	Foreign     uint64 `json:"foreign"`
}

// SendSummary is what went to the target.
type SendSummary struct {
	Segments    uint64            `json:"segments"`
	Retransmits uint64            `json:"retransmits"`
	HeldBack    uint64            `json:"held_back"`
	Errors      map[string]uint64 `json:"errors"`
	Bytes       uint64            `json:"bytes"`
}

// LagSummary is the lag in milliseconds.
type LagSummary struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// NewSummary makes the summary of a run whose counters are c, with Pending and
// Open set.
func NewSummary(version string, started, ended time.Time, interrupted bool, c *Counts) Summary {
	errors := make(map[string]uint64, len(c.Send.Errors))
	for name, n := range c.Send.Errors {
		errors[name] = n
	}
	return Summary{
		Version:     version,
		Started:     started,
		Ended:       ended,
		Interrupted: interrupted,
		Commands: CommandsSummary{
			Captured: c.Commands.Captured,
			Answered: c.Commands.Answered,
			Skipped:  c.Commands.Skipped.Map(),
			Lost:     c.Commands.Lost.Map(),
			Pending:  c.Commands.Pending,
			Errors:   c.Commands.Errors,
			Waited:   c.Commands.Waited,
			Stalled:  c.Commands.Stalled,
			Classes:  classes(&c.Commands),
		},
		Sessions: SessionsSummary{
			Captured:    c.Sessions.Captured,
			Replayed:    c.Sessions.Replayed,
			Skipped:     c.Sessions.Skipped.Map(),
			Lost:        c.Sessions.Lost.Map(),
			Open:        c.Sessions.Open,
			Mapped:      c.Sessions.Mapped,
			PortChanged: c.Sessions.PortChanged,
			Delayed:     c.Sessions.Delayed,

			GreetingMissed:   c.Sessions.GreetingMissed,
			CollationChanged: c.Sessions.CollationChanged,

			Adopted: c.Sessions.Adopted.summary(),
		},
		Capture: CaptureSummary(c.Capture),
		Send: SendSummary{
			Segments:    c.Send.Segments,
			Retransmits: c.Send.Retransmits,
			HeldBack:    c.Send.HeldBack,
			Errors:      errors,
			Bytes:       c.Send.Bytes,
		},
		LagMS: LagSummary{
			P50: milliseconds(c.Lag.Quantile(50)),
			P99: milliseconds(c.Lag.Quantile(99)),
			Max: milliseconds(c.Lag.Max()),
		},
	}
}

// classes returns what the policy skipped under the names of its classes.
func classes(c *Commands) map[string]uint64 {
	m := make(map[string]uint64)
	for class, n := range c.Classes {
		if n > 0 {
			m[policy.Class(class).String()] = n
		}
	}
	return m
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Lossless reports whether nothing was lost: all that was captured was
// answered or skipped, and the kernel dropped no frame, since nobody can say
// what was in it. Frames that were cut, and segments the kernel refused to
// send, need no mention here: what they cost stands in the lost columns.
func (s *Summary) Lossless() bool {
	return total(s.Commands.Lost) == 0 && s.Commands.Pending == 0 &&
		total(s.Sessions.Lost) == 0 && s.Capture.KernelDrops == 0
}

func total(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}
