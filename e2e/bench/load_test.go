//go:build bench

package bench

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"mrtecopy/internal/lab"
)

// A load is what loadclient says it did.
type load struct {
	Commands, Errors int64
	Began, Ended     time.Time
	Latency          [3]float64 `json:"latency_us"` // 50, 95, 99 %
	CPU              float64
}

// rate is how many commands a second it asked.
func (l *load) rate() float64 { return float64(l.Commands) / l.Ended.Sub(l.Began).Seconds() }

// loading starts a load on the client host, and returns what waits for it, and
// looks on meanwhile, twenty times a second.
func loading(t testing.TB, l *lab.Lab, args ...string) (wait func(see func()) load) {
	t.Helper()
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := l.Client.Run(t.Context(), "loadclient", append([]string{"-addr", l.Production.V4.String() + ":3306"}, args...)...)
		done <- result{out, err}
	}()
	return func(see func()) (did load) {
		t.Helper()
		for {
			select {
			case r := <-done:
				must(t, r.err)
				must(t, json.Unmarshal([]byte(r.out), &did))
				if did.Errors > 0 {
					t.Errorf("%d errors", did.Errors)
				}
				return did
			case <-time.After(50 * time.Millisecond):
				see()
			}
		}
	}
}

// A pair is the light servers on both ends, and what they had counted when it was
// made.
type pair struct {
	t                  testing.TB
	production, target *lab.Light
	start              [2]lab.LightCounts
}

// lightServers starts both.
func lightServers(t testing.TB, l *lab.Lab) *pair {
	t.Helper()
	p := &pair{t: t}
	var err error
	p.production, err = l.StartLight(t.Context(), l.Production)
	must(t, err)
	p.target, err = l.StartLight(t.Context(), l.Target)
	must(t, err)
	return p
}

// mark is where counting begins.
func (p *pair) mark() {
	p.t.Helper()
	p.start = [2]lab.LightCounts{}
	production, target := p.counts()
	p.start = [2]lab.LightCounts{production, target}
}

// counts are both servers' since the mark. Open is what it is now.
func (p *pair) counts() (production, target lab.LightCounts) {
	p.t.Helper()
	var c [2]lab.LightCounts
	for i, s := range []*lab.Light{p.production, p.target} {
		var err error
		c[i], err = s.Counts()
		must(p.t, err)
		c[i].Commands -= p.start[i].Commands
		c[i].Sessions -= p.start[i].Sessions
	}
	return c[0], c[1]
}

// until waits until a condition holds, and asks every millisecond.
func (p *pair) until(what string, holds func(production, target lab.LightCounts) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(p.counts()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			production, target := p.counts()
			p.t.Fatalf("%s: not within a minute; production %+v, target %+v", what, production, target)
		}
	}
}

// caughtUp waits until the target has counted all that production has, or nothing
// more for ten seconds; it returns how long after the load's end that was.
func (p *pair) caughtUp(ended time.Time, see func()) time.Duration {
	p.t.Helper()
	const patience = 10 * time.Second
	var counted uint64
	for moved := time.Now(); time.Since(moved) < patience; time.Sleep(time.Millisecond) {
		production, target := p.counts()
		if target.Commands >= production.Commands {
			return time.Since(ended)
		}
		if target.Commands != counted {
			counted, moved = target.Commands, time.Now()
		}
		see()
	}
	return never
}

// never is how far a target is behind that stays behind.
const never = 1000 * time.Hour

func seconds(d time.Duration) string {
	if d == never {
		return "never"
	}
	return fmt.Sprintf("%.3f s", d.Seconds())
}
