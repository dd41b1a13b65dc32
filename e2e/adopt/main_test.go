// Package adopt holds the tests of sessions that were open before mrtecopy
// started: what becomes of them, by what production tells of them.
package adopt

import (
	"testing"
	"time"

	"mrtecopy/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// waitFor waits until a condition holds, and fails the test when it does not
// come to hold at all.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
