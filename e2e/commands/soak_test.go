//go:build soak

package commands

import (
	"os"
	"testing"
	"time"
)

// TestSoak is the random load for a long time, as `make soak` runs it: for SOAK on
// servers of one family, and for a tenth of that on two.
func TestSoak(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("SOAK"))
	must(t, err)
	// Without a pause production is at its limit. A target that falls behind is then
	// asked more at once than production ever was; MariaDB does fewer TRUNCATEs and
	// CREATEs the more of them wait, and never catches up.
	const pause = 10 * time.Millisecond
	for _, run := range []struct {
		pair
		time.Duration
	}{{pairs[0], d}, {pairs[2], max(d/10, 10*time.Second)}} {
		t.Run(run.pair.String(), func(t *testing.T) {
			o := run.random(t, run.raise(t), run.Duration, pause)
			t.Logf("%.0f commands per second; lag p50 %.1f p99 %.1f max %.1f ms", float64(o.load.Commands)/o.load.Seconds,
				o.Summary.LagMs.P50, o.Summary.LagMs.P99, o.Summary.LagMs.Max)
		})
	}
}
