package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mrtecopy/internal/policy"
)

// mrtecopy policy shows what mrtecopy live goes by, with the same file.
func TestPolicyCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "live.yaml")
	if err := os.WriteFile(file, []byte("target: 10.0.0.9:3306\npolicy: [kill=skip, flush=skip]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		line string
		code int
		want string // in what it says
	}{
		{"policy", 0, "\naccounts          skip  "},
		{"policy --policy accounts=replay", 0, "\naccounts          replay  "},
		{"policy --config " + file, 0, "\nkill              skip  "},
		{"policy --policy nobody=skip", 2, `"nobody" is no class; mrtecopy policy shows them`},
		{"policy --policy kill=maybe", 2, "write kill=replay or kill=skip"},
		{"policy --policy kill", 2, "write kill=replay or kill=skip"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			b := newBench(t)
			code := b.run(tt.line)
			if said := b.stdout.String() + b.stderr.String(); code != tt.code || !strings.Contains(said, tt.want) {
				t.Errorf("code %d, want %d; want %q in\n%s", code, tt.code, tt.want, said)
			}
		})
	}
}

// The manual has the table of defaults.
func TestDocumentedPolicy(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range policy.Default().Rows() {
		if line := "| `" + row.Name + "` | " + row.Action.String() + " | "; !strings.Contains(string(text), line) {
			t.Errorf("docs/operations.md has no line %q", line)
		}
	}
}
