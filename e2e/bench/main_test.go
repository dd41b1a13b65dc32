//go:build bench

// Package bench measures what a replay costs and how far it follows, and writes
// docs/performance.md: `make bench-lab`. It prints counts and ratios, and judges
// nothing but that they can be believed: the ledger balances.
//
// A part is a test, of which `make bench-lab RUN=Light` measures one alone, and
// `RUN=Light/select_20k` some lines. The document is written where a part was
// measured as a whole. With PROFILE=DIR, perf records both programs meanwhile.
package bench

import (
	"testing"

	"mrtecopy/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
