package faults

import (
	"context"
	"maps"
	"syscall"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// While mrtecopy does not run its ring fills up, and the kernel drops what the
// clients go on to send. The commands that fell into the holes are lost, once
// each; their sessions go on, and what comes later arrives.
func TestCaptureGap(t *testing.T) {
	for _, load := range []struct {
		name    string
		args    []string
		reasons []string
	}{
		{"text", []string{"trickle"}, []string{"capture_gap"}},
		// Which statement a later command means may be told by nothing any more, if
		// production's answer to a PREPARE fell into the hole.
		{"prepared", []string{"-prepared", "trickle"}, []string{"capture_gap", "statement_id"}},
	} {
		t.Run(load.name, func(t *testing.T) {
			l := labtest.Lab(t)
			r := labtest.Begin(t, lab.Run{Mrtecopy: []string{"--ring", "2MiB"}})
			ctx, stop := context.WithCancel(r.Ctx)
			defer stop()
			clients := l.Client.Command(ctx, "loadclient", append([]string{"-addr", l.Production.V4.String() + ":3306", "-for", "1m", "-threads", "8"}, load.args...)...)
			clients.Cancel = func() error { return clients.Process.Signal(syscall.SIGINT) } // they take their leave
			wait := background(t, func() error {
				if err := clients.Run(); ctx.Err() == nil {
					return err
				}
				return nil
			})
			for range 2 {
				waitForCommands(t, r.Target, 1000)
				must(t, r.Mrtecopy.Signal(syscall.SIGSTOP))
				waitForCommands(t, r.Production, 8000) // of at least 300 octets there and back: more than the ring holds
				must(t, r.Mrtecopy.Signal(syscall.SIGCONT))
			}
			waitForCommands(t, r.Target, 1000)
			stop()
			wait()
			production, _ := quiet(t, r)
			result := r.Stop()
			s := &result.Summary
			c := &s.Commands
			if b := s.Balance(); b != "" {
				t.Errorf("the ledger does not balance:\n%s", b)
			}
			if s.Capture.KernelDrops == 0 {
				t.Error("the kernel dropped nothing: there was no gap")
			}
			lost := maps.Clone(c.Lost)
			delete(lost, load.reasons[len(load.reasons)-1])
			r.Only("lost commands", lost, load.reasons[:len(load.reasons)-1]...)
			r.Only("lost sessions", s.Sessions.Lost)
			if c.Pending != 0 || s.Sessions.Captured != 8 || result.ExitCode != 3 {
				t.Errorf("pending %d, captured %d sessions, exit code %d; want 0, 8, 3", c.Pending, s.Sessions.Captured, result.ExitCode)
			}
			sent := production["Questions"] + production["Com_stmt_prepare"] + production["Com_stmt_close"]
			if c.Captured >= sent || c.Answered == 0 {
				t.Errorf("captured %d and answered %d commands of %d", c.Captured, c.Answered, sent)
			}
			// A hole is one lost command, however many it hides.
			if n := c.Lost["capture_gap"]; n == 0 || n > s.Capture.KernelDrops {
				t.Errorf("%d commands are lost by %d dropped frames", n, s.Capture.KernelDrops)
			}
			t.Logf("captured %d of %d commands, answered %d, lost %v; %d frames dropped; the last sessions replayed %d", c.Captured, sent, c.Answered, c.Lost, s.Capture.KernelDrops, s.Sessions.Replayed)
		})
	}
}
