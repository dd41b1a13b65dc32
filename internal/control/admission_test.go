package control

import (
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func visitorFrom(addr string) *visitor { return &visitor{source: sourceOf(netip.MustParseAddr(addr))} }

func TestCrowdMakesRoomForOthers(t *testing.T) {
	var a admission
	now := time.Unix(1000, 0)
	var crowd []*visitor
	for range maxVisitors - 1 {
		v := visitorFrom("192.0.2.66")
		crowd = append(crowd, v)
		if leave, ok := a.admit(now, v); leave != nil || !ok {
			t.Fatalf("visitor %d: %v, %v", len(crowd), leave, ok)
		}
	}
	honest := visitorFrom("192.0.2.1")
	if leave, ok := a.admit(now, honest); leave != nil || !ok {
		t.Fatalf("the last place: %v, %v", leave, ok)
	}
	for i := range 20 {
		v := visitorFrom("192.0.2.66")
		if i%2 == 1 {
			v = visitorFrom("192.0.2.2")
		}
		if leave, ok := a.admit(now, v); leave != crowd[i] || !ok {
			t.Fatalf("newcomer %d: %p leaves, %v, want the crowd's oldest %p", i, leave, ok, crowd[i])
		}
	}
	if len(a.visitors) != maxVisitors {
		t.Errorf("%d visitors", len(a.visitors))
	}
	if !a.remove(honest) || a.remove(honest) || a.remove(crowd[0]) {
		t.Error("wrong about who is there")
	}
}

func TestAdmissionsPerSecond(t *testing.T) {
	var a admission
	now := time.Unix(1000, 0)
	in := func(addr string) bool {
		v := visitorFrom(addr)
		_, ok := a.admit(now, v)
		a.remove(v)
		return ok
	}
	n := 0
	for in("2001:db8::1") && in("2001:db8::ffff:2") && n < 10*maxPerSource { // one /64
		n += 2
	}
	if n != maxPerSource {
		t.Errorf("%d connections of one source, want %d", n, maxPerSource)
	}
	if !in("2001:db8:0:1::1") || !in("::ffff:192.0.2.1") {
		t.Error("another source is not let in")
	}
	for i := 0; in(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}).String()); i++ {
		if i > 2*maxPerSecond {
			t.Fatal("no bound for all sources together")
		}
	}
	now = now.Add(time.Second)
	if !in("2001:db8::1") {
		t.Error("not let in a second later")
	}
}

func TestSources(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if same := sourceOf(netip.MustParseAddr(tt.a)) == sourceOf(netip.MustParseAddr(tt.b)); same != tt.same {
			t.Errorf("%s and %s are one source: %v", tt.a, tt.b, same)
		}
	}
}

func TestReportsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, unreported int
		s, err := newServer(ServerConfig{Refused: func(_ netip.AddrPort, err error, n int) {
			calls++
			unreported += n
			if !errors.Is(err, io.EOF) {
				t.Errorf("told %v", err)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			s.report(netip.AddrPort{}, io.EOF)
			time.Sleep(100 * time.Millisecond)
		}
		if calls != 10 || calls+unreported != 91 { // the last nine wait for the next
			t.Errorf("called %d times, for %d reports", calls, calls+unreported)
		}
	})
}
