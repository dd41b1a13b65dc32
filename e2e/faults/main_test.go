// Package faults holds the end-to-end tests of what networks, targets and our own
// two programs suffer: frames that are lost, repeated, overtaken and late, hosts
// that are cut off, servers that pause, refuse and die. What can be survived must
// be; what cannot is counted once, with its reason.
//
// `make reliability` measures the same over a range of faults, and writes
// docs/reliability.md.
package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// patience is how long a target may count nothing before it is taken for stuck.
const patience = 30 * time.Second

func TestMain(m *testing.M) { labtest.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// impair makes ways between hosts faulty until the test ends.
func impair(t testing.TB, l *lab.Lab, f lab.Faults, ways ...[2]*lab.Host) {
	t.Helper()
	for i, w := range ways {
		must(t, l.Impair(t.Context(), w[0], w[1], f, uint64(i+1)))
	}
}

// background runs a load of sysbench or loadclient and returns what waits for it.
func background(t testing.TB, load func() error) (wait func()) {
	done := make(chan error, 1)
	go func() { done <- load() }()
	return func() {
		t.Helper()
		must(t, <-done)
	}
}

// caughtUp waits until every client has left production, and the target has
// counted as many commands as production, or nothing more for as long as
// patience; it returns how long it took.
func caughtUp(t testing.TB, r *labtest.Replay, patience time.Duration) (took time.Duration, all bool) {
	t.Helper()
	var counted int64
	started := time.Now()
	for moved := started; time.Since(moved) < patience; time.Sleep(20 * time.Millisecond) {
		production, err := r.Production.Since(r.Ctx)
		must(t, err)
		target, err := r.Target.Since(r.Ctx)
		must(t, err)
		n := target["Questions"]
		if r.Production.Open <= 0 && r.Target.Open <= 0 && n >= production["Questions"] {
			return time.Since(started), true
		}
		if n != counted {
			counted, moved = n, time.Now()
		}
	}
	return time.Since(started), false
}

// waitForCommands waits until a server has counted n commands more than now.
func waitForCommands(t testing.TB, b *lab.Baseline, n int64) {
	t.Helper()
	c, err := b.Since(t.Context())
	must(t, err)
	first := c["Questions"]
	waitFor(t, fmt.Sprintf("the server counts %d commands more than %d", n, first), func() (int64, bool) {
		c, err := b.Since(t.Context())
		must(t, err)
		return c["Questions"], c["Questions"] >= first+n
	})
}

// waitFor waits until something is there, as long as a number that shows progress
// toward it still changes.
func waitFor(t testing.TB, what string, look func() (progress int64, there bool)) {
	t.Helper()
	last := int64(-1)
	for moved := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		n, there := look()
		switch {
		case there:
			return
		case n != last:
			last, moved = n, time.Now()
		case time.Since(moved) > patience:
			t.Fatalf("waited for %s; now %d", what, n)
		}
	}
}

// quiet waits until both servers have no clients left and the target counts
// nothing more, and returns what they have counted.
func quiet(t testing.TB, r *labtest.Replay) (production, target lab.Counters) {
	t.Helper()
	for moved := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var err error
		production, err = r.Production.Since(r.Ctx)
		must(t, err)
		n := target["Questions"]
		target, err = r.Target.Since(r.Ctx)
		must(t, err)
		if n != target["Questions"] {
			moved = time.Now()
		}
		still := time.Since(moved)
		if r.Production.Open <= 0 && r.Target.Open <= 0 && still > 300*time.Millisecond || still > 30*time.Second {
			return production, target
		}
	}
}

// countLines counts the lines of a log that contain some words.
func countLines(log, words string) (n int) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

// waitForOpen waits until the target has n sessions.
func waitForOpen(t testing.TB, r *labtest.Replay, n int64) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d sessions on the target", n), func() (int64, bool) {
		_, err := r.Target.Since(r.Ctx)
		must(t, err)
		return r.Target.Open, r.Target.Open == n
	})
}

// waitForSelects waits until the target has counted n SELECTs.
func waitForSelects(t testing.TB, r *labtest.Replay, n int64) {
	t.Helper()
	waitFor(t, fmt.Sprintf("the target counts %d SELECTs", n), func() (int64, bool) {
		c, err := r.Target.Since(r.Ctx)
		must(t, err)
		return c["Com_select"], c["Com_select"] >= n
	})
}
