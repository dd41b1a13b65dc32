package e2e

import (
	"strings"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// The routes of the lab are those of our own commands: apply may be repeated,
// check says what is missing, undo leaves nothing.
func TestRoutes(t *testing.T) {
	l := labtest.Lab(t)
	rules := func(h *lab.Host) string {
		t.Helper()
		var all strings.Builder
		for _, args := range [][]string{{"-4", "rule"}, {"-6", "rule"}, {"-4", "route", "show", "table", "all"}, {"-6", "route", "show", "table", "all"}} {
			out, err := h.Run(t.Context(), "ip", args...)
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(out)
		}
		return all.String()
	}
	defer func() {
		if said, err := l.Routes(t.Context(), "apply"); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}()

	applied := [2]string{rules(l.Target), rules(l.Blackhole)}
	if said, err := l.Routes(t.Context(), "apply"); err != nil {
		t.Fatalf("apply again: %v\n%s", err, said)
	}
	if again := [2]string{rules(l.Target), rules(l.Blackhole)}; again != applied {
		t.Errorf("apply twice is not apply once:\n%v\n---\n%v", applied, again)
	}
	if said, err := l.Routes(t.Context(), "check"); err != nil {
		t.Errorf("check after apply: %v\n%s", err, said)
	}
	for range 2 { // undo may be repeated too
		if said, err := l.Routes(t.Context(), "undo"); err != nil {
			t.Fatalf("undo: %v\n%s", err, said)
		}
	}
	if _, err := l.Routes(t.Context(), "check"); err == nil {
		t.Error("check after undo found nothing missing")
	}
	undone := rules(l.Target)
	if strings.Contains(undone, "sport") || strings.Contains(undone, l.Blackhole.V4.String()) || strings.Contains(undone, l.Blackhole.V6.String()) {
		t.Errorf("undo left:\n%s", undone)
	}
	said, err := l.Routes(t.Context(), "print")
	if err != nil || !strings.Contains(said, "ip rule") && !strings.Contains(said, "ip -4 rule") {
		t.Errorf("print: %v\n%s", err, said)
	}
}
