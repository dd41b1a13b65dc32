package adopt

import (
	"testing"
)

// What cannot be rebuilt on the target is counted by what it is, and the session
// goes on with the rest: temporary tables, and what an open transaction did so
// far. TLS cannot be read; compression can.
func TestAdoptEdges(t *testing.T) {
	l := raise(t, "mysql-9.7", "mysql-9.7", "ON")
	const plain, encrypted, compressed = 12, 4, 4
	r, all := observed(t, l, func() []*pool {
		return []*pool{
			goPool(t, l, plain, "-temporary", "-transactions"),
			goPool(t, l, encrypted, "-tls", "-first", "100"),
			goPool(t, l, compressed, "-compress", "-first", "200"),
		}
	})
	use(all)
	empty(t, r)
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("lost commands", s.Commands.Lost)
	r.Only("lost sessions", s.Sessions.Lost)
	r.Only("skipped commands", s.Commands.Skipped)
	r.Only("skipped sessions", s.Sessions.Skipped, "tls")
	if s.Sessions.Captured != plain+encrypted+compressed || s.Sessions.Skipped["tls"] != encrypted {
		t.Errorf("%d sessions, skipped %v", s.Sessions.Captured, s.Sessions.Skipped)
	}
	// Of six in a row one has both, two a temporary table only and one a transaction.
	a := s.Sessions.Adopted
	if a.Partly != plain*4/6 || a.Whole != plain*2/6+compressed || a.Bare != 0 || a.Without["temporary_tables"] != plain/2 || a.Without["transaction"] != plain/3 {
		t.Errorf("adopted %+v", a)
	}
	if want := int64(plain / 2 * rounds(t)); s.Commands.Errors != want { // what uses a temporary table
		t.Errorf("%d commands with an error, want %d", s.Commands.Errors, want)
	}
	must(t, l.ProductionServer.Exec(t.Context(), "DELETE FROM app.pool WHERE thread BETWEEN 100 AND 199"))
	sameRows(t, l)
	t.Logf("%d commands answered; adopted %+v", s.Commands.Answered, a)
}
