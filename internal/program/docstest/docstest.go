// Package docstest holds docs/operations.md to the flags the programs have. It
// is for the tests of the programs, whose folders are two below the root.
package docstest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// Flags fails the test unless the table under command's heading lists exactly
// these flags, with their short names and defaults.
func Flags(tb testing.TB, command string, flags []cli.Flag) {
	tb.Helper()
	documented := Documented(tb, command)
	for _, f := range flags {
		name := f.Names()[0]
		row, ok := documented[name]
		if !ok {
			tb.Errorf("docs/operations.md does not list --%s under %s", name, command)
			continue
		}
		delete(documented, name)
		var short []string
		for _, alias := range f.Names()[1:] {
			short = append(short, "`-"+alias+"`")
		}
		if !slices.Equal(row.Short, short) {
			tb.Errorf("--%s is short %v, docs/operations.md says %v", name, short, row.Short)
		}
		if d, ok := f.(*cli.StringFlag); ok && d.DefaultText != row.Default {
			tb.Errorf("--%s is %q by default, docs/operations.md says %q", name, d.DefaultText, row.Default)
		}
	}
	for name := range maps.Keys(documented) {
		tb.Errorf("docs/operations.md lists --%s under %s, which has no such flag", name, command)
	}
}

// A Row is what the table says about one flag.
type Row struct {
	Short   []string // with backquotes
	Default string
}

// Documented returns the rows of the table under command's heading by the long
// name of the flag.
func Documented(tb testing.TB, command string) map[string]Row {
	tb.Helper()
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		tb.Fatal(err)
	}
	_, part, ok := strings.Cut(string(b), "\n### "+command+"\n")
	if !ok {
		tb.Fatalf("docs/operations.md has no section %q", command)
	}
	part, _, _ = strings.Cut(part, "\n##")
	rows := make(map[string]Row)
	for line := range strings.Lines(part) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(cells[1], " `--") {
			continue
		}
		names := strings.Split(strings.TrimSpace(cells[1]), ", ")
		row := Row{Default: strings.TrimSpace(cells[2])}
		if len(names) > 1 {
			row.Short = names[1:]
		}
		rows[strings.Trim(names[0], "`-")] = row
	}
	return rows
}
