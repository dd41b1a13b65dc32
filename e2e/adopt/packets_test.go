package adopt

import (
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Without an observer a session is adopted with nothing but its packets: its
// text commands are answered on the target from the first one on that can be told
// for a command's beginning.
func TestAdoptPackets(t *testing.T) {
	r := labtest.Prepare(t)
	done := make(chan error, 1)
	go func() {
		_, err := r.TryLoad(r.Lab.Client, r.Lab.Production.V4.String(), "-for", "4s", "-pause", "10ms", "-threads", "5", "trickle")
		done <- err
	}()
	waitFor(t, "the sessions are open", func() bool {
		c, err := r.Production.Since(r.Ctx)
		return err == nil && c["Com_select"] > 5
	})
	run := lab.Run{Mrtecopy: []string{"--adopt-user", lab.AppUser, "--adopt-schema", "app"}}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	must(t, <-done)
	waitFor(t, "the target counts all of the sessions", func() bool {
		c, err := r.Target.Since(r.Ctx)
		return err == nil && c["Connections"] == 5 && r.Target.Open == 0
	})
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	if missing := s.Missing(); missing != "" {
		t.Errorf("not all that was captured was replayed:\n%s", missing)
	}
	if s.Sessions.Adopted.Bare != 5 || s.Sessions.Replayed != 5 || s.Commands.Answered < 500 || s.Commands.Errors != 0 {
		t.Errorf("%+v", s)
	}
	r.Says(result.Log, "adopted: 5 sessions")
	t.Logf("%d commands", s.Commands.Answered)
}
