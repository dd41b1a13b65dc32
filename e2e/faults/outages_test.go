//go:build reliability

package faults

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// An outage is something that fails for a while under a load.
type outage struct {
	name     string
	happen   func(t *testing.T, r *labtest.Replay)
	bearable bool     // nothing may be missing
	lasts    string   // the load
	mrtecopy []string // further flags
}

func allOutages(l *lab.Lab) []outage {
	cut := func(h *lab.Host) func(*testing.T, *labtest.Replay) {
		return func(t *testing.T, r *labtest.Replay) {
			must(t, l.Cable(r.Ctx, h, false))
			time.Sleep(20 * time.Second)
			must(t, l.Cable(context.WithoutCancel(r.Ctx), h, true))
		}
	}
	return []outage{
		{"the target's server stands still for 30 s", func(t *testing.T, r *labtest.Replay) {
			must(t, l.TargetServer.Pause(r.Ctx, 30*time.Second))
		}, true, "35s", nil},
		{"the target host is cut off for 20 s", cut(l.Target), false, "25s", nil}, // the last SYN is sent after 15 s
		{"the blackhole host is cut off for 20 s", cut(l.Blackhole), true, "25s", nil},
		{"the control channel is cut for 20 s", func(t *testing.T, r *labtest.Replay) {
			impair(t, l, lab.Faults{Loss: 1}, [2]*lab.Host{l.Production, l.Blackhole}, [2]*lab.Host{l.Blackhole, l.Production})
			time.Sleep(20 * time.Second)
			must(t, l.Mend(r.Ctx))
		}, true, "25s", nil},
		{"intercept is killed, and back after 5 s", func(t *testing.T, r *labtest.Replay) {
			_, err := r.Intercept.Kill(r.Ctx)
			must(t, err)
			time.Sleep(5 * time.Second)
			r.StartIntercept(lab.Run{})
		}, true, "10s", nil},
		// Longer than it waits for a mrtecopy: what it then knows is old.
		{"intercept stands still for 20 s beside another one", func(t *testing.T, r *labtest.Replay) {
			first := r.Intercept
			second := r.StartIntercept(lab.Run{Intercept: []string{"--listen", ":36525"}})
			must(t, first.Signal(syscall.SIGSTOP))
			waitForLog(t, second, "mrtecopy connected", 1)
			time.Sleep(5 * time.Second)
			must(t, first.Signal(syscall.SIGCONT))
			time.Sleep(40 * time.Second)
		}, true, "65s", []string{"--intercept", l.Blackhole.V4.String() + ":36525"}},
		{"the target's server is killed, and back after 3 s", func(t *testing.T, r *labtest.Replay) {
			must(t, l.TargetServer.Kill(r.Ctx))
			time.Sleep(3 * time.Second)
			must(t, l.TargetServer.Start(r.Ctx))
			b, err := l.TargetServer.Baseline(r.Ctx)
			must(t, err)
			r.Target = b
		}, false, "10s", nil},
		{"mrtecopy stands still for 5 s, with a ring of 2 MiB", func(t *testing.T, r *labtest.Replay) {
			must(t, r.Mrtecopy.Signal(syscall.SIGSTOP))
			time.Sleep(5 * time.Second)
			must(t, r.Mrtecopy.Signal(syscall.SIGCONT))
		}, false, "10s", []string{"--ring", "2MiB"}},
	}
}

// TestOutages measures what becomes of a load in an outage.
func TestOutages(t *testing.T) {
	l := labtest.Lab(t)
	all := allOutages(l)
	var rows []string
	for _, o := range all {
		t.Run(o.name, func(t *testing.T) {
			r := labtest.Begin(t, lab.Run{Mrtecopy: append([]string{"--drain", "10s"}, o.mrtecopy...)})
			wait := begun(t, r, o.lasts)
			waitForCommands(t, r.Target, 300)
			o.happen(t, r)
			wait()
			took, _ := caughtUp(t, r, 3*time.Second)
			result := r.Stop()
			if b := result.Summary.Balance(); b != "" {
				t.Errorf("the ledger does not balance:\n%s", b)
			}
			s := &result.Summary
			if missing := s.Missing(); missing != "" && o.bearable {
				t.Errorf("not all was replayed:\n%s", missing)
			} else if missing == "" && !o.bearable {
				t.Error("nothing is missing: did it happen?")
			}
			c := &s.Commands
			row := fmt.Sprintf("| %s | %d | %d | %s | %s | %d | %d of %d, lost %s | %.1f s |", o.name, c.Captured, c.Answered,
				column(c.Skipped), column(c.Lost), c.Pending, s.Sessions.Replayed, s.Sessions.Captured, column(s.Sessions.Lost), took.Seconds())
			rows = append(rows, row)
			t.Log(row)
		})
	}
	text := table([]string{"outage", "captured", "answered", "skipped", "lost", "pending", "sessions replayed", "target behind the load's end"}, rows)
	t.Logf("\n%s", text)
	if len(rows) == len(all) {
		must(t, write(t.Context(), l, "outages", text))
	}
}
