package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// threads returns these fields of /proc/PID/task/*/status, one line for each
// thread.
func threads(t *testing.T, d *lab.Daemon, fields ...string) (lines []string) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.PID()))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("%s has no threads: %v", d.Name, err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		var line []string
		for l := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(l, ":")
			for _, f := range fields {
				if f == name {
					line = append(line, name+"="+strings.Join(strings.Fields(value), ","))
				}
			}
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return lines
}

// Once everything is open, every thread of both programs has CAP_NET_RAW and
// nothing else, and no way to get more; the memory with the passwords is in no
// core dump. What is left is enough to replay, to open the ring of an interface
// that is back, to reset sessions, and to write the summary into another's
// directory.
func TestPrivilegesAreGivenUp(t *testing.T) {
	l := labtest.Lab(t)
	if os.Getenv("MRTECOPY_BIN") != "" { // built with the race detector, and so with cgo
		r := labtest.Begin(t, lab.Run{})
		r.Says(r.Mrtecopy.Log(), "privileges are kept")
		r.Says(r.Intercept.Log(), "privileges are kept")
		return
	}
	for _, tt := range []struct {
		name string
		more []string
		uid  string
	}{
		{"root", nil, "0,0,0,0"},
		{"another user", []string{"--user", "nobody"}, "65534,65534,65534,65534"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := labtest.Prepare(t)
			link := func(h *lab.Host, command string) {
				if _, err := h.Run(r.Ctx, "sh", "-ec", command); err != nil {
					t.Fatal(err)
				}
			}
			const add, del = "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up", "ip link del d0"
			for _, h := range []*lab.Host{l.Production, l.Blackhole} {
				link(h, add)
				defer link(h, del)
			}
			taps := []string{"--interface", "eth0", "--interface", "d0"}
			r.StartIntercept(lab.Run{Intercept: append(taps[2:], tt.more...)})
			r.StartMrtecopy(lab.Run{Mrtecopy: append(taps, tt.more...)})
			for _, d := range []*lab.Daemon{r.Intercept, r.Mrtecopy} {
				const netRaw = "0000000000002000"
				want := "Uid=" + tt.uid + " Groups= CapInh=0000000000000000 CapPrm=" + netRaw + " CapEff=" + netRaw + " CapAmb=0000000000000000 NoNewPrivs=1 Seccomp=2"
				if tt.more == nil {
					want = strings.Replace(want, " Groups=", "", 1)
				}
				for _, got := range threads(t, d, "Uid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp") {
					if tt.more == nil {
						before, after, _ := strings.Cut(got, " Groups=")
						_, after, _ = strings.Cut(after, " ")
						got = before + " " + after
					}
					if got != want {
						t.Errorf("%s: a thread has\n%s\nwant\n%s", d.Name, got, want)
					}
				}
				limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.PID()))
				if err != nil || !strings.Contains(string(limits), "Max core file size        0                    0 ") {
					t.Errorf("%s may dump core: %v\n%s", d.Name, err, limits)
				}
				// A process that can be dumped belongs to its user here, another one to root.
				if info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", d.PID())); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
					t.Errorf("%s can be read by its user: %v", d.Name, err)
				}
			}
			for _, h := range []*lab.Host{l.Production, l.Blackhole} {
				link(h, del)
			}
			waitFor(t, "mrtecopy misses the interface", func() bool { return contains(r.Mrtecopy.Log(), "an interface is gone") })
			waitFor(t, "intercept misses the interface", func() bool { return contains(r.Intercept.Log(), "capture disturbed") })
			for _, h := range []*lab.Host{l.Production, l.Blackhole} {
				link(h, add)
			}
			waitFor(t, "mrtecopy captures on it again", func() bool { return contains(r.Mrtecopy.Log(), "an interface is back") })
			waitFor(t, "intercept captures on it again", func() bool { return contains(r.Intercept.Log(), "capture goes on") })
			r.Load("-n", "50", "short")
			r.Whole()
		})
	}
}
