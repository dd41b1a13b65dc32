//go:build bench

package bench

import (
	"fmt"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// TestSingle measures one connection that says one command after the other: how
// long that takes, and how much longer until all of it was replayed.
func TestSingle(t *testing.T) {
	const commands = 5000
	d := &table{name: "single", lines: 2 * 2, titles: []string{"servers", "replay", "5,000 SELECTs took", "behind", "of the rate without replay", "of the rate with it", "lag p50, p99 ms"}}
	args := []string{"-n", fmt.Sprint(commands), "-what", "select", "paced"}
	rate := func(of, is time.Duration) string { return fmt.Sprintf("%.0f %%", 100*float64(of)/float64(is)) }
	native := make(map[string]time.Duration)
	// line measures once; the replay is as fast as the load without one, if it ends with it.
	line := func(t *testing.T, l *lab.Lab, servers string, replay bool, caughtUp func(load) time.Duration) {
		var m *meter
		if replay {
			m = replaying(t, l, lab.Run{})
		}
		did := loading(t, l, args...)(func() {})
		took := did.Ended.Sub(did.Began)
		if !replay {
			native[servers] = took
			d.add(t, servers, "no", seconds(took), "–", "–", "–", "–")
			return
		}
		behind := caughtUp(did)
		a := m.stop()
		d.add(t, servers, "yes", seconds(took), seconds(behind), rate(native[servers], took+behind), rate(took, took+behind), a.lag())
	}
	t.Run("light", func(t *testing.T) {
		l := labtest.Own(t, lab.Options{Bare: true})
		servers := lightServers(t, l)
		for _, replay := range []bool{false, true} {
			servers.mark()
			line(t, l, "light", replay, func(did load) time.Duration { return servers.caughtUp(did.Ended, func() {}) })
		}
	})
	t.Run("MariaDB", func(t *testing.T) {
		l := labtest.Own(t, lab.Options{Unwatched: true})
		must(t, l.FillBench(t.Context()))
		for _, replay := range []bool{false, true} {
			b := newBehind(t, l)
			line(t, l, "MariaDB", replay, func(did load) time.Duration { return b.caughtUp(did.Ended) })
		}
	})
	d.write(t, "make bench-lab RUN=Single")
}
