package labtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
)

// A Replay is the two programs running, with counting begun on both servers.
type Replay struct {
	T   testing.TB
	Lab *lab.Lab
	Ctx context.Context

	Intercept, Mrtecopy *lab.Daemon

	Production, Target *lab.Baseline
	seen               lab.Seen
	loaded             time.Time // when the last load ended
}

// A Load is what loadclient says it did.
type Load struct {
	Commands, Connections, Errors int64
	Seconds                       float64
}

// patience is how long a replay may go on behind its load without the target
// counting anything more. It is a bound against hanging, no measure: how long it
// took is logged.
const patience = 30 * time.Second

// Begin starts counting, then intercept, then mrtecopy. What is still running
// when the test ends is killed, and what it said is logged if the test failed.
func Begin(t testing.TB, o lab.Run) *Replay {
	t.Helper()
	r := Prepare(t)
	if !o.NoIntercept {
		r.StartIntercept(o)
	}
	r.StartMrtecopy(o)
	return r
}

// Prepare empties the schema app and starts counting, but no program yet.
func Prepare(t testing.TB) *Replay {
	t.Helper()
	return PrepareIn(t, Lab(t))
}

// PrepareIn is Prepare in another lab than the test binary's; statements are
// run on both servers before the counting.
func PrepareIn(t testing.TB, l *lab.Lab, statements ...string) *Replay {
	t.Helper()
	r := &Replay{T: t, Lab: l, Ctx: t.Context()}
	for _, s := range []struct {
		server   *lab.Server
		baseline **lab.Baseline
	}{{r.Lab.ProductionServer, &r.Production}, {r.Lab.TargetServer, &r.Target}} {
		r.must(s.server.Empty(r.Ctx))
		r.must(s.server.Exec(r.Ctx, "DROP DATABASE IF EXISTS app", "CREATE DATABASE app"))
		r.must(s.server.Exec(r.Ctx, statements...))
		b, err := s.server.Baseline(r.Ctx)
		r.must(err)
		*s.baseline = b
	}
	seen, err := r.Lab.Seen(r.Ctx)
	r.must(err)
	r.seen = seen
	return r
}

// StartIntercept starts intercept.
func (r *Replay) StartIntercept(o lab.Run) *lab.Daemon {
	r.T.Helper()
	d, err := r.Lab.StartIntercept(r.Ctx, o)
	r.Tend(d)
	r.must(err)
	r.Intercept = d
	return d
}

// StartMrtecopy starts mrtecopy.
func (r *Replay) StartMrtecopy(o lab.Run) *lab.Daemon {
	r.T.Helper()
	d, err := r.Lab.StartMrtecopy(r.Ctx, o)
	r.Tend(d)
	r.must(err)
	r.Mrtecopy = d
	return d
}

// Tend ends a daemon with the test.
func (r *Replay) Tend(d *lab.Daemon) {
	if d == nil {
		return
	}
	r.T.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := d.Kill(ctx); err != nil {
			r.T.Error(err)
		}
		if r.T.Failed() {
			r.T.Logf("%s said:\n%s", d.Name, tail(d.Log(), 60))
		}
	})
}

func tail(s string, lines int) string {
	l := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(l[max(0, len(l)-lines):], "\n")
}

func (r *Replay) must(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatal(err)
	}
}

// Load runs loadclient on the client host against production and returns what
// it did. Arguments are its flags and the kind of load.
func (r *Replay) Load(args ...string) Load {
	r.T.Helper()
	return r.LoadFrom(r.Lab.Client, r.Lab.Production.V4.String(), args...)
}

// LoadFrom is Load from any host to any of production's addresses.
func (r *Replay) LoadFrom(h *lab.Host, address string, args ...string) Load {
	r.T.Helper()
	l, err := r.TryLoad(h, address, args...)
	if err != nil {
		r.T.Fatalf("load %s: %v", strings.Join(args, " "), err)
	}
	return l
}

// TryLoad is LoadFrom for loads that may fail, and for other goroutines.
func (r *Replay) TryLoad(h *lab.Host, address string, args ...string) (l Load, err error) {
	out, err := h.Run(r.Ctx, "loadclient", append([]string{"-addr", net.JoinHostPort(address, "3306")}, args...)...)
	if jerr := json.Unmarshal([]byte(out), &l); err == nil && jerr != nil {
		err = fmt.Errorf("loadclient said %q: %w", out, jerr)
	}
	r.loaded = time.Now()
	return l, err
}

// Errors is how many commands production has answered with an error since the
// counting began.
func (r *Replay) Errors() int64 {
	r.T.Helper()
	now, err := r.Lab.Seen(r.Ctx)
	r.must(err)
	return now.Since(r.seen).Errors
}

// Client runs any client program on the client host; it counts as a load.
func (r *Replay) Client(name string, args ...string) string {
	r.T.Helper()
	out, err := r.Lab.Client.Run(r.Ctx, name, args...)
	r.loaded = time.Now()
	r.must(err)
	return out
}

// CatchUp waits until the target has counted all that production has, and
// returns what both have. It gives up when the target stays behind. Of the
// counters named the target may have more; these are evened out.
func (r *Replay) CatchUp(more ...string) (production, target lab.Counters) {
	r.T.Helper()
	var counted int64
	moved := time.Now()
	for {
		var err error
		production, err = r.Production.Since(r.Ctx)
		r.must(err)
		target, err = r.Target.Since(r.Ctx)
		r.must(err)
		for _, name := range more {
			if target[name] > production[name] {
				target[name] = production[name]
			}
		}
		if n := target["Questions"]; n != counted {
			counted, moved = n, time.Now()
		}
		if lab.Difference(production, target) == "" || time.Since(moved) > patience {
			return production, target
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop stops mrtecopy, then intercept, and returns mrtecopy's result.
func (r *Replay) Stop() lab.Result {
	r.T.Helper()
	result, err := r.Mrtecopy.Stop(r.Ctx)
	r.must(err)
	if r.Intercept != nil {
		ri, err := r.Intercept.Stop(r.Ctx)
		r.must(err)
		if ri.ExitCode != 0 {
			r.T.Errorf("intercept ended with code %d, want 0", ri.ExitCode)
		}
		r.sound("intercept", ri.Log)
	}
	r.sound("mrtecopy", result.Log)
	return result
}

// sound fails the test if a program's log tells of a crash or a data race.
func (r *Replay) sound(name, log string) {
	r.T.Helper()
	for _, cry := range []string{"panic:", "fatal error:", "DATA RACE", "goroutine 1 ["} {
		if strings.Contains(log, cry) {
			r.T.Errorf("%s crashed: its log has %q", name, cry)
		}
	}
}
