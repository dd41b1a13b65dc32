// Command verdict reads `go test -json` from standard input, prints what a
// person wants to read of it, and judges more strictly than go test does: a
// skipped test, or a package without a test that ran, fails the run.
//
//	go test -json ./... | verdict [-v] NAME
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// An event is one line of go test -json; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

type verdict struct {
	out     io.Writer
	verbose bool

	passed, failed, skipped []string
	packages                map[string]int      // tests that passed, by package
	said                    map[string][]string // output of tests, until they end
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	v := &verdict{out: stdout, packages: map[string]int{}, said: map[string][]string{}}
	if len(args) > 0 && args[0] == "-v" {
		v.verbose, args = true, args[1:]
	}
	if len(args) != 1 {
		fmt.Fprintln(stderr, "usage: go test -json PACKAGES | verdict [-v] NAME")
		return 2
	}
	started := time.Now()
	lines := bufio.NewScanner(stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(stdout, lines.Text()) // such as a message of the go command
			continue
		}
		v.take(e)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(stderr, "verdict:", err)
		return 1
	}
	return v.close(args[0], time.Since(started))
}

// take counts one event.
func (v *verdict) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		v.said[key] = append(v.said[key], e.Output)
	case "build-output":
		fmt.Fprint(v.out, e.Output)
	case "build-fail":
		v.failed = append(v.failed, e.ImportPath+" (does not build)")
	case "pass", "fail", "skip":
		v.end(e, key)
	}
}

// end counts the end of a test or, with an empty Test, of a package.
func (v *verdict) end(e event, key string) {
	said := v.said[key]
	delete(v.said, key)
	if e.Test == "" {
		if e.Action == "skip" {
			return // no test files
		}
		if e.Action == "fail" && !slices.ContainsFunc(v.failed, func(f string) bool { return strings.HasPrefix(f, e.Package) }) {
			v.failed = append(v.failed, e.Package) // such as a panic, or a timeout
			fmt.Fprint(v.out, strings.Join(said, ""))
		}
		fmt.Fprintf(v.out, "%-4s %-34s %3d tests %7.1fs\n", strings.ToUpper(e.Action), e.Package, v.packages[e.Package], e.Elapsed)
		if e.Action == "pass" && v.packages[e.Package] == 0 {
			v.failed = append(v.failed, e.Package+" (no test ran)")
		}
		return
	}
	name := e.Package + " " + e.Test
	switch e.Action {
	case "pass":
		v.passed = append(v.passed, name)
		v.packages[e.Package]++
	case "fail":
		v.failed = append(v.failed, name)
	case "skip":
		v.skipped = append(v.skipped, name)
	}
	if v.verbose || e.Action != "pass" {
		for _, line := range said {
			if !strings.HasPrefix(line, "=== ") {
				fmt.Fprint(v.out, line)
			}
		}
	}
}

// close prints the end line and returns the exit code.
func (v *verdict) close(name string, took time.Duration) int {
	for _, list := range []struct {
		what  string
		tests []string
	}{{"skipped, which counts as failed here", v.skipped}, {"failed", v.failed}} {
		for _, test := range list.tests {
			fmt.Fprintf(v.out, "%s: %s\n", list.what, test)
		}
	}
	word, code := "OK", 0
	if len(v.failed)+len(v.skipped) > 0 || len(v.passed) == 0 {
		word, code = "FAILED", 1
	}
	fmt.Fprintf(v.out, "%s %s: %d passed, %d failed, %d skipped, in %v\n\n",
		word, name, len(v.passed), len(v.failed), len(v.skipped), took.Round(time.Second))
	return code
}
