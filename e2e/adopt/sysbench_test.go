package adopt

import (
	"fmt"
	"os"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// sysbench sends the types of its parameters with the first execution of each
// statement, before mrtecopy starts, and its threads hardly rest. mrtecopy is
// started again under the load: only what passed meanwhile is missing.
func TestAdoptSysbench(t *testing.T) {
	for _, target := range []string{"mysql-9.7", "mariadb-11.8"} {
		t.Run("mysql-9.7 to "+target, func(t *testing.T) {
			l := raise(t, "mysql-9.7", target, "ON")
			must(t, l.FillBench(t.Context()))
			r := labtest.PrepareIn(t, l)
			const threads, rate, each = 50, 60, 14 // transactions a second; EXECUTEs of one
			args := lab.BenchArgs("oltp_read_only", l.Production.V4.String(), threads, 3600, fmt.Sprint("--rate=", rate))
			load := l.Client.Command(t.Context(), "sysbench", args...)
			must(t, load.Start())
			used := max(3, int(inUse(t).Seconds()/2)) * rate * each
			executes(t, r.Production, 3*rate*each)
			run := lab.Run{Mrtecopy: []string{"--production-dsn", dsn(t, "127.0.0.1")}}
			r.StartIntercept(run)
			for _, last := range []bool{false, true} {
				r.StartMrtecopy(run)
				executes(t, r.Target, used)
				if last {
					must(t, load.Process.Signal(os.Interrupt))
					load.Wait() // it resets its connections
					empty(t, r)
				}
				result, err := r.Mrtecopy.Stop(t.Context())
				must(t, err)
				r.Balanced(result)
				s := &result.Summary
				r.Only("skipped commands", s.Commands.Skipped)
				if !last {
					delete(s.Commands.Lost, "not_sent") // by the end of the program
				}
				r.Only("lost commands", s.Commands.Lost)
				r.Only("skipped sessions", s.Sessions.Skipped)
				r.Only("lost sessions", s.Sessions.Lost)
				if a := s.Sessions.Adopted; a.Whole+a.Partly != threads || s.Commands.Errors != 0 {
					t.Errorf("%d sessions, adopted %+v, %d errors", threads, a, s.Commands.Errors)
				}
				if missing := s.Missing(); last && missing != "" {
					t.Errorf("not all that was captured was replayed:\n%s", missing)
				}
				t.Logf("%d of %d commands answered; adopted %+v", s.Commands.Answered, s.Commands.Captured, s.Sessions.Adopted)
			}
			_, err := r.Intercept.Stop(t.Context())
			must(t, err)
		})
	}
}

// executes waits until a server has executed n more prepared statements.
func executes(t *testing.T, b *lab.Baseline, n int) {
	t.Helper()
	c, err := b.Since(t.Context())
	must(t, err)
	for first, some := c["Com_stmt_execute"], 1000; some < n+1000; some += 1000 {
		want := first + int64(min(some, n))
		waitFor(t, fmt.Sprintf("%d statements are executed", want), func() bool {
			c, err := b.Since(t.Context())
			return err == nil && c["Com_stmt_execute"] >= want
		})
	}
}
