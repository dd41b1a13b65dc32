package e2e

import (
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// What cannot be replayed is skipped as a whole, with its reason, and what can
// goes on beside it.
func TestSkipped(t *testing.T) {
	mariadb := func(r *labtest.Replay, args ...string) {
		t.Helper()
		r.Client("mariadb", append([]string{"--no-defaults", "-h", r.Lab.Production.V4.String(), "-u", lab.AppUser, "-p" + lab.AppPassword, "-e", "SELECT 1; SELECT 2"}, args...)...)
	}
	for _, tt := range []struct {
		reason string
		load   func(*labtest.Replay)
	}{
		{"tls", func(r *labtest.Replay) { mariadb(r, "--ssl") }},
		{"unknown_user", func(r *labtest.Replay) {
			r.Load("-user", "stranger", "-password", "s", "-n", "1", "-each", "3", "short")
		}},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			l := labtest.Lab(t)
			for _, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
				if err := s.Exec(t.Context(), "CREATE OR REPLACE USER stranger@'%' IDENTIFIED BY 's'", "GRANT ALL ON *.* TO stranger@'%'"); err != nil {
					t.Fatal(err)
				}
			}
			r := labtest.Begin(t, lab.Run{})
			tt.load(r)
			r.Load("-n", "5", "short")
			waitFor(t, "the target counts the others", func() bool {
				c, err := r.Target.Since(r.Ctx)
				return err == nil && c["Questions"] == 10 && c["Connections"] == 5
			})
			result := r.Stop()
			r.Fair(result)
			s := &result.Summary
			r.Only("skipped sessions", s.Sessions.Skipped, tt.reason)
			r.Only("lost sessions", s.Sessions.Lost)
			if s.Sessions.Skipped[tt.reason] != 1 || s.Sessions.Replayed != 5 {
				t.Errorf("skipped %v and replayed %d sessions, want 1 and 5", s.Sessions.Skipped, s.Sessions.Replayed)
			}
			if s.Commands.Answered != 10 {
				t.Errorf("answered %d commands, want 10", s.Commands.Answered)
			}
			if result.ExitCode != 0 {
				t.Errorf("exit code %d, want 0: skipped is not lost", result.ExitCode)
			}
			r.Says(result.Log, tt.reason)
		})
	}
}

// A session that was open before the start is left alone, until its client logs
// in again.
func TestOpenedBeforeStart(t *testing.T) {
	r := labtest.Prepare(t)
	old := inBackground(r, "-for", "3s", "-pause", "10ms", "-threads", "3", "trickle")
	waitFor(t, "the sessions are open", func() bool {
		c, err := r.Production.Since(r.Ctx)
		return err == nil && c["Com_select"] > 3
	})
	r.StartIntercept(lab.Run{})
	r.StartMrtecopy(lab.Run{})
	before, err := r.Target.Since(r.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.Load("-n", "10", "short")
	<-old
	waitFor(t, "the target counts the new sessions", func() bool {
		c, err := r.Target.Since(r.Ctx)
		return err == nil && c["Questions"]-before["Questions"] == 20
	})
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("skipped sessions", s.Sessions.Skipped, "opened_before_start")
	r.Only("skipped commands", s.Commands.Skipped, "opened_before_start")
	r.Only("lost sessions", s.Sessions.Lost)
	if s.Sessions.Skipped["opened_before_start"] != 3 || s.Sessions.Replayed != 10 {
		t.Errorf("skipped %v and replayed %d sessions, want 3 and 10", s.Sessions.Skipped, s.Sessions.Replayed)
	}
}
