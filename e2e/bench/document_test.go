//go:build bench

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A table is one table of the document.
type table struct {
	name   string // of its markers
	titles []string
	lines  int // of the whole table
	rows   []string
}

// add adds a row.
func (d *table) add(t testing.TB, cells ...any) {
	t.Helper()
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = fmt.Sprint(c)
	}
	row := "| " + strings.Join(text, " | ") + " |"
	d.rows = append(d.rows, row)
	t.Log(row)
}

// write shows the table, and puts it into docs/performance.md if it is whole.
func (d *table) write(t testing.TB, how string) {
	t.Helper()
	if t.Failed() || len(d.rows) == 0 {
		return
	}
	text := "| " + strings.Join(d.titles, " | ") + " |\n|" + strings.Repeat(" --- |", len(d.titles)) + "\n" + strings.Join(d.rows, "\n") + "\n"
	t.Logf("\n%s", text)
	if len(d.rows) < d.lines {
		return
	}
	file := filepath.Join(repository(t), "docs", "performance.md")
	document, err := os.ReadFile(file)
	must(t, err)
	begin, end := "<!-- measured: "+d.name+" -->\n", "<!-- end of "+d.name+" -->\n"
	before, rest, ok := strings.Cut(string(document), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: the markers of %s are missing", file, d.name)
	}
	head := fmt.Sprintf("\nMeasured on %s with `%s`: %s; mrtecopy %s.\n\n", time.Now().UTC().Format("2 January 2006"), how, machine(), commit(t))
	must(t, os.WriteFile(file, []byte(before+begin+head+text+"\n"+end+after), 0o644))
}

// repository is its root, two levels above this folder.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	must(t, err)
	return dir
}

func commit(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", repository(t), "describe", "--always", "--tags").Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// machine names what was measured on, and how busy it was with other things
// before: one minute's load average.
func machine() string {
	model := "a CPU unknown"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name\t: "); ok {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	var kernel, load string
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel, _, _ = strings.Cut(strings.TrimSpace(string(b)), "-")
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(b), " ")
	}
	return fmt.Sprintf("%d × %s, Linux %s, %s, load average %s at the end", runtime.NumCPU(), model, kernel, runtime.Version(), load)
}
