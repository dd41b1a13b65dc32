//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// collected is how long a daemon that does nothing needs until its garbage is
// collected and given back: Go's runtime collects every two minutes by itself.
const collected = 130 * time.Second

// TestSessions measures what sessions cost that are opened and then do nothing.
func TestSessions(t *testing.T) {
	l := labtest.Own(t, lab.Options{Bare: true})
	from := moreAddresses(t, l, 4) // one address has 51,000 ports
	lines := []struct{ sessions, rate int }{{1_000, 200}, {10_000, 5_000}}
	const most = 100_000
	if n := descriptors(t); n > most {
		lines = append(lines, struct{ sessions, rate int }{most, 5_000})
	} else {
		t.Logf("no line of %d sessions: a light server can have %d file descriptors here", most, n)
	}
	d := &table{name: "sessions", lines: len(lines), titles: []string{"sessions", "opened/s", "mrtecopy µs", "intercept µs", "login delayed p50, p99 µs", "behind",
		"mrtecopy: octets each, then heap", "intercept: octets each, then heap", "idle CPU", "all closed after", "sessions replayed", "drops"}}
	for _, o := range lines {
		t.Run(fmt.Sprint(o.sessions), func(t *testing.T) {
			servers := lightServers(t, l)
			m := replaying(t, l, lab.Run{Mrtecopy: []string{"--max-sessions", "200000", "--status-every", "0s"}, Intercept: []string{"--status-every", "0s"}})
			empty := m.vitals()
			m.begin()

			ctx, disperse := context.WithCancel(t.Context())
			defer disperse()
			args := []string{"-addr", l.Production.V4.String() + ":3306", "-n", fmt.Sprint(o.sessions), "-rate", fmt.Sprint(o.rate)}
			crowd := l.Client.Command(ctx, "loadclient", append(append(args, from...), "crowd")...)
			began := time.Now()
			must(t, crowd.Start())
			n := uint64(o.sessions)
			servers.until("all are open", func(production, _ lab.LightCounts) bool { return production.Sessions >= n })
			opened := time.Now()
			servers.until("all are open on the target", func(_, target lab.LightCounts) bool { return target.Sessions >= n })
			behind := time.Since(opened)
			m.end()
			opening := [2]string{m.perCommand(0, int64(n)), m.perCommand(1, int64(n))}

			time.Sleep(2 * time.Second) // what opening has left to do
			before := m.usage()
			time.Sleep(collected)
			after := m.usage()
			full := m.vitals()
			_, target := servers.counts()

			disperse()
			_ = crowd.Wait() // killed
			gone := time.Now()
			servers.until("all are closed", func(production, target lab.LightCounts) bool { return production.Open+target.Open == 0 })
			closed := time.Since(gone)
			a := m.stop()
			row := []any{o.sessions, fmt.Sprintf("%.0f", float64(n)/opened.Sub(began).Seconds()), opening[0], opening[1],
				fmt.Sprintf("%d, %d", target.Login(0.5).Microseconds(), target.Login(0.99).Microseconds()), seconds(behind)}
			for i := range full {
				each := func(full, empty int) int { return (full - empty) / o.sessions }
				row = append(row, fmt.Sprintf("%d, %d", each(full[i].Memory, empty[i].Memory), each(full[i].Heap, empty[i].Heap)))
			}
			share := func(i int) float64 { return 100 * (after[i].CPU() - before[i].CPU()).Seconds() / collected.Seconds() }
			d.add(t, append(row, fmt.Sprintf("%.2f + %.2f %%", share(0), share(1)), seconds(closed), a.replayed(), a.drops())...)
			for _, s := range []*lab.Light{servers.production, servers.target} {
				_, err := s.Kill(t.Context())
				must(t, err)
			}
		})
	}
	d.write(t, "make bench-lab RUN=Sessions")
}

// descriptors is how many files the light servers can open, who raise their limit
// as far as they may.
func descriptors(t testing.TB) int {
	t.Helper()
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}) // it takes a privilege
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	return int(limit.Max)
}

// vitals asks both programs.
func (m *meter) vitals() (v [2]lab.Vitals) {
	m.t.Helper()
	for i, d := range m.daemons() {
		var err error
		v[i], err = d.Vitals(m.t.Context())
		must(m.t, err)
	}
	return v
}

// replayed says how many of the captured sessions were replayed, and what became
// of the others.
func (a *account) replayed() string {
	s := &a.Sessions
	if s.Replayed == s.Captured {
		return fmt.Sprintf("%d, all", s.Captured)
	}
	return fmt.Sprintf("%d of %d; skipped %v, lost %v", s.Replayed, s.Captured, s.Skipped, s.Lost)
}

// moreAddresses gives the client host n more, and returns loadclient's flags for
// them.
func moreAddresses(t testing.TB, l *lab.Lab, n int) (flags []string) {
	t.Helper()
	for i := range n {
		a := fmt.Sprintf("10.77.0.%d", 101+i)
		_, err := l.Client.Run(t.Context(), "ip", "addr", "add", a+"/24", "dev", "eth0")
		must(t, err)
		flags = append(flags, "-from", a)
	}
	return flags
}
