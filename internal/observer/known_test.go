package observer

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// What is remembered is told once, takes no more than it may, and all of its room
// is there again behind it.
func TestKnown(t *testing.T) {
	const limit = 10_000
	o := New(driver.NewConfig(), limit, slog.New(slog.DiscardHandler))
	client := func(port uint16) wire.Endpoint {
		return wire.EndpointFrom(netip.AddrPortFrom(netip.MustParseAddr("10.8.0.1"), port))
	}
	ended := time.Unix(1000, 0)
	state := func(n int) *Seen { return &Seen{State: session.State{Before: []string{strings.Repeat("x", n)}}} }
	for port := range uint16(20) {
		o.Remember(client(port), state(1000), ended)
		if o.known.size > limit {
			t.Fatalf("%d octets are kept", o.known.size)
		}
	}
	if n := len(o.known.told); n < 6 || n > 9 || !o.known.full() {
		t.Errorf("%d are kept, full: %v", n, o.known.full())
	}
	o.Remember(client(0), state(10), ended.Add(time.Second)) // in place of what was told first
	seen, at, ok := o.Recall(client(0))
	if !ok || !at.Equal(ended.Add(time.Second)) || len(seen.State.Before[0]) != 10 {
		t.Errorf("recalled: %v, %v, %v", seen, at, ok)
	}
	for port := range uint16(20) {
		o.Recall(client(port))
		if _, _, ok := o.Recall(client(port)); ok {
			t.Errorf("port %d is told twice", port)
		}
	}
	if o.known.size != 0 || len(o.known.told) != 0 || o.known.full() {
		t.Errorf("%d octets of %d are left", o.known.size, len(o.known.told))
	}
	o.Remember(ByPort(client(4000)), state(10), ended)
	if _, _, ok := o.Recall(client(4000)); !ok {
		t.Error("a client that production knows by its name is not recalled")
	}
}
