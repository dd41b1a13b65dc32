package adopt

import (
	"strings"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// With an observer on a server that tells everything, every command behind the
// start is answered on the target, and finds the state that it finds on
// production: the rows that pools write down say so.
func TestAdoptObserver(t *testing.T) {
	for _, target := range []string{"mysql-9.7", "mariadb-11.8"} {
		t.Run("mysql-9.7 to "+target, func(t *testing.T) {
			l := raise(t, "mysql-9.7", target, "ON")
			r, all := observed(t, l, func() []*pool { return pools(t, l, "mysql2", "mariadb") })
			use(all)
			empty(t, r)
			result := r.Stop()
			r.Fair(result)
			s := &result.Summary
			if missing := s.Missing(); missing != "" {
				t.Errorf("not all that was captured was replayed:\n%s", missing)
			}
			// The observer itself is no session.
			if a := s.Sessions.Adopted; s.Sessions.Captured != 50 || a.Whole != 50 {
				t.Errorf("%d sessions, adopted %+v", s.Sessions.Captured, a)
			}
			t.Logf("%d commands, %d with an error; adopted %+v", s.Commands.Answered, s.Commands.Errors, s.Sessions.Adopted)
			sameRows(t, l)
		})
	}
}

// observed warms pools, and then starts a replay with an observer that has asked
// about every session.
func observed(t *testing.T, l *lab.Lab, pools func() []*pool) (*labtest.Replay, []*pool) {
	t.Helper()
	r := labtest.PrepareIn(t, l, poolTable)
	all := pools()
	copyPool(t, l)
	run := lab.Run{Mrtecopy: []string{"--production-dsn", dsn(t, "127.0.0.1")}}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	waitFor(t, "production was asked", func() bool { return strings.Contains(r.Mrtecopy.Log(), "is known") })
	return r, all
}

// empty waits until the target has no session left.
func empty(t *testing.T, r *labtest.Replay) {
	t.Helper()
	waitFor(t, "the target has no session left", func() bool {
		_, err := r.Target.Since(r.Ctx)
		return err == nil && r.Target.Open == 0
	})
}

// Where production tells less, text commands are answered all the same; what is
// skipped has its reason, and nothing is lost.
func TestAdoptLess(t *testing.T) {
	for _, tt := range []struct{ production, target, schema string }{
		{"mariadb-10.11", "mariadb-10.11", "ON"},
		{"mariadb-10.11", "mariadb-10.11", "OFF"},
		{"mysql-5.6", "mysql-9.7", "ON"},
	} {
		t.Run(tt.production+" with performance_schema "+tt.schema+" to "+tt.target, func(t *testing.T) {
			l := raise(t, tt.production, tt.target, tt.schema)
			r, all := observed(t, l, func() []*pool { return pools(t, l, "mysql2") })
			use(all)
			result := r.Stop()
			r.Fair(result)
			s := &result.Summary
			r.Only("lost commands", s.Commands.Lost)
			r.Only("lost sessions", s.Sessions.Lost)
			if tt.production == "mariadb-10.11" && tt.schema == "ON" {
				r.Only("skipped commands", s.Commands.Skipped)
			} else {
				r.Only("skipped commands", s.Commands.Skipped, "unseen_statement")
			}
			if s.Sessions.Adopted.Partly != 35 || s.Sessions.Replayed != 35 {
				t.Errorf("%d sessions replayed, adopted %+v", s.Sessions.Replayed, s.Sessions.Adopted)
			}
			t.Logf("%d commands answered, skipped %v; %d with an error; adopted %+v", s.Commands.Answered, s.Commands.Skipped, s.Commands.Errors, s.Sessions.Adopted)
		})
	}
}
