// Package mrtecopy holds the test that keeps the architecture.
package mrtecopy

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the architecture: what each of our packages may import of the
// others. docs/architecture.md draws it.
var mayImport = map[string][]string{
	"internal/seq":       {},
	"internal/wire":      {"seq"},
	"internal/buffer":    {},
	"internal/ledger":    {"policy"},
	"internal/mysql":     {},
	"internal/policy":    {},
	"internal/poll":      {},
	"internal/capture":   {},
	"internal/rawsend":   {},
	"internal/config":    {},
	"internal/flow":      {"seq", "wire", "buffer"},
	"internal/tcpstate":  {"seq", "wire", "buffer"},
	"internal/session":   {"seq", "wire", "buffer", "mysql", "policy", "tcpstate", "ledger"},
	"internal/control":   {"seq", "wire"},
	"internal/intercept": {"seq", "wire", "buffer", "mysql", "poll", "capture", "rawsend", "control", "routing"},
	"internal/observer":  {"wire", "mysql", "session", "ledger"},
	"internal/replay": {"seq", "wire", "buffer", "mysql", "poll", "capture", "flow", "session", "rawsend", "control",
		"ledger", "config", "policy", "observer"},
	"internal/simulation":       {"seq", "wire", "mysql"},
	"internal/lab":              {"config"},
	"internal/netnstest":        {},
	"routing":                   {},
	"internal/program":          {"config"},
	"internal/program/docstest": {},
	"internal/lab/labtest":      {"lab"},
	"e2e":                       {},
	"e2e/loadclient":            {"mysql"},
	"e2e/lightserver":           {"mysql"},
	"cmd/mrtecopy":              {"replay", "capture", "config", "control", "ledger", "mysql", "observer", "policy", "program", "rawsend", "session"},
	"cmd/intercept":             {"intercept", "config", "control", "ledger", "program", "routing"},
	"cmd/lab":                   {"lab"},
	"tools/verdict":             {},
}

// pure are the packages that do no I/O and read no clock.
var pure = []string{"internal/seq", "internal/wire", "internal/buffer", "internal/mysql", "internal/policy", "internal/flow", "internal/tcpstate", "internal/session"}

// impure are what a pure package may not import.
var impure = []string{"net", "os", "syscall", "log", "log/slog", "sync", "context", "golang.org/x/sys/unix"}

func TestImportsFollowTheArchitecture(t *testing.T) {
	const module = "mrtecopy/"
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		allowed, ok := mayImport[pkg]
		if !ok {
			t.Errorf("%s: package %s is not in the table", path, pkg)
			return nil
		}
		seen[pkg] = true
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if slices.Contains(pure, pkg) && slices.Contains(impure, name) {
				t.Errorf("%s: the pure package %s imports %s", path, pkg, name)
			}
			if ours, ok := strings.CutPrefix(name, module); ok && !slices.Contains(allowed, strings.TrimPrefix(ours, "internal/")) {
				t.Errorf("%s: %s may not import %s", path, pkg, ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range mayImport {
		if !seen[pkg] {
			t.Errorf("package %s is in the table and not in the tree", pkg)
		}
	}
}
