package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Table returns the summary as a person reads it at the end of a run.
func (s *Summary) Table(color bool) string {
	t := table{color: color}
	t.line("", fmt.Sprintf("mrtecopy %s, %s from %s to %s%s", s.Version,
		s.Ended.Sub(s.Started).Round(time.Second), s.Started.Format(time.DateTime), s.Ended.Format(time.DateTime),
		when(s.Interrupted, ", interrupted")))

	t.part("commands")
	t.share("captured", s.Commands.Captured, 0, "")
	t.share("answered", s.Commands.Answered, s.Commands.Captured, when(s.Commands.Errors > 0, "of these with an error: "+grouped(s.Commands.Errors)))
	t.reasons("skipped", s.Commands.Skipped, s.Commands.Captured, false, s.Commands.Classes)
	t.reasons("lost", s.Commands.Lost, s.Commands.Captured, true, nil)
	t.alarm("pending", s.Commands.Pending, s.Commands.Captured, "sent, not answered when the program ended; see --drain")

	t.part("sessions")
	t.share("captured", s.Sessions.Captured, 0, "")
	t.share("replayed", s.Sessions.Replayed, s.Sessions.Captured, ports(s.Sessions))
	t.reasons("skipped", s.Sessions.Skipped, s.Sessions.Captured, false, nil)
	t.reasons("lost", s.Sessions.Lost, s.Sessions.Captured, true, nil)
	t.share("open", s.Sessions.Open, s.Sessions.Captured, "")
	if a := &s.Sessions.Adopted; a.Whole+a.Partly+a.Bare > 0 {
		t.share("adopted", a.Whole+a.Partly+a.Bare, s.Sessions.Captured, a.text())
	}

	t.part("capture")
	t.share("frames", s.Capture.Frames, 0, bytesize(s.Capture.Bytes))
	t.alarm("dropped", s.Capture.KernelDrops, 0, "by the kernel, since the ring was full; try a larger --ring or more --shards")
	if s.Capture.Cut > 0 {
		t.alarm("cut", s.Capture.Cut, 0, "captured shorter than they were")
	}

	t.part("sent")
	t.share("segments", s.Send.Segments, 0, bytesize(s.Send.Bytes))
	t.share("again", s.Send.Retransmits, s.Send.Segments, "")
	if s.Send.HeldBack > 0 {
		t.share("held back", s.Send.HeldBack, 0, "SYNs and RSTs beyond a rate; see --max-connects")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Send.Errors)) {
		t.share(name, s.Send.Errors[name], 0, sendHint(name))
	}

	t.part("lag")
	if s.LagMS == (LagSummary{}) {
		t.line("", "  none measured")
	} else {
		t.line("", fmt.Sprintf("  p50 %s, p99 %s, longest %s", lag(s.LagMS.P50), lag(s.LagMS.P99), lag(s.LagMS.Max)))
	}

	t.line("", "")
	switch {
	case !s.Lossless():
		t.line(red, "finished with losses")
	case s.Sessions.Captured == 0:
		t.line(yellow, "nothing was captured: "+nothingHint)
	default:
		t.line(green, "nothing was lost")
	}
	return t.b.String()
}

func lag(ms float64) string { return brief(time.Duration(ms * float64(time.Millisecond))) }

func when(ok bool, text string) string {
	if !ok {
		return ""
	}
	return text
}

func ports(s SessionsSummary) string {
	var parts []string
	if s.Mapped > 0 {
		parts = append(parts, "from another address: "+grouped(s.Mapped))
	}
	if s.PortChanged > 0 {
		parts = append(parts, "from another port: "+grouped(s.PortChanged))
	}
	if s.Delayed > 0 {
		parts = append(parts, "connected later: "+grouped(s.Delayed))
	}
	if s.CollationChanged > 0 {
		parts = append(parts, "with another collation: "+grouped(s.CollationChanged))
	}
	if s.GreetingMissed > 0 {
		parts = append(parts, "greeting missed: "+grouped(s.GreetingMissed))
	}
	return strings.Join(parts, ", ")
}

type table struct {
	color bool
	b     strings.Builder
}

func (t *table) line(color, text string) {
	t.b.WriteString(paint(t.color && color != "", color, strings.TrimRight(text, " ")))
	t.b.WriteByte('\n')
}

func (t *table) part(name string) { t.line(bold, name) }

// share writes one count and, if it is a part of all, its share.
func (t *table) share(name string, n, all uint64, note string) {
	t.counted("", "  "+name, n, all, note)
}

// alarm is share for what should be zero.
func (t *table) alarm(name string, n, all uint64, note string) {
	if n == 0 {
		t.share(name, n, all, "")
		return
	}
	t.counted(red, "  "+name, n, all, note)
}

// reasons writes a column's total and what it is made of, the largest first, and
// what Policy is made of, by classes.
func (t *table) reasons(name string, by map[string]uint64, all uint64, alarm bool, classes map[string]uint64) {
	n := total(by)
	color := ""
	if alarm && n > 0 {
		color = red
	}
	t.counted(color, "  "+name, n, all, "")
	for _, reason := range largestFirst(by) {
		t.counted(color, "    "+reason, by[reason], all, hintOf(reason))
		if reason != Policy.String() {
			continue
		}
		for _, class := range largestFirst(classes) {
			t.counted(color, "      "+class, classes[class], all, "")
		}
	}
}

func largestFirst(by map[string]uint64) []string {
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b))
	})
}

func (t *table) counted(color, name string, n, all uint64, note string) {
	share := ""
	if all > 0 && n > 0 {
		share = percent(n, all)
	}
	t.line(color, fmt.Sprintf("%-23s %15s %8s  %s", name, grouped(n), share, note))
}

func hintOf(name string) string {
	for r := range NumReasons {
		if r.String() == name {
			return r.Hint()
		}
	}
	return ""
}
