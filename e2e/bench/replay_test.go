//go:build bench

package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// A meter watches our two programs while they replay.
type meter struct {
	t        testing.TB
	r        *labtest.Replay
	before   [2]lab.Usage // mrtecopy's, intercept's
	after    [2]lab.Usage
	peak     [2]int // octets
	began    time.Time
	profiles []*exec.Cmd
}

// replaying starts both programs.
func replaying(t testing.TB, l *lab.Lab, o lab.Run) *meter {
	t.Helper()
	m := &meter{t: t, r: &labtest.Replay{T: t, Lab: l, Ctx: t.Context()}}
	m.r.StartIntercept(o)
	m.r.StartMrtecopy(o)
	return m
}

func (m *meter) daemons() [2]*lab.Daemon { return [2]*lab.Daemon{m.r.Mrtecopy, m.r.Intercept} }

// begin is where measuring begins.
func (m *meter) begin() {
	m.t.Helper()
	m.before, m.began = m.usage(), time.Now()
	if dir := os.Getenv("PROFILE"); dir != "" {
		for _, d := range m.daemons() {
			name := strings.NewReplacer("/", "-", ",", "").Replace(m.t.Name()) + "-" + d.Name + ".perf"
			perf := exec.Command("perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-g", "-o", filepath.Join(dir, name), "-p", fmt.Sprint(d.PID()))
			must(m.t, perf.Start())
			m.profiles = append(m.profiles, perf)
		}
	}
}

// end is where it ends.
func (m *meter) end() {
	m.t.Helper()
	m.after = m.usage()
	for _, perf := range m.profiles {
		perf.Process.Signal(syscall.SIGINT)
		perf.Wait() // says that it was interrupted
	}
}

// usage reads what both have taken, and keeps the most memory that was seen.
func (m *meter) usage() (u [2]lab.Usage) {
	m.t.Helper()
	for i, d := range m.daemons() {
		var err error
		u[i], err = d.Usage()
		must(m.t, err)
		m.peak[i] = max(m.peak[i], u[i].Memory)
	}
	return u
}

// perCommand is what one of the two took for each of n commands, in microseconds
// of CPU: all, and of it in user and in system space.
func (m *meter) perCommand(i int, n int64) string {
	user, system := m.after[i].User-m.before[i].User, m.after[i].System-m.before[i].System
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(max(n, 1)) }
	return fmt.Sprintf("%.1f (%.1f + %.1f)", per(user+system), per(user), per(system))
}

// memory is the most that each of the two held.
func (m *meter) memory() string { return mib(m.peak[0]) + " + " + mib(m.peak[1]) + " MiB" }

// stop ends both, and returns what they say they did.
func (m *meter) stop() account {
	m.t.Helper()
	mrtecopy, err := m.r.Mrtecopy.Stop(m.r.Ctx)
	must(m.t, err)
	intercept, err := m.r.Intercept.Stop(m.r.Ctx)
	must(m.t, err)
	a := account{Summary: mrtecopy.Summary}
	if mrtecopy.Raw == nil {
		m.t.Fatalf("mrtecopy wrote no summary:\n%s", mrtecopy.Log)
	}
	must(m.t, json.Unmarshal(intercept.Raw, &a.intercept))
	if b := a.Balance(); b != "" {
		m.t.Errorf("the ledger does not balance:\n%s", b)
	}
	return a
}

// An account is both programs' summaries.
type account struct {
	lab.Summary
	intercept struct {
		Capture struct {
			KernelDrops int64 `json:"kernel_drops"`
		}
	}
}

// answered says how many of the captured commands were answered, and what became
// of the others.
func (a *account) answered() string {
	c := &a.Commands
	if c.Answered == c.Captured {
		return fmt.Sprintf("%d, all", c.Captured)
	}
	text := fmt.Sprintf("%d, %.2f %%; pending %d", c.Captured, 100*float64(c.Answered)/float64(max(c.Captured, 1)), c.Pending)
	for _, column := range []map[string]int64{c.Skipped, c.Lost} {
		for reason, n := range column {
			text += fmt.Sprintf(", %s %d", reason, n)
		}
	}
	return text
}

// drops are the frames that the kernel dropped before either program read them.
func (a *account) drops() string {
	return fmt.Sprintf("%d + %d", a.Capture.KernelDrops, a.intercept.Capture.KernelDrops)
}

func (a *account) lag() string { return fmt.Sprintf("%.1f, %.1f", a.LagMs.P50, a.LagMs.P99) }

func mib(octets int) string { return fmt.Sprintf("%.0f", float64(octets)/(1<<20)) }
