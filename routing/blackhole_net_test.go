package routing

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func (s *space) ready(iface, target string) (err error) {
	return s.do(func() error { return BlackholeReady(iface, netip.MustParseAddr(target), 3306) })
}

// forward turns IP forwarding on or off, as an administrator does.
func (s *space) forward(family, value string) {
	if family == "IPv4" {
		s.sysctl("net/ipv4/ip_forward", value)
	} else {
		s.sysctl("net/ipv6/conf/all/forwarding", value)
	}
}

func TestBlackholeHostThatForwards(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			client, _, target, hole := oneLink(t)
			target.serve(3306)
			rt := Target{Port: 3306, Via: netip.MustParseAddr(f.blackhole)}
			target.works(rt.Apply)
			b := Blackhole{Interface: "eth0", Target: netip.MustParseAddr(f.target), Port: 3306}
			family := "-" + f.name[3:]
			connects := func(want bool) {
				t.Helper()
				c, err := client.dial(f.target, 3306)
				if (err == nil) != want {
					t.Errorf("the client's connection: %v, want it to work: %t", err, want)
				}
				if c != nil {
					c.Close()
				}
			}

			off := hole.state()
			if err := hole.ready("eth0", f.target); err != nil {
				t.Errorf("forwarding is off: %v", err)
			}
			out := hole.works(func(w io.Writer) error { return checked(b, w, 0) })
			if !strings.HasPrefix(out, "unneeded") {
				t.Errorf("check says: %s", out)
			}
			connects(false)

			// A router: replies reach the client, and the target is told by
			// ICMP redirects that there is a shorter way.
			hole.forward(f.name, "1")
			before := hole.state()
			connects(true)
			for _, iface := range []string{"eth0", ""} {
				want := "intercept route blackhole --interface eth0 --target " + f.target + " --port 3306 apply"
				if iface == "" {
					want = "intercept route blackhole --target " + f.target + " --port 3306 apply"
				}
				if err := hole.ready(iface, f.target); err == nil || !strings.HasSuffix(err.Error(), want) {
					t.Errorf("forwarding is on: %v, want %s", err, want)
				}
			}
			hole.works(func(w io.Writer) error { return checked(b, w, 1) })
			hole.same(before, "after check")

			printed := strings.Split(strings.TrimSpace(hole.works(b.Print)), "\n")
			hole.works(b.Apply)
			applied := hole.state()
			hole.works(b.Apply)
			hole.same(applied, "after applying twice")
			hole.works(func(w io.Writer) error { return checked(b, w, 0) })
			// One that came to an open connection is kept for that client
			// (docs/routes.md), as long as the route by port is there.
			target.works(rt.Undo)
			target.works(rt.Apply)
			tap := hole.tap()
			connects(false)
			if !has(tap.replies(3306, 5*time.Second), f.client) {
				t.Error("the replies do not come to the blackhole host any more")
			}
			for iface, want := range map[string]bool{"eth0": true, "": false} {
				if err := hole.ready(iface, f.target); (err == nil) != want {
					t.Errorf("ready on %q: %v, want it to be: %t", iface, err, want)
				}
			}
			if err := hole.ready("eth0", f.client); err == nil {
				t.Error("ready for another target")
			}

			// Another rule comes before.
			hole.ip("%s rule add pref 7 lookup main", family)
			if err := hole.ready("eth0", f.target); err == nil || !strings.Contains(err.Error(), "preference 7 ") {
				t.Errorf("behind another rule: %v", err)
			}
			hole.works(func(w io.Writer) error { return checked(b, w, 1) })
			hole.ip("%s rule del pref 7", family)
			hole.ip("%s rule add pref 7 from %s lookup main", family, f.client)
			if err := hole.ready("eth0", f.target); err != nil {
				t.Errorf("behind a rule for others: %v", err)
			}
			hole.ip("%s rule del pref 7", family)

			hole.works(b.Undo)
			hole.same(before, "after undo")
			if out := hole.works(b.Undo); out != "" {
				t.Errorf("undo of nothing did: %s", out)
			}
			hole.ip("%s", strings.TrimPrefix(printed[len(printed)-1], "ip "))
			hole.same(applied, "by hand")
			hole.works(b.Undo)

			// Rules as others may write them.
			for rule, want := range map[string]bool{
				"from " + f.target + " blackhole":                          true,
				"blackhole":                                                true,
				"from " + f.target + " ipproto tcp blackhole":              true,
				"from " + f.target + " ipproto udp blackhole":              false,
				"from " + f.target + " ipproto tcp sport 1-4000 blackhole": true,
				"from " + f.target + " ipproto tcp sport 1-400 blackhole":  false,
				"from " + f.target + " fwmark 1 blackhole":                 false,
				"from " + f.target + " to " + f.client + " blackhole":      false,
				"not from " + f.target + " blackhole":                      false,
				"from " + f.client + " blackhole":                          false,
				"iif lo blackhole":                                         false,
				"from " + f.target + " unreachable":                        false, // tells the target so
			} {
				hole.ip("%s rule add pref 40 %s", family, rule)
				if err := hole.ready("eth0", f.target); (err == nil) != want {
					t.Errorf("ready with rule %q: %v, want it to be: %t", rule, err, want)
				}
				hole.ip("%s rule del pref 40", family)
			}
			// What is wrong is said as it is.
			for _, tt := range []struct{ rule, iface, want string }{
				{"", "", "is on, and no rule drops them; mend it by: "},
				{"from " + f.target + " iif eth0 blackhole", "", "is on, and only those that come in by eth0 are dropped (if all do, say so with --interface); mend it by: "},
				{"from " + f.target + " fwmark 1 blackhole", "", "is on, and the rule of preference 40 drops only some of them; mend it by: "},
				{"from " + f.target + " iif lo blackhole", "eth0", "is on, and no rule drops them; mend it by: "},
			} {
				if tt.rule != "" {
					hole.ip("%s rule add pref 40 %s", family, tt.rule)
				}
				if err := hole.ready(tt.iface, f.target); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("rule %q, ready on %q: %v, want %q", tt.rule, tt.iface, err, tt.want)
				}
				if tt.rule != "" {
					hole.ip("%s rule del pref 40", family)
				}
			}
			hole.works(Blackhole{Target: b.Target, Port: 3306}.Apply)
			if err := hole.ready("", f.target); err != nil {
				t.Errorf("any interface: %v", err)
			}
			hole.works(Blackhole{Target: b.Target, Port: 3306}.Undo)
			hole.same(before, "after the undo for any interface")
			hole.forward(f.name, "0")
			hole.same(off, "forwarding off")
			target.works(rt.Undo)
		})
	}
}

