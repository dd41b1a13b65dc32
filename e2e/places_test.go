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

// A client of the family that the target does not have cannot be forged. It is
// replayed from production's own address, as one on loopback is, and counted.
func TestOtherFamily(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	r.LoadFrom(r.Lab.Client, r.Lab.Production.V6.String(), "-n", "30", "-each", "3", "short")
	r.Load("-n", "70", "short")
	if s := r.Whole().Summary; s.Sessions.Mapped != 30 {
		t.Errorf("%d sessions were mapped to production's own address, want 30", s.Sessions.Mapped)
	}
}
