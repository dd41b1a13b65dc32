package faults

import (
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Two production servers, each with a mrtecopy of its own, are replayed onto one
// target by way of one intercept. The same clients use both, so that their ports
// may be the same.
func TestTwoProductions(t *testing.T) {
	l := labtest.Own(t, lab.Options{More: []string{"production2"}})
	other := l.Host("production2")
	server := &lab.Server{}
	must(t, l.Serve(t.Context(), other, server))
	must(t, server.Exec(t.Context(), "CREATE DATABASE IF NOT EXISTS app"))
	r := labtest.PrepareIn(t, l)
	second, err := server.Baseline(t.Context())
	must(t, err)
	r.StartIntercept(lab.Run{})
	a := r.StartMrtecopy(lab.Run{})
	b := r.StartMrtecopy(lab.Run{Production: other})
	var waits []func()
	for _, address := range []string{l.Production.V4.String(), other.V4.String()} {
		for _, args := range [][]string{
			{"-threads", "10", "-n", "30", "-each", "2", "loop"},
			{"-for", loadFor, "-pause", "10ms", "-threads", "5", "-prepared", "trickle"},
		} {
			waits = append(waits, background(t, func() error {
				_, err := r.TryLoad(l.Client, address, args...)
				return err
			}))
		}
	}
	for _, wait := range waits {
		wait()
	}
	first, target := quiet(t, r)
	also, err := second.Since(r.Ctx)
	must(t, err)
	for _, name := range []string{"Questions", "Connections", "Com_select", "Com_stmt_execute", "Com_stmt_prepare"} {
		if want := first[name] + also[name]; target[name] != want || also[name] == 0 && first[name] > 0 {
			t.Errorf("%s: the target counted %d, the two productions %d and %d", name, target[name], first[name], also[name])
		}
	}
	for _, d := range []*lab.Daemon{a, b} {
		result, err := d.Stop(r.Ctx)
		must(t, err)
		r.Balanced(result)
		if missing := result.Summary.Missing(); missing != "" {
			t.Errorf("not all was replayed:\n%s", missing)
		}
	}
	_, err = r.Intercept.Stop(r.Ctx)
	must(t, err)
}

// A mrtecopy that was killed works again at once, though its predecessor's
// sessions are still there: on the target until intercept resets them, and at the
// intercept, which refuses their addresses to others.
func TestMrtecopyIsKilled(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Begin(t, lab.Run{})
	orphans := background(t, func() error {
		_, err := r.TryLoad(l.Client, l.Production.V4.String(), "-threads", "20", "-pause", "5s", "idle")
		return err
	})
	waitForOpen(t, r, 20)
	waitForSelects(t, r, 20)
	_, err := r.Mrtecopy.Kill(r.Ctx)
	must(t, err)
	r.StartMrtecopy(lab.Run{})
	r.Load("-n", "100", "-each", "2", "short")
	waitForCommands(t, r.Target, 0)
	if r.Target.Open < 20 {
		t.Errorf("%d sessions are open on the target: were the orphans reset already?", r.Target.Open)
	}
	orphans()
	waitForSelects(t, r, 20+200)
	result, err := r.Mrtecopy.Stop(r.Ctx)
	must(t, err)
	r.Balanced(result)
	s := &result.Summary
	r.Only("skipped sessions", s.Sessions.Skipped, "opened_before_start")
	r.Only("lost sessions", s.Sessions.Lost)
	if s.Sessions.Replayed != 100 || s.Sessions.Skipped["opened_before_start"] != 20 {
		t.Errorf("replayed %d and skipped %v sessions, want 100 and 20", s.Sessions.Replayed, s.Sessions.Skipped)
	}
	_, err = r.Intercept.Stop(r.Ctx)
	must(t, err)
	// Nobody resets the orphans now; that intercept does, e2e/patience tells.
	must(t, l.TargetServer.Exec(r.Ctx, "KILL USER "+lab.AppUser))
	waitForOpen(t, r, 0)
}