// checked is b.Check where it has to find a number of things wrong.
func checked(b Blackhole, w io.Writer, want int) error {
	wrong, err := b.Check(w)
	if err == nil && wrong != want {
		err = fmt.Errorf("check finds %d wrong, want %d", wrong, want)
	}
	return err
}

// IPv4 forwards what comes in by an interface if that interface's own setting
// says so.
func TestForwardingOfOneInterface(t *testing.T) {
	t.Parallel()
	s := newSpaces(t, "lan", "hole")
	lan(s[0], "eth0", s[1:], "10.77.0.4/24")
	lan(s[0], "eth1", s[1:], "10.78.0.4/24")
	hole := s[1]
	hole.forward("IPv4", "1")
	hole.sysctl("net/ipv4/conf/eth0/forwarding", "0")
	for iface, want := range map[string]bool{"eth0": true, "eth1": false, "": false} {
		if err := hole.ready(iface, "10.77.0.3"); (err == nil) != want {
			t.Errorf("ready on %q: %v, want it to be: %t", iface, err, want)
		}
	}
	if err := hole.ready("eth7", "10.77.0.3"); err == nil || !strings.Contains(err.Error(), "eth7") {
		t.Errorf("no such interface: %v", err)
	}
}

// The packets of a bridge's port come in by the bridge; those of a VRF's by
// themselves.
func TestBlackholeOnAPartOfAnInterface(t *testing.T) {
	t.Parallel()
	s := newSpaces(t, "lan", "client", "target", "hole")
	client, target, hole := s[1], s[2], s[3]
	lan(s[0], "eth0", s[1:], "10.77.0.2/24", "10.77.0.3/24", "10.77.0.14/24")
	hole.ip("link add br0 type bridge")
	hole.ip("link set eth0 master br0")
	hole.ip("link set br0 up")
	hole.ip("addr add 10.77.0.4/24 dev br0")
	hole.ip("addr del 10.77.0.14/24 dev eth0")
	target.serve(3306)
	rt := Target{Port: 3306, Via: netip.MustParseAddr("10.77.0.4")}
	target.works(rt.Apply)
	hole.forward("IPv4", "1")
	if _, err := client.dial("10.77.0.3", 3306); err != nil {
		t.Errorf("the test's router does not work: %v", err)
	}
	if err := hole.ready("eth0", "10.77.0.3"); err == nil {
		t.Error("ready without the rule")
	}
	b := Blackhole{Interface: "eth0", Target: netip.MustParseAddr("10.77.0.3"), Port: 3306}
	if out := hole.works(b.Apply); !strings.Contains(out, "iif br0") {
		t.Errorf("apply did: %s", out)
	}
	if _, err := client.dial("10.77.0.3", 3306); err == nil {
		t.Error("the client can connect")
	}
	if err := hole.ready("eth0", "10.77.0.3"); err != nil {
		t.Error(err)
	}
	hole.works(b.Undo)
	target.works(rt.Undo)
}
