// Package labtest runs replays in a lab as tests: it raises one lab per test
// binary, starts the two programs round a load, and checks what every replay
// must fulfil, from the servers' own counters, the watches on the wires and the
// ledger.
package labtest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"

	"mrtecopy/internal/lab"
)

// The lab of this test binary.
var (
	once  sync.Once
	world *lab.Lab
	down  error // why there is none
	ended sync.Once
)

// Main is a TestMain: it runs the tests and takes the lab down behind them, on a
// Ctrl-C too. (After a panic or a kill the lab takes itself down.)
func Main(m *testing.M) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		takeDown()
		os.Exit(130)
	}()
	code := m.Run()
	if !takeDown() && code == 0 {
		code = 1
	}
	os.Exit(code)
}

func takeDown() bool {
	ok := true
	ended.Do(func() {
		if world == nil {
			return
		}
		if err := world.Down(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			ok = false
		}
	})
	return ok
}

// Lab returns the lab, raised on the first call with the key shared and the
// routes applied. A machine that cannot hold one skips the test, unless LAB is
// set to require, as `make test` does, so that it cannot pass by skipping.
func Lab(t testing.TB) *lab.Lab {
	t.Helper()
	once.Do(func() { world, down = raise(lab.Options{Production: lab.Server{TLS: true}}) })
	if down != nil {
		without(t, down)
	}
	return world
}

// Own returns a lab like that of Lab, but with these options, for one test: it
// is taken down when the test ends.
func Own(t testing.TB, o lab.Options) *lab.Lab {
	t.Helper()
	l, err := raise(o)
	if l != nil {
		t.Cleanup(func() {
			if err := l.Down(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		without(t, err)
	}
	return l
}

// without ends a test for which there is no lab.
func without(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("LAB") == "require" {
		t.Fatalf("no lab: %v", err)
	}
	t.Skipf("no lab: %v", err)
}

// raise returns a lab that is up, even if what follows fails: it has to be taken
// down.
func raise(o lab.Options) (*lab.Lab, error) {
	ctx := context.Background()
	l, err := lab.Up(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := l.ShareKey(ctx); err != nil {
		return l, err
	}
	if said, err := l.Routes(ctx, "apply"); err != nil {
		return l, fmt.Errorf("%w\n%s", err, said)
	}
	return l, nil
}
