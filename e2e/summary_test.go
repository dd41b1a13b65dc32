package e2e

import (
	"encoding/json"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Every field of the summary is there after a run without any traffic too, and
// maps are {}, not null.
func TestSummaryIsComplete(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	result := r.Stop()
	r.Fair(result)
	if result.ExitCode != 0 || !result.Summary.Interrupted {
		t.Errorf("exit code %d, interrupted %v; want 0 and true", result.ExitCode, result.Summary.Interrupted)
	}
	var got map[string]any
	if err := json.Unmarshal(result.Raw, &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range [][]string{
		{"version"}, {"started"}, {"ended"}, {"interrupted"},
		{"commands", "captured"}, {"commands", "answered"}, {"commands", "skipped"}, {"commands", "lost"}, {"commands", "pending"},
		{"sessions", "captured"}, {"sessions", "replayed"}, {"sessions", "skipped"}, {"sessions", "lost"}, {"sessions", "open"},
		{"capture", "frames"}, {"capture", "kernel_drops"},
		{"send", "segments"}, {"send", "retransmits"}, {"send", "errors"},
		{"lag_ms", "p50"}, {"lag_ms", "p99"}, {"lag_ms", "max"},
	} {
		var v any = got
		for _, key := range path {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		if v == nil {
			t.Errorf("%v is missing or null in %s", path, result.Raw)
		}
	}
}
