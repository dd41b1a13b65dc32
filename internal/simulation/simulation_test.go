package simulation

import (
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

var (
	seedFlag    = flag.Uint64("seed", 0, "replay this seed alone")
	weatherFlag = flag.String("weather", "", "in this weather, such as fair or loss+breaks")
	freshFlag   = flag.Duration("fresh", 0, "for how long fresh seeds are tried, behind the fixed ones")
)

var quiet = slog.New(slog.DiscardHandler)

// fixed is how many seeds are tried in each weather, always the same.
const fixed = 20

// TestSimulation replays in all weathers, by fixed seeds and with -fresh by others
// too. One that fails is replayed, with all that happens, by
//
//	go test ./internal/simulation -run 'TestSimulation$' -seed=12345 -weather=loss+breaks -v
func TestSimulation(t *testing.T) {
	all := weathers()
	if *weatherFlag != "" {
		w, err := parseWeather(*weatherFlag)
		if err != nil {
			t.Fatal(err)
		}
		all = []weather{w}
	}
	if *seedFlag != 0 {
		for _, w := range all {
			t.Run(w.String(), func(t *testing.T) { simulate(t, *seedFlag, w, testing.Verbose()) })
		}
		return
	}
	n, begun := 0, time.Now()
	for _, w := range all {
		t.Run(w.String(), func(t *testing.T) {
			for seed := range uint64(fixed) {
				simulate(t, 1+seed, w, false)
				n++
			}
		})
	}
	first := uint64(time.Now().UnixNano()) &^ (1<<20 - 1)
	t.Run("fresh", func(t *testing.T) {
		for seed, end := first, time.Now().Add(*freshFlag); time.Now().Before(end); seed++ {
			simulate(t, seed, all[seed%uint64(len(all))], false)
			n++
		}
	})
	d := time.Since(begun)
	t.Logf("%d scenarios in %v, %.0f a second; fresh seeds from %d on", n, d.Round(time.Millisecond), float64(n)/d.Seconds(), first)
}

// simulate runs one scenario. If it fails it is run again for a trace.
func simulate(t *testing.T, seed uint64, w weather, trace bool) {
	t.Helper()
	m := newWorld(seed, w)
	if trace {
		m.out = func(s string) { t.Log(s) }
	}
	err := m.run()
	if err == nil {
		return
	}
	command := fmt.Sprintf("go test ./internal/simulation -run 'TestSimulation$' -seed=%d -weather=%v -v", seed, w)
	if trace {
		t.Fatalf("%v\n%s", err, command)
	}
	const last = 40
	var lines []string
	again := newWorld(seed, w)
	again.out = func(s string) {
		if lines = append(lines, s); len(lines) > last {
			lines = lines[1:]
		}
	}
	if other := again.run(); other == nil || other.Error() != err.Error() {
		lines = append(lines, fmt.Sprintf("It does not repeat itself: %v", other))
	}
	t.Fatalf("%v\n\n%s\nthe end of\n\t%s", err, strings.Join(lines, "\n"), command)
}

// TestSimulationRepeatsItself runs scenarios twice: all that is sent is the same.
func TestSimulationRepeatsItself(t *testing.T) {
	for _, w := range weathers() {
		for seed := range uint64(2) {
			a, b := newWorld(seed, w), newWorld(seed, w)
			errA, errB := a.run(), b.run()
			if a.sum != b.sum || a.now != b.now || fmt.Sprint(errA) != fmt.Sprint(errB) {
				t.Errorf("%v, seed %d: %08x at %v, then %08x at %v (%v, %v)", w, seed, a.sum, a.now, b.sum, b.now, errA, errB)
			}
		}
	}
}

func FuzzSimulation(f *testing.F) {
	for _, w := range weathers() {
		f.Add(uint64(1), uint32(w))
	}
	f.Fuzz(func(t *testing.T, seed uint64, w uint32) { simulate(t, seed, weather(w)&(1<<numWeathers-1), false) })
}
