package e2e

import (
	"strconv"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// A stop cuts transactions: their COMMIT is not captured any more. Their locks on
// the target must not keep others waiting, whose commands were captured.
func TestStopDuringWrites(t *testing.T) {
	const (
		rounds  = 3
		threads = 16
		rows    = 50 // so few that the threads wait for each other's locks
	)
	l := labtest.Lab(t)
	if err := l.FillBench(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		r := labtest.Begin(t, lab.Run{Mrtecopy: []string{"--drain", "10s"}})
		load := make(chan error, 1)
		go func() {
			_, err := l.Client.Run(r.Ctx, "sysbench", lab.BenchArgs("oltp_read_write", l.Production.V4.String(), threads, 4, "--tables=1", "--table-size="+strconv.Itoa(rows))...)
			load <- err
		}()
		time.Sleep(2 * time.Second)
		began := time.Now()
		result, err := r.Mrtecopy.Stop(r.Ctx)
		took := time.Since(began)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-load; err != nil {
			t.Errorf("the load: %v", err)
		}
		if _, err := r.Intercept.Stop(r.Ctx); err != nil {
			t.Fatal(err)
		}
		r.Fair(result)
		s := &result.Summary
		t.Logf("stopped in %v with exit code %d: %d commands captured, %d pending, lost %v",
			took.Round(time.Millisecond), result.ExitCode, s.Commands.Captured, s.Commands.Pending, s.Commands.Lost)
		if s.Commands.Pending != 0 || s.Commands.Captured < 1000 || s.Sessions.Captured != threads {
			t.Errorf("%d commands of %d sessions captured, %d pending; want many of %d, and none", s.Commands.Captured, s.Sessions.Captured, s.Commands.Pending, threads)
		}
		if result.ExitCode != 0 {
			t.Errorf("exit code %d, want 0", result.ExitCode)
		}
		if n := connected(t, l.TargetServer); n != 0 {
			t.Errorf("%d sessions are left on the target", n)
		}
	}
}
