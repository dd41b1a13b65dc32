package e2e

import (
	"context"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// restart brings the target's server back at the end of a test that took it
// down, whatever became of the test.
func restart(t *testing.T, l *lab.Lab) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := l.TargetServer.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := l.TargetServer.Start(ctx); err != nil {
			t.Error(err)
		}
	})
}

// A target host without a server refuses each SYN. The client notices nothing,
// and what was captured is counted as lost, with the reason.
func TestTargetRefuses(t *testing.T) {
	l := labtest.Lab(t)
	restart(t, l)
	r := labtest.Begin(t, lab.Run{})
	if err := l.TargetServer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Load("-n", "20", "-each", "3", "short")
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	if s.Sessions.Captured != 20 || s.Sessions.Replayed != 0 {
		t.Errorf("captured %d sessions and replayed %d, want 20 and 0", s.Sessions.Captured, s.Sessions.Replayed)
	}
	r.Only("lost sessions", s.Sessions.Lost, "target_refused")
	if s.Commands.Captured != 80 || s.Commands.Answered != 0 {
		t.Errorf("captured %d commands and answered %d, want 80 and 0", s.Commands.Captured, s.Commands.Answered)
	}
	if result.ExitCode != 3 {
		t.Errorf("exit code %d, want 3: finished with losses", result.ExitCode)
	}
	r.Says(result.Log, "target_refused")
}

// A target host that is gone answers nothing. The SYN is sent again until the
// drain is over.
func TestTargetIsDown(t *testing.T) {
	l := labtest.Lab(t)
	t.Cleanup(func() {
		if err := l.Cable(context.Background(), l.Target, true); err != nil {
			t.Error(err)
		}
	})
	r := labtest.Begin(t, lab.Run{Mrtecopy: []string{"--drain", "3s"}})
	if err := l.Cable(t.Context(), l.Target, false); err != nil {
		t.Fatal(err)
	}
	r.Load("-n", "5", "short")
	result := r.Stop()
	s := &result.Summary
	if b := s.Balance(); b != "" {
		t.Errorf("the ledger does not balance:\n%s", b)
	}
	if s.Sessions.Captured != 5 || s.Sessions.Replayed != 0 {
		t.Errorf("captured %d sessions and replayed %d, want 5 and 0", s.Sessions.Captured, s.Sessions.Replayed)
	}
	if s.Send.Retransmits == 0 {
		t.Error("no SYN was sent again")
	}
	if result.ExitCode != 3 {
		t.Errorf("exit code %d, want 3: finished with losses", result.ExitCode)
	}
}

// A target that is cut off for a moment is not lost: what was sent meanwhile is
// sent again.
func TestTargetIsCutOffForAMoment(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Begin(t, lab.Run{})
	load := inBackground(r, "-for", "4s", "-pause", "10ms", "-threads", "5", "trickle")
	time.Sleep(time.Second)
	if err := l.Cable(t.Context(), l.Target, false); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := l.Cable(t.Context(), l.Target, true); err != nil {
		t.Fatal(err)
	}
	<-load
	if result := r.Whole(); result.Summary.Send.Retransmits == 0 {
		t.Error("nothing was sent again; was the target cut off?")
	}
}

// A target that dies in the middle takes its sessions with it. Production's
// clients go on, and when the target is back their next sessions are replayed.
func TestTargetDies(t *testing.T) {
	l := labtest.Lab(t)
	restart(t, l)
	r := labtest.Begin(t, lab.Run{})
	load := inBackground(r, "-for", "6s", "-pause", "5ms", "-threads", "5", "trickle")
	short := inBackground(r, "-for", "6s", "-pause", "20ms", "short")
	time.Sleep(1500 * time.Millisecond)
	if err := l.TargetServer.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := l.TargetServer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, b := <-load, <-short
	if a.Errors+b.Errors != 0 {
		t.Errorf("production's clients had %d errors", a.Errors+b.Errors)
	}
	back, err := l.TargetServer.Number(t.Context(), "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Com_select'")
	if err != nil {
		t.Fatal(err)
	}
	if back < 10 {
		t.Errorf("after its return the target counted %d SELECTs; sessions opened since should have been replayed", back)
	}
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("lost sessions", s.Sessions.Lost, "target_closed", "target_refused")
	if s.Sessions.Replayed == 0 || result.ExitCode != 3 {
		t.Errorf("replayed %d sessions, exit code %d; want some, and 3", s.Sessions.Replayed, result.ExitCode)
	}
}

// inBackground starts a load and returns a channel that gets what it did.
func inBackground(r *labtest.Replay, args ...string) <-chan labtest.Load {
	done := make(chan labtest.Load, 1)
	go func() {
		l, err := r.TryLoad(r.Lab.Client, r.Lab.Production.V4.String(), args...)
		if err != nil {
			r.T.Errorf("load %v: %v", args, err)
		}
		done <- l
	}()
	return done
}
