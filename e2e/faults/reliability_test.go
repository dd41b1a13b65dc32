//go:build reliability

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// The load of each measurement: sysbench's read-write load as text and with
// prepared statements, and short connections, all at once. It is far below what
// the servers can do, so that what is measured are the faults.
const (
	loadSeconds = 5
	loadThreads = 6
	loadRate    = 30 // transactions of 20 statements a second, of each of the two
	limit       = 5  // percent of the frames up to which nothing may be missing
)

// A fault is one line's faults, and whether nothing may be missing then.
type fault struct {
	name string
	lab.Faults
	bearable bool
}

func allFaults() []fault {
	all := []fault{{name: "none", bearable: true}}
	for _, kind := range []struct {
		name string
		of   func(share float64) lab.Faults
	}{
		{"loss", func(s float64) lab.Faults { return lab.Faults{Loss: s} }},
		{"duplication", func(s float64) lab.Faults { return lab.Faults{Duplicate: s} }},
		{"reordering", func(s float64) lab.Faults { return lab.Faults{Reorder: s} }},
		{"all three", func(s float64) lab.Faults { return lab.Faults{Loss: s, Duplicate: s, Reorder: s} }},
	} {
		for _, percent := range []int{1, 5, 20} {
			all = append(all, fault{fmt.Sprintf("%s %d %%", kind.name, percent), kind.of(float64(percent) / 100), percent <= limit})
		}
	}
	for _, d := range []time.Duration{2 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond} {
		all = append(all, fault{fmt.Sprintf("delay %v", d), lab.Faults{Delay: d}, true})
	}
	return all
}

// A hop is where the faults are.
type hop struct {
	name string
	ways [][2]*lab.Host
}

// TestReliability measures what becomes of the same load under each fault on each
// hop, and writes docs/reliability.md if it measured all.
func TestReliability(t *testing.T) {
	b := &bench{l: labtest.Own(t, lab.Options{Target: lab.Server{Flags: append([]string{"--thread-cache-size=32"}, lab.SmallServer[1:]...)}})}
	must(t, b.l.FillBench(t.Context()))
	l := b.l
	client, control := [][2]*lab.Host{{l.Client, l.Production}, {l.Production, l.Client}}, [][2]*lab.Host{{l.Production, l.Blackhole}, {l.Blackhole, l.Production}}
	there, back := [][2]*lab.Host{{l.Production, l.Target}}, [][2]*lab.Host{{l.Target, l.Blackhole}}
	hops := []hop{
		{"client ↔ production", client},
		{"mrtecopy → target", there},
		{"target → intercept", back},
		{"control channel", control},
		{"the last three at once", append(append(append([][2]*lab.Host{}, there...), back...), control...)},
	}
	for _, h := range hops {
		for _, f := range allFaults() {
			if f.name == "none" && h.name != hops[0].name {
				continue
			}
			t.Run(h.name+"/"+f.name, func(t *testing.T) { b.measure(t, h, f) })
		}
	}
	text := table([]string{"hop", "fault", "captured", "answered", "skipped", "lost", "pending", "sessions replayed", "target behind the load's end", "lag p99", "sent again"}, b.rows)
	t.Logf("\n%s", text)
	if len(b.rows) == len(hops)*(len(allFaults())-1)+1 {
		must(t, write(t.Context(), l, "faults", text))
	}
}

// A bench is what was measured.
type bench struct {
	l    *lab.Lab
	rows []string
}

// measure is one line of the table.
func (b *bench) measure(t *testing.T, h hop, f fault) {
	l := b.l
	r := labtest.PrepareIn(t, l)
	run := lab.Run{Mrtecopy: []string{"--drain", "10s"}}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	impair(t, l, f.Faults, h.ways...)
	defer func() {
		if err := l.Mend(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()

	var loads []func()
	for _, ps := range []string{"disable", "auto"} {
		loads = append(loads, background(t, func() error {
			_, err := l.Client.Run(r.Ctx, "sysbench", lab.BenchArgs("oltp_read_write", l.Production.V4.String(), loadThreads, loadSeconds,
				"--db-ps-mode="+ps, fmt.Sprint("--rate=", loadRate))...)
			if !f.bearable {
				return nil // it may not even get its connections
			}
			return err
		}))
	}
	loads = append(loads, background(t, func() error {
		_, err := r.TryLoad(l.Client, l.Production.V4.String(), "-for", fmt.Sprint(loadSeconds, "s"), "-pause", "20ms", "-each", "2", "-lax", "short")
		return err
	}))
	for _, wait := range loads {
		wait()
	}
	took, all := caughtUp(t, r, 20*time.Second)
	result := r.Stop()
	r.Balanced(result)
	if h.ways[0][0] != l.Client { // there, a segment that comes behind its connection's end is answered by a reset
		r.Unseen(result)
	}
	s := &result.Summary
	if missing := s.Missing(); missing != "" && f.bearable {
		t.Errorf("not all was replayed:\n%s", missing)
	}
	behind := fmt.Sprintf("%.1f s", took.Seconds())
	if !all {
		behind = "–"
	}
	c, ses := &s.Commands, &s.Sessions
	name := h.name
	if f.name == "none" {
		name = "any"
	}
	row := fmt.Sprintf("| %s | %s | %d | %d | %s | %s | %d | %d of %d | %s | %.0f ms | %d of %d |", name, f.name,
		c.Captured, c.Answered, column(c.Skipped), column(c.Lost), c.Pending, ses.Replayed, ses.Captured, behind, s.LagMs.P99, s.Send.Retransmits, s.Send.Segments)
	b.rows = append(b.rows, row)
	t.Log(row)
}

// column is a column of the ledger, by reason.
func column(reasons map[string]int64) string {
	if len(reasons) == 0 {
		return "0"
	}
	text := strings.Trim(strings.TrimPrefix(fmt.Sprint(reasons), "map"), "[]")
	return strings.NewReplacer(":", " ", " ", ", ").Replace(text)
}

// table draws a table of the document.
func table(titles, rows []string) string {
	return "| " + strings.Join(titles, " | ") + " |\n|" + strings.Repeat(" --- |", len(titles)) + "\n" + strings.Join(rows, "\n") + "\n"
}

// write puts a table into the document, between the markers of that name.
func write(ctx context.Context, l *lab.Lab, name, table string) error {
	begin, end := "<!-- measured: "+name+" -->\n", "<!-- end of "+name+" -->\n"
	file := l.File("docs/reliability.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s: the markers of %s are missing", file, name)
	}
	commit, err := exec.CommandContext(ctx, "git", "-C", l.File("."), "describe", "--always", "--tags").Output()
	if err != nil {
		return err
	}
	version, err := l.ProductionServer.Text(ctx, "SELECT VERSION()")
	if err != nil {
		return err
	}
	head := fmt.Sprintf("\nMeasured on %s with `make reliability`: mrtecopy %s, from MariaDB %s to the same version.\n\n",
		time.Now().UTC().Format("2 January 2006"), strings.TrimSpace(string(commit)), version)
	return os.WriteFile(file, []byte(before+begin+head+table+"\n"+end+after), 0o644)
}
