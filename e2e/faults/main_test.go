// Package faults holds the end-to-end tests of what networks, targets and our own
// two programs suffer: frames that are lost, repeated, overtaken and late, hosts
// that are cut off, servers that pause, refuse and die. What can be survived must
// be; what cannot is counted once, with its reason.
//
// `make reliability` measures the same over a range of faults, and writes
// docs/reliability.md.
package faults

import (
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
	first := int64(-1)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := b.Since(t.Context())
		must(t, err)
		if first < 0 {
			first = c["Questions"]
		}
		if c["Questions"] >= first+n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server counted %d commands, want %d", c["Questions"]-first, n)
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
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := r.Target.Since(r.Ctx)
		must(t, err)
		if r.Target.Open == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are open on the target, want %d", r.Target.Open, n)
		}
	}
}
