package e2e

import (
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// One account for all users: the target's own counters say who logged in.
func TestOneAccountForAll(t *testing.T) {
	r := labtest.Begin(t, lab.Run{Credentials: "# one for all\n*=" + lab.BenchUser + ":" + lab.BenchTargetPword + "\n"})
	r.Load("-n", "20", "short")
	r.Whole()
}

// A password may hold any byte but the line end.
func TestOddPassword(t *testing.T) {
	l := labtest.Lab(t)
	const password = ` a:b=c#"d'\ü `
	for _, s := range []struct {
		server *lab.Server
		pw     string
	}{{l.ProductionServer, "plain"}, {l.TargetServer, ` a:b=c#"d''\\ü `}} {
		err := s.server.Exec(t.Context(), "CREATE OR REPLACE USER odd@'%' IDENTIFIED BY '"+s.pw+"'", "GRANT ALL ON *.* TO odd@'%'")
		if err != nil {
			t.Fatal(err)
		}
	}
	r := labtest.Begin(t, lab.Run{Credentials: "odd:" + password + "\n"})
	r.Load("-user", "odd", "-password", "plain", "-n", "10", "short")
	r.Whole()
}

// A wrong password is the target's to refuse: the session is lost, and said
// with the user's name.
func TestWrongPassword(t *testing.T) {
	r := labtest.Begin(t, lab.Run{Credentials: lab.AppUser + ":wrong\n" + lab.BenchUser + ":" + lab.BenchTargetPword + "\n"})
	r.Load("-n", "5", "-each", "2", "short")
	r.Load("-user", lab.BenchUser, "-password", lab.BenchPassword, "-n", "7", "short")
	waitFor(t, "the target counts the others", func() bool {
		c, err := r.Target.Since(r.Ctx)
		return err == nil && c["Com_select"] == 7 && c["Connections"] == 12
	})
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("lost sessions", s.Sessions.Lost, "login_refused")
	r.Only("lost commands", s.Commands.Lost, "login_refused")
	if s.Sessions.Lost["login_refused"] != 5 || s.Sessions.Replayed != 7 {
		t.Errorf("lost %v and replayed %d sessions, want 5 and 7", s.Sessions.Lost, s.Sessions.Replayed)
	}
	if s.Commands.Captured != 5*3+7*2 || s.Commands.Answered != 7*2 {
		t.Errorf("captured %d and answered %d commands, want 29 and 14", s.Commands.Captured, s.Commands.Answered)
	}
	if result.ExitCode != 3 {
		t.Errorf("exit code %d, want 3: finished with losses", result.ExitCode)
	}
	r.Says(result.Log, "login_refused")
}

// A login that production refuses as well is no session to replay.
func TestProductionRefusesLogin(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	r.Load("-lax", "-password", "wrong", "-n", "3", "short")
	r.Load("-n", "4", "short")
	waitFor(t, "the target counts the others", func() bool {
		c, err := r.Target.Since(r.Ctx)
		return err == nil && c["Com_select"] == 4
	})
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("skipped sessions", s.Sessions.Skipped, "production_refused")
	r.Only("lost sessions", s.Sessions.Lost)
	if s.Sessions.Captured != 7 || s.Sessions.Replayed != 4 {
		t.Errorf("captured %d and replayed %d sessions, want 7 and 4", s.Sessions.Captured, s.Sessions.Replayed)
	}
}
