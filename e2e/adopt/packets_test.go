package adopt

import (
	"os"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Without an observer a session is adopted with nothing but its packets: its
// text commands are answered on the target from the first one on that can be told
// for a command's beginning.
func TestAdoptPackets(t *testing.T) {
	r := labtest.Prepare(t)
	// Until it is told to end, however long the programs take to start.
	load := r.Lab.Client.Command(r.Ctx, "loadclient", "-addr", r.Lab.Production.V4.String()+":3306", "-for", "5m", "-pause", "10ms", "-threads", "5", "trickle")
	must(t, load.Start())
	waitFor(t, "the sessions are open", func() bool {
		c, err := r.Production.Since(r.Ctx)
		return err == nil && c["Com_select"] > 5
	})
	run := lab.Run{Mrtecopy: []string{"--adopt-user", lab.AppUser, "--adopt-schema", "app"}}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	waitFor(t, "the target has executed some commands of each", func() bool {
		c, err := r.Target.Since(r.Ctx)
		return err == nil && c["Connections"] == 5 && c["Com_select"] >= 500
	})
	must(t, load.Process.Signal(os.Interrupt))
	must(t, load.Wait())
	empty(t, r)
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	if missing := s.Missing(); missing != "" {
		t.Errorf("not all that was captured was replayed:\n%s", missing)
	}
	if s.Sessions.Adopted.Bare != 5 || s.Sessions.Replayed != 5 || s.Commands.Answered < 500 || s.Commands.Errors != 0 {
		t.Errorf("%+v", s)
	}
	r.Says(result.Log, "5 from their packets alone")
	t.Logf("%d commands", s.Commands.Answered)
}
