package e2e

import (
	"syscall"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// A restart of mrtecopy while the clients go on: the sessions it had are closed
// on the target, those that stay open are skipped by the next, new ones are
// replayed, and no port that was used before is in the way.
func TestMrtecopyRestarts(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*labtest.Replay) (lab.Result, error)
		code int
	}{
		{"in order", func(r *labtest.Replay) (lab.Result, error) { return r.Mrtecopy.Stop(r.Ctx) }, 0},
		{"by a crash", func(r *labtest.Replay) (lab.Result, error) { return r.Mrtecopy.Kill(r.Ctx) }, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := labtest.Begin(t, lab.Run{})
			long := inBackground(r, "-for", "5s", "-pause", "5ms", "-threads", "4", "trickle")
			short := inBackground(r, "-for", "5s", "-pause", "10ms", "-each", "2", "short")
			time.Sleep(1500 * time.Millisecond)
			first, err := tt.end(r)
			if err != nil {
				t.Fatal(err)
			}
			if tt.code == 0 {
				waitFor(t, "the target has no session left", func() bool { return connected(t, r.Lab.TargetServer) == 0 })
				if b := first.Summary.Balance(); b != "" {
					t.Errorf("the first ledger does not balance:\n%s", b)
				}
				r.Only("lost commands of the first", first.Summary.Commands.Lost)
			}
			time.Sleep(500 * time.Millisecond)
			r.StartMrtecopy(lab.Run{})
			a, b := <-long, <-short
			if a.Errors+b.Errors != 0 {
				t.Errorf("production's clients had %d errors", a.Errors+b.Errors)
			}
			second, err := r.Mrtecopy.Stop(r.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			s := &second.Summary
			if b := s.Balance(); b != "" {
				t.Errorf("the second ledger does not balance:\n%s", b)
			}
			r.Only("skipped sessions of the second", s.Sessions.Skipped, "opened_before_start")
			r.Only("lost sessions of the second", s.Sessions.Lost)
			if s.Sessions.Replayed < 20 {
				t.Errorf("the second replayed %d sessions, want most of the 100 that came", s.Sessions.Replayed)
			}
			if s.Commands.Stalled != 0 {
				t.Errorf("%d commands waited without need", s.Commands.Stalled)
			}
		})
	}
}

// connected is how many clients a server has, less the observer.
func connected(t *testing.T, s *lab.Server) int64 {
	t.Helper()
	n, err := s.Number(t.Context(), "SELECT COUNT(*) - 1 FROM information_schema.PROCESSLIST WHERE COMMAND <> 'Daemon' AND USER <> 'system user'")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// --duration ends by itself; what it captured arrives.
func TestDuration(t *testing.T) {
	r := labtest.Begin(t, lab.Run{Mrtecopy: []string{"--duration", "2s"}})
	r.Load("-n", "50", "short")
	result, err := r.Mrtecopy.Wait(r.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.Fair(result)
	if result.ExitCode != 0 || result.Summary.Interrupted || result.Summary.Sessions.Replayed != 50 {
		t.Errorf("exit code %d, interrupted %v, %d sessions replayed; want 0, false, 50",
			result.ExitCode, result.Summary.Interrupted, result.Summary.Sessions.Replayed)
	}
}

// The first signal drains, which may take long; the second ends at once.
func TestSecondSignal(t *testing.T) {
	l := labtest.Lab(t)
	restart(t, l)
	r := labtest.Begin(t, lab.Run{Mrtecopy: []string{"--drain", "1h"}})
	// A lock on the target keeps the response, and so the drain, waiting.
	r.Load("-n", "1", "select")
	if err := l.TargetServer.Exec(t.Context(), "CREATE TABLE app.held (a INT)"); err != nil {
		t.Fatal(err)
	}
	if err := l.ProductionServer.Exec(t.Context(), "CREATE TABLE app.held (a INT)"); err != nil {
		t.Fatal(err)
	}
	if err := l.TargetServer.Exec(t.Context(), "LOCK TABLES app.held WRITE"); err != nil {
		t.Fatal(err)
	}
	r.Client("mariadb", "--no-defaults", "--skip-ssl", "-h", l.Production.V4.String(), "-u", lab.AppUser, "-p"+lab.AppPassword, "-e", "SELECT * FROM app.held")
	waitFor(t, "the target holds the command", func() bool { return connected(t, l.TargetServer) > 0 })
	if err := r.Mrtecopy.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Mrtecopy.Exited():
		t.Fatalf("mrtecopy did not drain:\n%s", r.Mrtecopy.Log())
	case <-time.After(time.Second):
	}
	result, err := r.Mrtecopy.Stop(r.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 1 {
		t.Errorf("exit code %d, want 1: ended at once", result.ExitCode)
	}
	if err := l.TargetServer.Exec(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
}

// A drain that runs out leaves the ledger balanced: what was sent and not
// answered is pending.
func TestDrainRunsOut(t *testing.T) {
	l := labtest.Lab(t)
	for _, s := range []*lab.Server{l.TargetServer, l.ProductionServer} {
		if err := s.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS sbtest.held (a INT)"); err != nil {
			t.Fatal(err)
		}
	}
	r := labtest.Begin(t, lab.Run{Mrtecopy: []string{"--drain", "1s"}})
	if err := l.TargetServer.Exec(t.Context(), "LOCK TABLES sbtest.held WRITE"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.TargetServer.Exec(r.T.Context(), "UNLOCK TABLES") })
	r.Client("mariadb", "--no-defaults", "--skip-ssl", "-h", l.Production.V4.String(), "-u", lab.AppUser, "-p"+lab.AppPassword, "-e", "SELECT 1; SELECT * FROM sbtest.held")
	result := r.Stop()
	s := &result.Summary
	if b := s.Balance(); b != "" {
		t.Errorf("the ledger does not balance:\n%s", b)
	}
	if s.Commands.Pending == 0 || result.ExitCode != 3 {
		t.Errorf("pending %d, exit code %d; want some, and 3", s.Commands.Pending, result.ExitCode)
	}
	if err := l.TargetServer.Exec(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the target has no session left", func() bool { return connected(t, l.TargetServer) == 0 })
}

// Two copies to two ports of one intercept host is a later matter, but a second
// mrtecopy for the same clients must do no harm: its registrations are refused.
func TestTwoAtOnce(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	first := r.Mrtecopy
	r.StartMrtecopy(lab.Run{})
	second := r.Mrtecopy
	r.Load("-n", "50", "-each", "2", "short")
	var replayed int64
	for _, d := range []*lab.Daemon{first, second} {
		result, err := d.Stop(r.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		if b := result.Summary.Balance(); b != "" {
			t.Errorf("the ledger does not balance:\n%s", b)
		}
		replayed += result.Summary.Sessions.Replayed
	}
	if replayed < 50 {
		t.Errorf("both together replayed %d sessions, want at least the 50 that came", replayed)
	}
	if _, err := r.Intercept.Stop(r.Ctx); err != nil {
		t.Fatal(err)
	}
}
