package program

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
)

func send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptibleReturnsTheResult(t *testing.T) {
	want := errors.New("x")
	got, err := Interruptible(t.Context(), nil, func(context.Context) (int, error) { return 7, want })
	if got != 7 || err != want {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestFirstSignalCancels(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		var told os.Signal
		got, err := Interruptible(t.Context(), func(s os.Signal) { told = s }, func(ctx context.Context) (int, error) {
			send(t, syscall.SIGHUP) // says nothing
			send(t, s)
			<-ctx.Done()
			return 7, nil
		})
		if got != 7 || err != nil || told != s {
			t.Errorf("%v: got %d, %v, told %v", s, got, err, told)
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	forever := make(chan struct{})
	defer close(forever)
	_, err := Interruptible(t.Context(), func(os.Signal) {}, func(ctx context.Context) (int, error) {
		send(t, syscall.SIGTERM)
		<-ctx.Done()
		send(t, syscall.SIGINT)
		<-forever
		return 7, nil
	})
	if err != ErrEndedAtOnce {
		t.Errorf("error %v, want ErrEndedAtOnce", err)
	}
}
