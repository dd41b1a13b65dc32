package e2e

import (
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// The whole method rests on this: asking for the counters is all that moves
// them, and by as much as the observer takes off.
func TestObserverCountsOnlyClients(t *testing.T) {
	r := labtest.Prepare(t)
	for range 5 {
		production, target := r.CatchUp()
		if len(production) != 0 || len(target) != 0 {
			t.Fatalf("without a client production counted %v, the target %v", production, target)
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.Load("-n", "10", "-each", "3", "short")
	// 3 SELECTs and a COM_QUIT on each connection; the last may still be on its way.
	want := lab.Counters{"Com_select": 30, "Questions": 40, "Connections": 10}
	waitFor(t, "the counters are as expected", func() bool {
		production, err := r.Production.Since(r.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		return lab.Difference(production, want) == ""
	})
}

// And this: the watches on the wires see a packet that should not be there.
func TestWatchesSeeStrays(t *testing.T) {
	l := labtest.Lab(t)
	before, err := l.Seen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	knock := func(from *lab.Host, address string) {
		t.Helper()
		// Refused or unanswered: the SYN is the stray.
		from.Run(t.Context(), "timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/"+address+"/9")
	}
	knock(l.Target, l.Client.V4.String())
	knock(l.Target, l.Production.V6.String())
	knock(l.Production, l.Client.V4.String())
	now, err := l.Seen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := now.Since(before)
	for _, place := range []string{"client", "production", "switch"} {
		if d.Strays[place] == 0 {
			t.Errorf("the watch at %s saw nothing", place)
		}
	}
}

func TestServersStartAlike(t *testing.T) {
	l := labtest.Lab(t)
	for _, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
		n, err := s.Number(t.Context(), "SELECT @@thread_cache_size")
		if err != nil || n != 0 {
			t.Errorf("thread_cache_size is %d (%v), want 0: statement ids would differ", n, err)
		}
	}
	if err := l.FillBench(t.Context()); err != nil { // which compares
		t.Error(err)
	}
}
