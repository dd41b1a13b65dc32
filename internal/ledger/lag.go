package ledger

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLag is the longest lag that is told apart. The histogram's size depends on
// it; a longer one is recorded as this.
const maxLag = time.Hour

// A Lag is the distribution of how far the target is behind: the time between
// a command's capture and the end of its response on the target. Values are
// exact to two decimal digits from a microsecond to an hour, in about 20 KiB.
// The zero value is empty and takes no memory.
type Lag struct {
	h *hdrhistogram.Histogram
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLag.Microseconds(), 2)
}

// Record adds one value. Clocks can be set back: below zero counts as zero.
func (l *Lag) Record(d time.Duration) {
	if l.h == nil {
		l.h = newHistogram()
	}
	// Within the range the histogram was made for, nothing can fail.
	_ = l.h.RecordValue(min(max(d, 0), maxLag).Microseconds())
}

// Add adds all that o holds.
func (l *Lag) Add(o *Lag) {
	if o.h == nil || o.h.TotalCount() == 0 {
		return
	}
	if l.h == nil {
		l.h = newHistogram()
	}
	l.h.Merge(o.h)
}

// Since returns what was recorded in l after earlier, which was once a copy of
// it.
func (l *Lag) Since(earlier *Lag) Lag {
	if l.h == nil {
		return Lag{}
	}
	now := l.h.Export() // a copy
	if earlier.h != nil {
		for i, n := range earlier.h.Export().Counts {
			now.Counts[i] -= n
		}
	}
	return Lag{hdrhistogram.Import(now)}
}

// Count returns how many values were recorded.
func (l *Lag) Count() uint64 {
	if l.h == nil {
		return 0
	}
	return uint64(l.h.TotalCount())
}

// Quantile returns the value that q of 100 percent do not exceed; 0 when nothing was
// recorded.
func (l *Lag) Quantile(q float64) time.Duration {
	if l.h == nil || l.h.TotalCount() == 0 {
		return 0
	}
	return time.Duration(l.h.ValueAtQuantile(q)) * time.Microsecond
}

// Max returns the largest value recorded, to the histogram's precision.
func (l *Lag) Max() time.Duration {
	if l.h == nil || l.h.TotalCount() == 0 {
		return 0
	}
	return time.Duration(l.h.Max()) * time.Microsecond
}
