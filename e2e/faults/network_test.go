package faults

import (
	"context"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Whatever the network does to packets between production, target and blackhole
// host, in a twentieth of all cases each: every command is answered, and the
// target's tables are production's in the end.
func TestFaultyNetwork(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Begin(t, lab.Run{})
	t.Cleanup(func() {
		if err := l.Mend(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	impair(t, l, lab.Faults{Loss: 0.05, Duplicate: 0.05, Reorder: 0.05},
		[2]*lab.Host{l.Production, l.Target}, [2]*lab.Host{l.Target, l.Blackhole},
		[2]*lab.Host{l.Production, l.Blackhole}, [2]*lab.Host{l.Blackhole, l.Production})
	wait := begun(t, r, loadFor)
	r.Load("-n", "30", "mixed")
	r.Load("-n", "3", "-size", "1500000", "insert")
	wait()
	caughtUp(t, r, patience)
	for _, way := range [][2]*lab.Host{{l.Production, l.Target}, {l.Target, l.Blackhole}, {l.Production, l.Blackhole}, {l.Blackhole, l.Production}} {
		if n := l.Faulted(way[0], way[1]); n.Lost == 0 || n.Duplicated == 0 || n.Reordered == 0 {
			t.Errorf("from %s to %s not every fault happened: %+v", way[0].Name, way[1].Name, n)
		}
	}
	result := r.Stop()
	r.Balanced(result)
	if missing := result.Summary.Missing(); missing != "" || result.ExitCode != 0 {
		t.Errorf("exit code %d; not all was replayed:\n%s", result.ExitCode, missing)
	}
	production, err := r.Production.Since(r.Ctx)
	must(t, err)
	target, err := r.Target.Since(r.Ctx)
	must(t, err)
	// A login that is lost begins again on another connection.
	for _, name := range []string{"Connections", "Aborted_connects", "Aborted_clients"} {
		delete(production, name)
		delete(target, name)
	}
	if d := lab.Difference(production, target); d != "" {
		t.Errorf("the target's counters differ from production's:\n%s", d)
	}
	r.SameTables("app")
	t.Logf("%d commands of %d sessions; lag p99 %.0f ms; %d of %d segments again",
		result.Summary.Commands.Answered, result.Summary.Sessions.Replayed, result.Summary.LagMs.P99, result.Summary.Send.Retransmits, result.Summary.Send.Segments)
}
