//go:build bench

package bench

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

const (
	benchFor     = 8 // seconds of each load
	benchThreads = 8
)

// A benchLoad is a load of sysbench.
type benchLoad struct {
	name string
	rate int // transactions a second; 0: as many as can be
}

// TestServers measures the replay between two MariaDB servers, and what production
// suffers by it.
func TestServers(t *testing.T) {
	l := labtest.Own(t, lab.Options{Unwatched: true})
	must(t, l.FillBench(t.Context()))
	loads := []benchLoad{{"oltp_point_select", 1000}, {"oltp_point_select", 6000}, {"oltp_point_select", 0}, {"oltp_read_only", 0}, {"oltp_read_write", 0}}
	d := &table{name: "servers", lines: 3 * len(loads), titles: []string{"load", "replay", "production: queries/s", "p95 ms", "mrtecopy s per million", "intercept s per million",
		"lag p50, p99 ms", "behind", "memory", "captured, answered", "drops"}}
	for _, o := range loads {
		for _, replay := range []string{"no", "yes", "yes, any CPU"} {
			t.Run(fmt.Sprintf("%s %d, %s", o.name, o.rate, replay), func(t *testing.T) { o.measure(t, l, replay, d) })
		}
	}
	d.write(t, "make bench-lab RUN=Servers")
}

// measure is one line: without a replay, with one, or with one that need not share
// a CPU with production.
func (o *benchLoad) measure(t *testing.T, l *lab.Lab, replay string, d *table) {
	rate := "flat out"
	args := []string{"--percentile=95"}
	if o.rate > 0 {
		rate = fmt.Sprintf("%d/s", o.rate)
		args = append(args, fmt.Sprint("--rate=", o.rate))
	}
	bench := lab.BenchArgs(o.name, l.Production.V4.String(), benchThreads, benchFor, args...)
	b := newBehind(t, l)
	var m *meter
	if replay != "no" {
		production := *l.Production
		if replay != "yes" {
			production.Spread()
		}
		m = replaying(t, l, lab.Run{Production: &production})
		m.begin()
	}
	out, err := l.Client.Run(t.Context(), "sysbench", bench...)
	must(t, err)
	ended := time.Now()
	row := []any{o.name + ", " + rate, replay, number(t, out, `queries: .*\((\S+) per sec`), number(t, out, `95th percentile: +(\S+)`), "–", "–", "–", "–", "–", "–", "–"}
	if m != nil {
		behind := seconds(b.caughtUp(ended))
		m.end()
		a := m.stop()
		n := a.Commands.Captured
		copy(row[1:], []any{replay, row[2], row[3], m.perCommand(0, n), m.perCommand(1, n), a.lag(), behind, m.memory(), a.answered(), a.drops()})
	}
	d.add(t, row...)
}

// number finds a number in what sysbench says.
func number(t testing.TB, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in:\n%s", pattern, text)
	}
	if _, err := strconv.ParseFloat(found[1], 64); err != nil {
		t.Fatal(err)
	}
	return found[1]
}

// A behind tells how far the target is behind, by the servers' own counters.
type behind struct {
	t                  testing.TB
	production, target *lab.Baseline
}

func newBehind(t testing.TB, l *lab.Lab) *behind {
	t.Helper()
	b := &behind{t: t}
	var err error
	b.production, err = l.ProductionServer.Baseline(t.Context())
	must(t, err)
	b.target, err = l.TargetServer.Baseline(t.Context())
	must(t, err)
	return b
}

// caughtUp waits until the target has counted all that production has, or nothing
// more for ten seconds; it returns how long after the load's end that was.
func (b *behind) caughtUp(ended time.Time) time.Duration {
	b.t.Helper()
	const patience = 10 * time.Second
	production, err := b.production.Since(b.t.Context())
	must(b.t, err)
	var counted int64
	for moved := time.Now(); time.Since(moved) < patience; time.Sleep(2 * time.Millisecond) {
		target, err := b.target.Since(b.t.Context())
		must(b.t, err)
		n := target["Questions"]
		if n >= production["Questions"] {
			return time.Since(ended)
		}
		if n != counted {
			counted, moved = n, time.Now()
		}
	}
	return never
}
