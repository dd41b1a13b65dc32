package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Summary is mrtecopy's --summary file, read as a user's script would read it
// and so not with mrtecopy's own types.
type Summary struct {
	Version     string
	Started     string
	Ended       string
	Interrupted bool
	Commands    struct {
		Captured, Answered, Pending int64
		Errors                      int64
		Waited, Stalled             int64
		Skipped, Lost               map[string]int64
		Classes                     map[string]int64
	}
	Sessions struct {
		Captured, Replayed, Open int64
		Mapped                   int64
		Skipped, Lost            map[string]int64
		Adopted                  struct {
			Whole, Partly, Bare int64
			Without             map[string]int64
		}
	}
	Capture struct {
		Frames      int64
		KernelDrops int64 `json:"kernel_drops"`
	}
	Send struct {
		Segments, Retransmits int64
		Errors                map[string]int64
	}
	LagMs struct{ P50, P99, Max float64 } `json:"lag_ms"`
}

// Balance says where captured does not equal the sum of the columns; "" if it does.
func (s *Summary) Balance() string {
	var b strings.Builder
	if c := &s.Commands; c.Captured != c.Answered+c.Pending+Sum(c.Skipped)+Sum(c.Lost) {
		fmt.Fprintf(&b, "commands: captured %d, but answered %d + pending %d + skipped %s + lost %s\n",
			c.Captured, c.Answered, c.Pending, reasons(c.Skipped), reasons(c.Lost))
	}
	if c := &s.Sessions; c.Captured != c.Replayed+c.Open+Sum(c.Skipped)+Sum(c.Lost) {
		fmt.Fprintf(&b, "sessions: captured %d, but replayed %d + open %d + skipped %s + lost %s\n",
			c.Captured, c.Replayed, c.Open, reasons(c.Skipped), reasons(c.Lost))
	}
	return b.String()
}

// Missing says what of the captured was not replayed to the end; "" if all was.
func (s *Summary) Missing() string {
	var b strings.Builder
	if c := &s.Commands; c.Captured != c.Answered {
		fmt.Fprintf(&b, "commands: captured %d, answered %d, pending %d, skipped %s, lost %s\n",
			c.Captured, c.Answered, c.Pending, reasons(c.Skipped), reasons(c.Lost))
	}
	if c := &s.Sessions; c.Captured != c.Replayed {
		fmt.Fprintf(&b, "sessions: captured %d, replayed %d, open %d, skipped %s, lost %s\n",
			c.Captured, c.Replayed, c.Open, reasons(c.Skipped), reasons(c.Lost))
	}
	return b.String()
}

// Sum adds up a column's reasons.
func Sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// reasons writes a column's reasons in a fixed order.
func reasons(m map[string]int64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s:%d", name, m[name]))
	}
	return "{" + strings.Join(parts, " ") + "}"
}
