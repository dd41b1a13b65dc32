package replay

import (
	"net/netip"
	"testing"
	"time"

	"mrtecopy/internal/wire"
)

func TestForgeable(t *testing.T) {
	tests := []struct {
		addr    string
		target4 bool
		want    bool
	}{
		{"10.0.0.1", true, true},
		{"10.0.0.1", false, false}, // of the other family
		{"fd00::1", false, true},
		{"fd00::1", true, false},
		{"127.0.0.1", true, false},
		{"127.9.9.9", true, false},
		{"::1", false, false},
		{"fe80::1", false, false},
		{"0.0.0.0", true, false},
		{"224.0.0.1", true, false},
	}
	for _, tt := range tests {
		if got := forgeable(netip.MustParseAddr(tt.addr), tt.target4); got != tt.want {
			t.Errorf("forgeable(%s, IPv4 target %v) = %v", tt.addr, tt.target4, got)
		}
	}
}

func TestSourcePort(t *testing.T) {
	for _, own := range []uint16{1, 1024, 33000, 65535} {
		seen := make(map[uint16]bool)
		for try := range maxTries {
			p := sourcePort(own, try, 1)
			if try == 0 && p != own {
				t.Errorf("the first try for port %d is %d", own, p)
			}
			if try > 0 && p < 1024 {
				t.Errorf("try %d for port %d is the reserved port %d", try, own, p)
			}
			seen[p] = true
		}
		if len(seen) < maxTries-1 {
			t.Errorf("%d tries for port %d give %d ports", maxTries, own, len(seen))
		}
	}
}

func TestInitialSequenceRises(t *testing.T) {
	f := wire.Flow{Src: wire.EndpointFrom(netip.MustParseAddrPort("10.0.0.1:4000")), Dst: wire.EndpointFrom(netip.MustParseAddrPort("10.0.0.2:3306"))}
	g := f
	g.Src.Port++
	now := time.UnixMicro(1_700_000_000_000_000)
	a, b := initialSequence(f, now), initialSequence(f, now.Add(time.Second))
	if a.To(b) != 250_000 {
		t.Errorf("in a second the ISN moves by %d, want 250000 steps of 4 µs", a.To(b))
	}
	if initialSequence(g, now) == a {
		t.Error("two 4-tuples have the same ISN")
	}
}

func TestStampIsNeverInTheFuture(t *testing.T) {
	c := newClock()
	now := time.Now()
	tests := []struct {
		name string
		unix int64
		age  time.Duration // from now, at least
		most time.Duration
	}{
		{"just now", now.UnixNano(), 0, 5 * time.Second},
		{"clock set back", now.Add(time.Hour).UnixNano(), 0, 5 * time.Second},
		{"clock set forward", now.Add(-time.Hour).UnixNano(), 0, 2 * time.Minute},
		{"no stamp", 0, 0, 2 * time.Minute},
	}
	for _, tt := range tests {
		got := c.stamp(tt.unix)
		if later := c.now(); got > later || got <= 0 || later-got > tt.most {
			t.Errorf("%s: stamp %v at %v", tt.name, got, later)
		}
	}
}
