package main

import (
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name, events string
		code         int
		says         string
	}{
		{"passed", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`, 0, "OK unit: 1 passed, 0 failed, 0 skipped"},
		{"failed", `{"Action":"output","Package":"p","Test":"TestA","Output":"want 1\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, 1, "want 1\n"},
		{"skipped", `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}`, 1, "skipped, which counts as failed here: p TestB"},
		{"nothing ran", `{"Action":"pass","Package":"p"}`, 1, "failed: p (no test ran)"},
		{"nothing at all", ``, 1, "FAILED unit: 0 passed"},
		{"no test files", `{"Action":"skip","Package":"q"}
{"Action":"pass","Package":"p","Test":"TestA"}`, 0, "OK unit"},
		{"does not build", `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: no\n"}
{"Action":"build-fail","ImportPath":"p"}
{"Action":"fail","Package":"p"}`, 1, "failed: p (does not build)"},
		{"crashed", `{"Action":"output","Package":"p","Output":"panic: x\n"}
{"Action":"fail","Package":"p"}`, 1, "panic: x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if code := run([]string{"unit"}, strings.NewReader(tt.events), &out, &out); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("does not say %q:\n%s", tt.says, out.String())
			}
		})
	}
}
