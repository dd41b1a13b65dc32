package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	headerEvery = 20 // rows between two headers, as vmstat does
	shareStep   = 5  // percentage points a share must move before it is told again
	growthStep  = 10 // factor a count must grow by before it is told again
)

// A column of the status table: a heading and the width it and its values take.
type column struct {
	name  string
	width int
}

// columns are the columns after the time. docs/operations.md explains each.
var columns = []column{
	{"frames/s", 9}, {"commands/s", 11}, {"answers/s", 11}, {"sessions/s", 11}, {"open", 7}, {"pending", 8},
	{"lag p50", 8}, {"lag p99", 8}, {"skipped", 8}, {"lost cmd", 9}, {"lost ses", 9}, {"dropped", 8},
}

// A Status writes the table that an operator watches: one row per interval,
// rates per second over that interval, and below it a hint whenever something
// first goes wrong, or gets much worse.
type Status struct {
	color bool
	rows  int
	time  time.Time
	last  *Counts

	skipped [NumReasons]float64 // share in percent when last told
	lost    [NumReasons]uint64  // count when last told
	drops   uint64
	knocked uint64
	adopted uint64
	errors  map[string]uint64
}

// NewStatus returns a Status for a run that starts now with all counters zero.
func NewStatus(now time.Time, color bool) *Status {
	return &Status{color: color, time: now, last: new(Counts), errors: make(map[string]uint64)}
}

// Lines returns the row that is due at now, with a header above it now and then
// and hints below it, each line ended by a line break. The counters are those
// since the start, with Pending and Open set.
func (s *Status) Lines(now time.Time, c *Counts) string {
	var b strings.Builder
	if s.rows%headerEvery == 0 {
		s.header(&b, now)
	}
	s.rows++
	s.row(&b, now, c)
	s.hints(&b, c)
	s.time, s.last = now, c.Clone()
	return b.String()
}

func (s *Status) header(b *strings.Builder, now time.Time) {
	line := now.Format(time.DateOnly)
	for _, c := range columns {
		line += fmt.Sprintf(" %*s", c.width, c.name)
	}
	b.WriteString(paint(s.color, bold, line))
	b.WriteByte('\n')
}

func (s *Status) row(b *strings.Builder, now time.Time, c *Counts) {
	seconds := max(now.Sub(s.time).Seconds(), 0.001)
	rate := func(now, before uint64) string { return short(float64(now-before) / seconds) }
	lag := c.Lag.Since(&s.last.Lag)
	lag50, lag99 := "-", "-"
	if lag.Count() > 0 {
		lag50, lag99 = brief(lag.Quantile(50)), brief(lag.Quantile(99))
	}
	lostCommands, lostSessions := c.Commands.Lost.Total(), c.Sessions.Lost.Total()
	cells := []struct {
		text  string
		alarm bool
	}{
		{rate(c.Capture.Frames, s.last.Capture.Frames), false},
		{rate(c.Commands.Captured, s.last.Commands.Captured), false},
		{rate(c.Commands.Answered, s.last.Commands.Answered), false},
		{rate(c.Sessions.Captured, s.last.Sessions.Captured), false},
		{short(float64(c.Sessions.Open)), false},
		{short(float64(c.Commands.Pending)), false},
		{lag50, false},
		{lag99, false},
		{percent(c.Sessions.Skipped.Total(), c.Sessions.Captured), false},
		{short(float64(lostCommands)), lostCommands > s.last.Commands.Lost.Total()},
		{short(float64(lostSessions)), lostSessions > s.last.Sessions.Lost.Total()},
		{short(float64(c.Capture.KernelDrops)), c.Capture.KernelDrops > s.last.Capture.KernelDrops},
	}
	fmt.Fprintf(b, "%-10s", now.Format(time.TimeOnly))
	for i, cell := range cells {
		text := fmt.Sprintf(" %*s", columns[i].width, cell.text)
		b.WriteString(paint(s.color && cell.alarm, red, text))
	}
	switch l := &c.Links; {
	case l.Down == 0:
	case l.Down == l.Shards:
		b.WriteString(paint(s.color, red, "  no intercept"))
	default:
		b.WriteString(paint(s.color, red, fmt.Sprintf("  no intercept for %d of %d shards", l.Down, l.Shards)))
	}
	b.WriteByte('\n')
}

// hints explains what newly went wrong.
func (s *Status) hints(b *strings.Builder, c *Counts) {
	hint := func(format string, args ...any) {
		b.WriteString(paint(s.color, yellow, "  "+fmt.Sprintf(format, args...)))
		b.WriteByte('\n')
	}
	if c.Capture.Frames == 0 && s.rows == 1 {
		hint("nothing captured yet: %s", nothingHint)
	}
	for r := None + 1; r < NumReasons; r++ {
		what, n, all := "sessions", c.Sessions.Skipped[r], c.Sessions.Captured
		if n == 0 {
			what, n, all = "commands", c.Commands.Skipped[r], c.Commands.Captured
		}
		share := 100 * float64(n) / float64(max(all, 1))
		if n > 0 && (s.skipped[r] == 0 || share-s.skipped[r] >= shareStep) {
			s.skipped[r] = share
			hint("%s: %s of %s skipped: %s", r, percent(n, all), what, r.Hint())
		}
	}
	for r := None + 1; r < NumReasons; r++ {
		commands, sessions := c.Commands.Lost[r], c.Sessions.Lost[r]
		if grown(&s.lost[r], commands+sessions) {
			hint("%s: %s and %s lost: %s", r, count(commands, "command"), count(sessions, "session"), r.Hint())
		}
	}
	if grown(&s.knocked, c.Sessions.Knocking) {
		hint("no answer to the SYN of %s so far: %s", count(c.Sessions.Knocking, "session"), TargetUnreachable.Hint())
	}
	if a := c.Sessions.Adopted.summary(); grown(&s.adopted, c.Sessions.Adopted.Total()) {
		hint("adopted: %s, open before the start: %s", count(c.Sessions.Adopted.Total(), "session"), a.text())
	}
	if grown(&s.drops, c.Capture.KernelDrops) {
		hint("dropped: the kernel dropped %s since the ring was full: this host is busy, try a larger --ring or more --shards",
			count(c.Capture.KernelDrops, "frame"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Send.Errors)) {
		told := s.errors[name]
		if grown(&told, c.Send.Errors[name]) {
			s.errors[name] = told
			hint("%s: this host did not send %s: %s", name, count(c.Send.Errors[name], "segment"), sendHint(name))
		}
	}
}

// nothingHint is for a run that sees no client.
const nothingHint = "does production listen on --port (ss -ltn), and do its clients come in over --interface? Unix sockets are out of sight"

// grown reports whether n is worth telling, when told was the last one told,
// and remembers it.
func grown(told *uint64, n uint64) bool {
	if n == 0 || n < *told*growthStep {
		return false
	}
	*told = n
	return true
}

// sendHint explains the errors that sending to the target is known to meet.
func sendHint(name string) string {
	switch name {
	case "EPERM":
		return "a local firewall refuses them; see 'nft list ruleset', or use --send link"
	case "EMSGSIZE":
		return "larger than the route's MTU; see 'ip route get TARGET'"
	case "ENOBUFS", "EAGAIN":
		return "the interface's queue is full; they are sent again"
	case "ENETUNREACH", "EHOSTUNREACH":
		return "no route to the target; see 'ip route get TARGET'"
	case "ENETDOWN":
		return "the interface toward the target is down"
	default:
		return "they are sent again"
	}
}
