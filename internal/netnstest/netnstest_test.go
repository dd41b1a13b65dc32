//go:build linux

package netnstest

import (
	"net"
	"testing"
)

func TestSocketsMeetOverTheCable(t *testing.T) {
	ns := New(t)
	other := ns.Another()
	ns.Veth(other, "v0", []string{"10.1.0.1/24", "fd01::1/64"}, []string{"10.1.0.2/24", "fd01::2/64"})

	for _, addr := range []string{"10.1.0.2", "fd01::2"} {
		var l net.Listener
		var err error
		other.Do(func() { l, err = net.Listen("tcp", net.JoinHostPort(addr, "0")) })
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func TestNothingIsSharedWithTheWorld(t *testing.T) {
	New(t)
	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(ifs) != 1 || ifs[0].Name != "lo" || ifs[0].Flags&net.FlagUp == 0 {
		t.Errorf("a new namespace has %v, want lo alone, up", ifs)
	}
}
