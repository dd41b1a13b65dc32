// Package patience holds the end-to-end tests that wait for timers of many
// seconds. It has a lab of its own, so that it runs beside package e2e.
package patience

import (
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// Sessions that lie idle for a minute are used afterwards as if nothing had
// been.
func TestIdleForAMinute(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	r.Load("-threads", "100", "-pause", "1m", "-each", "5", "idle")
	r.Whole()
}

// While no intercept comes, sessions wait 10 s, and are then lost with the
// reason; those that come later find it.
func TestInterceptStaysAway(t *testing.T) {
	r := labtest.Prepare(t)
	r.StartMrtecopy(lab.Run{NoIntercept: true})
	r.Load("-n", "5", "-each", "2", "short")
	time.Sleep(13 * time.Second)
	r.StartIntercept(lab.Run{})
	// mrtecopy tries again at its own pace.
	time.Sleep(3 * time.Second)
	r.Load("-n", "7", "-each", "2", "short")
	waitForTarget(t, r, "Com_select", 14)
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("lost sessions", s.Sessions.Lost, "intercept_gone")
	r.Only("lost commands", s.Commands.Lost, "intercept_gone")
	if s.Sessions.Lost["intercept_gone"] != 5 || s.Sessions.Replayed != 7 {
		t.Errorf("lost %v and replayed %d sessions, want 5 and 7", s.Sessions.Lost, s.Sessions.Replayed)
	}
	if result.ExitCode != 3 {
		t.Errorf("exit code %d, want 3", result.ExitCode)
	}
	r.Says(result.Log, "intercept_gone")
}

// When mrtecopy stays away for 30 s, intercept resets its sessions, so that the
// target does not hold them for ever.
func TestInterceptResetsOrphans(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	load := make(chan error, 1)
	go func() {
		_, err := r.TryLoad(r.Lab.Client, r.Lab.Production.V4.String(), "-for", "50s", "-pause", "100ms", "-threads", "10", "trickle")
		load <- err
	}()
	waitForTarget(t, r, "Com_select", 30)
	if _, err := r.Mrtecopy.Kill(r.Ctx); err != nil {
		t.Fatal(err)
	}
	if n := sessions(t, r); n != 10 {
		t.Errorf("the target has %d sessions, want 10", n)
	}
	started := time.Now()
	for sessions(t, r) > 0 {
		if time.Since(started) > 45*time.Second {
			t.Fatalf("after 45 s the target still has %d sessions", sessions(t, r))
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("the orphans were gone after %v", time.Since(started).Round(100*time.Millisecond))
	if err := <-load; err != nil {
		t.Error(err)
	}
	if _, err := r.Intercept.Stop(r.Ctx); err != nil {
		t.Fatal(err)
	}
}

// sessions is how many clients the target has, less the observer.
func sessions(t *testing.T, r *labtest.Replay) int64 {
	t.Helper()
	n, err := r.Lab.TargetServer.Number(r.Ctx, "SELECT COUNT(*) - 1 FROM information_schema.PROCESSLIST WHERE COMMAND <> 'Daemon' AND USER <> 'system user'")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// waitForTarget waits until the target has counted at least n.
func waitForTarget(t *testing.T, r *labtest.Replay, counter string, n int64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := r.Target.Since(r.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		if c[counter] >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the target's %s is %d, want %d", counter, c[counter], n)
		}
	}
}
