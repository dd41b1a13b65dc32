package program

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// ErrEndedAtOnce is returned when a second signal came before the run had
// stopped in order.
var ErrEndedAtOnce = errors.New("ended at once by the second signal")

// Interruptible calls run and returns its results. The first SIGINT or SIGTERM
// calls stopping and cancels the context of run, which then ends in order. A
// second one makes Interruptible return at once with ErrEndedAtOnce while run
// goes on: the process must exit.
//
// SIGHUP and SIGPIPE are ignored: a terminal or a log reader that goes away
// must not end sessions in the middle.
func Interruptible[T any](ctx context.Context, stopping func(os.Signal), run func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGHUP, syscall.SIGPIPE)

	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := run(ctx)
		done <- result{value, err}
	}()
	for first := true; ; first = false {
		select {
		case r := <-done:
			return r.value, r.err
		case s := <-signals:
			if !first {
				var none T
				return none, ErrEndedAtOnce
			}
			stopping(s)
			cancel()
		}
	}
}
