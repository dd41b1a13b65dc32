package e2e

import (
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Where clients can sit: on another host, on production itself; by which family
// and address they come; and always to a target of the same family.
func TestPlaces(t *testing.T) {
	l := labtest.Lab(t)
	for _, tt := range []struct {
		name    string
		from    *lab.Host
		address string
		ipv6    bool
	}{
		{"IPv4", l.Client, l.Production.V4.String(), false},
		{"IPv6", l.Client, l.Production.V6.String(), true},
		{"loopback", l.Production, "127.0.0.1", false},
		{"IPv6 loopback", l.Production, "::1", true},
		{"production's own address", l.Production, l.Production.V4.String(), false},
		{"production's own IPv6 address", l.Production, l.Production.V6.String(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := labtest.Begin(t, lab.Run{IPv6: tt.ipv6})
			r.LoadFrom(tt.from, tt.address, "-n", "300", "select")
			r.LoadFrom(tt.from, tt.address, "-n", "100", "short")
			r.LoadFrom(tt.from, tt.address, "-n", "5", "-size", "1000000", "insert")
			r.Whole()
			r.SameTables("app")
		})
	}
}

// A client of the family that the target does not have cannot be forged, and
// says so in the ledger; the others are replayed.
func TestOtherFamilyIsUnmappable(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	r.LoadFrom(r.Lab.Client, r.Lab.Production.V6.String(), "-n", "3", "short")
	r.Load("-n", "7", "short")
	waitFor(t, "the target counts the others", func() bool {
		c, err := r.Target.Since(r.Ctx)
		return err == nil && c["Questions"] == 14
	})
	result := r.Stop()
	r.Fair(result)
	s := &result.Summary
	r.Only("skipped sessions", s.Sessions.Skipped, "unmappable_client")
	r.Only("lost sessions", s.Sessions.Lost)
	if s.Sessions.Replayed != 7 || s.Sessions.Skipped["unmappable_client"] != 3 {
		t.Errorf("replayed %d sessions and skipped %v, want 7 and 3", s.Sessions.Replayed, s.Sessions.Skipped)
	}
	if result.ExitCode != 0 {
		t.Errorf("exit code %d, want 0: skipped is not lost", result.ExitCode)
	}
}
