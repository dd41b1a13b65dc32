//go:build bench

package bench

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestCore runs the benchmarks of the engines without sockets, as `make bench`
// does.
func TestCore(t *testing.T) {
	names := [][2]string{
		{"Command/select/1", "a short SELECT through mrtecopy, one in each turn, and its answer's way back"},
		{"Command/select/64", "the same, 64 clients' in each turn"},
		{"Command/execute/1", "a COM_STMT_EXECUTE, one in each turn"},
		{"Command/execute/64", "the same, 64 in each turn"},
		{"Command/insert64k/1", "an INSERT of 64 KiB, one in each turn"},
		{"Session", "a session that logs in, says one command, and leaves"},
		{"Million", "a million short SELECTs of 64 clients"},
		{"Response", "an OK through intercept, from a Kinds message to the Report"},
		{"Rows", "a result set of ten rows in one segment"},
	}
	d := &table{name: "core", lines: len(names), titles: []string{"what", "CPU ns", "a second of one core does", "packets sent", "allocations, octets"}}
	found := benchmarks(t, "^Benchmark(Command|Session|Million|Response|Rows)$", "./internal/replay", "./internal/intercept")
	for _, n := range names {
		m := found[n[0]]
		if m == nil {
			t.Fatalf("no benchmark %s: %v", n[0], found)
		}
		ns := m["cpu-ns/op"]
		if all := m["commands/cpu-s"]; all > 0 {
			ns = 1e9 / all
			m["allocs/op"], m["B/op"] = m["allocs/op"]/1e6, m["B/op"]/1e6 // with its clients' logins
		}
		packets := "–"
		if p := m["packets/op"]; p > 0 {
			packets = whole(p)
		}
		d.add(t, n[1], whole(ns), whole(1e9/ns), packets, whole(m["allocs/op"])+", "+whole(m["B/op"]))
	}
	d.write(t, "make bench-lab RUN=Core")
}

// benchmarks runs Go's benchmarks and returns their measures, by name and unit.
func benchmarks(t *testing.T, pattern string, packages ...string) map[string]map[string]float64 {
	t.Helper()
	args := append([]string{"test", "-run", "^$", "-bench", pattern, "-benchmem", "-benchtime", "2s", "-cpu", "1"}, packages...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(repository(t), "tools", "go"), args...)
	cmd.Dir = repository(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := make(map[string]map[string]float64)
	for line := range strings.Lines(string(out)) {
		// BenchmarkNAME  times  value unit  value unit …
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		m := make(map[string]float64)
		for i := 2; i+1 < len(f); i += 2 {
			m[f[i+1]], _ = strconv.ParseFloat(f[i], 64)
		}
		found[strings.TrimPrefix(f[0], "Benchmark")] = m
	}
	return found
}

// whole writes a number without a fraction.
func whole(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }
