package faults

import (
	"context"
	"fmt"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// A target that ends idle sessions takes them away from clients that are not idle
// too long on production: they are lost, once each, and so is what they say later.
func TestTargetEndsIdleSessions(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Prepare(t)
	set(t, l, "wait_timeout", "1", "28800")
	run := lab.Run{}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	const sessions, later = 12, 3
	r.Load("-threads", fmt.Sprint(sessions), "-pause", "4s", "-each", fmt.Sprint(later), "idle")
	quiet(t, r)
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("lost sessions", s.Sessions.Lost, "target_closed")
	r.Only("lost commands", s.Commands.Lost, "target_closed")
	// Before the pause each had a command; behind it some, and a COM_QUIT.
	if n, m := s.Sessions.Lost["target_closed"], s.Commands.Lost["target_closed"]; n != sessions || m != sessions*(later+1) {
		t.Errorf("%d sessions and %d commands are lost, want %d and %d", n, m, sessions, sessions*(later+1))
	}
	if s.Commands.Answered != sessions || result.ExitCode != 3 {
		t.Errorf("%d commands answered, exit code %d; want %d, 3", s.Commands.Answered, result.ExitCode, sessions)
	}
	r.Says(result.Log, "target_closed")
}

// A target that has connections for some only refuses the others, which are lost
// with its words. Those that come when there is room again are replayed.
func TestTargetIsOutOfConnections(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Prepare(t)
	set(t, l, "max_connections", "10", "2000") // MariaDB's least; root has one more
	run := lab.Run{}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	const sessions, each = 25, 2
	r.Load("-threads", fmt.Sprint(sessions), "-pause", "3s", "-each", fmt.Sprint(each), "idle")
	quiet(t, r)
	r.Load("-n", "5", "short")
	quiet(t, r)
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("lost sessions", s.Sessions.Lost, "login_refused")
	r.Only("lost commands", s.Commands.Lost, "login_refused")
	// The target's 10 are for the 9 that came first beside the observer, or 10.
	refused := s.Sessions.Lost["login_refused"]
	if refused < sessions-10 || refused > sessions-9 || s.Sessions.Replayed != sessions+5-refused {
		t.Errorf("%d sessions lost, %d replayed, want about %d and the rest of %d", refused, s.Sessions.Replayed, sessions-10, sessions+5)
	}
	if lost := s.Commands.Lost["login_refused"]; lost != refused*(each+2) || s.Commands.Captured != sessions*(each+2)+5*2 {
		t.Errorf("%d of %d commands are lost, want %d of %d", lost, s.Commands.Captured, refused*(each+2), sessions*(each+2)+5*2)
	}
	r.Says(result.Log, "ERROR 1040", "login_refused")
}

// set sets a global variable of the target's, and back when the test ends.
func set(t *testing.T, l *lab.Lab, name, value, back string) {
	t.Helper()
	must(t, l.TargetServer.Exec(t.Context(), "SET GLOBAL "+name+" = "+value))
	t.Cleanup(func() {
		if err := l.TargetServer.Exec(context.WithoutCancel(t.Context()), "SET GLOBAL "+name+" = "+back); err != nil {
			t.Error(err)
		}
	})
}
