//go:build soak

package e2e

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

const (
	sampleEvery = 10 * time.Second
	// After the first fifth of the run neither daemon may grow by more than this
	// from one half of the rest to the other: the median of its memory, and goroutines.
	memoryMore     = 8 << 20 // octets
	goroutinesMore = 2
)

// TestChurn is CHURN of sessions that come and go, as `make churn` runs it: the
// daemons must not grow with them.
func TestChurn(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("CHURN"))
	if err != nil || d < 10*sampleEvery {
		t.Fatalf("CHURN: %v, %v; at least %v are needed", d, err, 10*sampleEvery)
	}
	r := labtest.Begin(t, lab.Run{})
	length := d.String()
	loads := []<-chan labtest.Load{
		inBackground(r, "-for", length, "-threads", "4", "-each", "2", "-pause", "5ms", "short"),
		inBackground(r, "-for", length, "-threads", "2", "-each", "3", "-pause", "5ms", "-prepared", "short"),
		inBackground(r, "-for", length, "-each", "2", "-pause", "20ms", "-compress", "short"),
		inBackground(r, "-for", length, "-threads", "4", "-pause", "10ms", "trickle"),
		inBackground(r, "-for", length, "-pause", "20ms", "write"),
	}
	daemons := []*lab.Daemon{r.Intercept, r.Mrtecopy}
	seen := make([][]lab.Vitals, len(daemons))
	began := time.Now()
	for n := 1; ; n++ {
		at := time.Duration(n) * sampleEvery
		if at > d-sampleEvery/2 {
			break
		}
		time.Sleep(time.Until(began.Add(at)))
		line := fmt.Sprintf("%6v", at)
		for i, daemon := range daemons {
			v, err := daemon.Vitals(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen[i] = append(seen[i], v)
			line += fmt.Sprintf("   %s: memory %5.1f MiB, heap %5.1f MiB, %2d goroutines", daemon.Name, mib(v.Memory), mib(v.Heap), v.Goroutines)
		}
		t.Log(line)
	}
	var sum labtest.Load
	for _, l := range loads {
		load := <-l
		sum.Commands += load.Commands
		sum.Connections += load.Connections
	}
	t.Logf("%d commands of %d sessions", sum.Commands, sum.Connections)
	// What arrived is for other tests to judge: a machine with other work may leave
	// the target too little.
	result := r.Stop()
	r.Fair(result)
	t.Logf("sessions: %d captured, %d replayed, lost %v", result.Summary.Sessions.Captured, result.Summary.Sessions.Replayed, result.Summary.Sessions.Lost)
	if result.Summary.Sessions.Replayed < sum.Connections/2 {
		t.Error("most sessions were not replayed")
	}
	for i, daemon := range daemons {
		warm := seen[i][len(seen[i])/5:]
		first, second := warm[:len(warm)/2], warm[len(warm)/2:]
		before, after := median(first), median(second)
		t.Logf("%s: memory %.1f MiB, then %.1f MiB; %.1f MiB at most", daemon.Name, mib(before), mib(after), mib(most(warm)))
		if after > before+memoryMore {
			t.Errorf("%s grows: %.1f MiB became %.1f MiB", daemon.Name, mib(before), mib(after))
		}
		if a, b := first[0].Goroutines, second[len(second)-1].Goroutines; b > a+goroutinesMore {
			t.Errorf("%s: %d goroutines became %d", daemon.Name, a, b)
		}
	}
}

func mib(n int) float64 { return float64(n) / (1 << 20) }

func median(vs []lab.Vitals) int {
	all := slices.Clone(vs)
	slices.SortFunc(all, func(a, b lab.Vitals) int { return a.Memory - b.Memory })
	return all[len(all)/2].Memory
}

func most(vs []lab.Vitals) int {
	return slices.MaxFunc(vs, func(a, b lab.Vitals) int { return a.Memory - b.Memory }).Memory
}
