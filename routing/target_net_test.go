package routing

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// oneLink is a client, an administrator, a target and a blackhole host on one link.
func oneLink(t *testing.T) (client, admin, target, blackhole *space) {
	s := newSpaces(t, "lan", "client", "admin", "target", "hole")
	lan(s[0], "eth0", s[1:], "10.77.0.2/24,fd77::2/64", "10.77.0.5/24,fd77::5/64", "10.77.0.3/24,fd77::3/64", "10.77.0.4/24,fd77::4/64")
	return s[1], s[2], s[3], s[4]
}

var families = []struct {
	name                             string
	client, target, blackhole, admin string
	loopback                         string
}{
	{"IPv4", "10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.0.5", "127.0.0.1"},
	{"IPv6", "fd77::2", "fd77::3", "fd77::4", "fd77::5", "::1"},
}

func single(a string) []netip.Prefix {
	ip := netip.MustParseAddr(a)
	return []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())}
}

func TestRepliesGoToTheBlackholeHost(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			client, admin, target, blackhole := oneLink(t)
			target.serve(3306)
			target.serve(3307)
			before := target.state()
			rt := Target{Port: 3306, Via: netip.MustParseAddr(f.blackhole), Except: single(f.admin)}

			connects := func(from *space, to string, port uint16, want bool) {
				t.Helper()
				c, err := from.dial(to, port)
				if (err == nil) != want {
					t.Errorf("connect from %s to %s:%d: %v, want it to work: %t", from.name, to, port, err, want)
				}
				if c != nil {
					c.Close()
				}
			}
			connects(client, f.target, 3306, true)

			if wrong, err := check2(target, rt); err != nil || wrong == 0 {
				t.Errorf("check before: %d wrong, %v", wrong, err)
			}
			target.same(before, "after check")
			printed := target.works(rt.Print)
			target.same(before, "after print")
			out := target.works(rt.Apply)
			for line := range strings.Lines(printed) {
				if !strings.HasPrefix(line, "#") && !strings.Contains(out, "done     "+line) {
					t.Errorf("printed and not done: %s\n%s", line, out)
				}
			}
			if wrong, err := check2(target, rt); err != nil || wrong != 0 {
				t.Errorf("check after: %d wrong, %v", wrong, err)
			}

			tap := blackhole.tap()
			connects(client, f.target, 3306, false)
			if to := tap.replies(3306, 5*time.Second); !has(to, f.client) {
				t.Errorf("the blackhole host got replies for %v, want the client's", to)
			}
			connects(admin, f.target, 3306, true)
			connects(client, f.target, 3307, true)
			connects(target, f.target, 3306, true)
			connects(target, f.loopback, 3306, true)
			if to := tap.replies(3306, 0); has(to, f.admin) {
				t.Error("the blackhole host got replies to an exception")
			}

			applied := target.state()
			target.works(rt.Apply)
			target.same(applied, "after applying twice")

			// An exception less and another blackhole host: what was is replaced.
			client.ip("link set eth0 down")
			moved := rt
			moved.Via, moved.Except, moved.CutExisting = netip.MustParseAddr(f.admin), nil, true
			target.works(moved.Apply)
			if wrong, err := check2(target, moved); err != nil || wrong != 0 {
				t.Errorf("check after the move: %d wrong, %v", wrong, err)
			}
			if wrong, err := check2(target, rt); err != nil || wrong != 3 { // the way, the exception, and the other way
				t.Errorf("check for what was before the move: %d wrong, %v", wrong, err)
			}
			target.works(rt.Apply)
			target.same(applied, "after moving there and back")

			target.works(Target{Port: 3306}.Undo)
			target.same(before, "after undo")
			if out := target.works(rt.Undo); out != "" {
				t.Errorf("undo of nothing did: %s", out)
			}
		})
	}
}

// check2 is rt.Check in s.
func check2(s *space, rt Target) (wrong int, err error) {
	err = s.do(func() (err error) {
		wrong, err = rt.Check(io.Discard)
		return err
	})
	return wrong, err
}

// Whatever part of it is there, apply completes it and undo removes it.
func TestPartialState(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			_, _, target, _ := oneLink(t)
			before := target.state()
			rt := Target{Port: 3306, Via: netip.MustParseAddr(f.blackhole), Except: single(f.admin)}
			printed := target.works(rt.Print)
			target.works(rt.Apply)
			applied := target.state()
			target.works(rt.Undo)

			var commands []string
			for line := range strings.Lines(printed) {
				if !strings.HasPrefix(line, "#") {
					commands = append(commands, strings.TrimPrefix(strings.TrimSpace(line), "ip "))
				}
			}
			for i := range commands {
				target.ip("%s", commands[i])
				if wrong, err := check2(target, rt); err != nil || wrong != len(commands)-1 {
					t.Errorf("check with only %q: %d wrong, %v", commands[i], wrong, err)
				}
				target.works(rt.Apply)
				target.same(applied, "completed after "+commands[i])
				target.works(rt.Undo)
				target.same(before, "undone after completing "+commands[i])

				target.ip("%s", commands[i])
				target.works(rt.Undo)
				target.same(before, "undone after "+commands[i])
			}
			for _, c := range commands { // all by hand
				target.ip("%s", c)
			}
			target.same(applied, "by hand")
			target.works(rt.Undo)
			target.same(before, "undone after all by hand")
		})
	}
}

// With the interface to the blackhole host down, the reply must not take table
// main, where the way to the client is open.
func TestRepliesAreDroppedWhenTheLinkGoesDown(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newSpaces(t, "lan", "client", "target", "hole")
			client, target, hole := s[1], s[2], s[3]
			lan(s[0], "eth0", []*space{client, target}, "10.77.0.2/24,fd77::2/64", "10.77.0.3/24,fd77::3/64")
			lan(s[0], "eth1", []*space{target, hole}, "10.78.0.3/24,fd78::3/64", "10.78.0.4/24,fd78::4/64")
			target.serve(3306)
			via := netip.MustParseAddr(map[string]string{"IPv4": "10.78.0.4", "IPv6": "fd78::4"}[f.name])
			rt := Target{Port: 3306, Via: via}
			target.works(rt.Apply)
			at := hole.tap()
			client.dial(f.target, 3306)
			if !has(at.replies(3306, 5*time.Second), f.client) {
				t.Error("no reply at the blackhole host")
			}
			target.ip("link set eth1 down")

			tap := client.tap()
			if _, err := client.dial(f.target, 3306); err == nil {
				t.Error("the client can connect")
			}
			if to := tap.replies(3306, 0); len(to) != 0 {
				t.Errorf("the client got replies: %v", to)
			}
			if wrong, err := check2(target, rt); err == nil && wrong == 0 {
				t.Error("check finds nothing wrong")
			}
			target.works(rt.Undo)
			if _, err := client.dial(f.target, 3306); err != nil {
				t.Errorf("after undo: %v", err)
			}
		})
	}
}

// The blackhole host is behind a second NIC and both hosts filter strictly
// (RFC 3704): forged packets come in by eth0 and replies leave by eth1.
func TestTwoInterfacesWithStrictReversePathFilters(t *testing.T) {
	t.Parallel()
	s := newSpaces(t, "lan", "client", "target", "hole")
	client, target, hole := s[1], s[2], s[3]
	lan(s[0], "eth0", []*space{client, target}, "10.77.0.2/24", "10.77.0.3/24")
	lan(s[0], "eth1.5", []*space{target, hole}, "10.78.0.3/24", "10.78.0.4/24") // a dot, as VLANs have
	lan(s[0], "eth2", []*space{hole}, "10.79.0.4/24")
	hole.ip("route add default via 10.79.0.1 dev eth2")
	strict := func(s *space, nics ...string) {
		for _, nic := range nics {
			s.sysctl("net/ipv4/conf/"+nic+"/rp_filter", "1")
		}
	}
	strict(hole, "all", "eth1.5")
	target.serve(3306)
	ownPort := uint16(20000)

	for _, setup := range []struct{ name, all, own string }{
		{"strict for all", "1", "0"}, {"strict for the interface", "0", "1"}, {"both", "1", "1"}, {"loose for all", "2", "1"}, {"off", "0", "0"},
	} {
		t.Run(setup.name, func(t *testing.T) {
			target.sysctl("net/ipv4/conf/all/rp_filter", setup.all)
			target.sysctl("net/ipv4/conf/eth0/rp_filter", setup.own)
			target.sysctl("net/ipv4/conf/eth1.5/rp_filter", setup.own)
			before := target.state()
			rt := Target{Port: 3306, Via: netip.MustParseAddr("10.78.0.4")}
			arrives := func(limit time.Duration) bool {
				target.ip("neigh flush all")
				tap := hole.tap()
				ownPort++                                                              // replies to earlier ones are sent again
				client.dialFrom(int(ownPort), "10.77.0.3", 3306, 100*time.Millisecond) // sends a SYN
				for end := time.Now().Add(limit); time.Now().Before(end); {
					for _, to := range tap.replies(3306, 50*time.Millisecond) {
						if to.Port() == ownPort {
							return true
						}
					}
				}
				return false
			}
			target.works(rt.Apply)
			if !arrives(5 * time.Second) {
				t.Error("no reply at the blackhole host")
			}
			out := target.works(rt.Print)
			for _, key := range []string{"net/ipv4/conf/eth0/rp_filter", "net/ipv4/conf/eth1.5/arp_announce"} {
				saved := target.saved(t)[key]
				if saved == nil {
					continue
				}
				if name := (setting{key: key}).name(); !strings.Contains(out, fmt.Sprintf("sysctl -w %s=2\n", name)) {
					t.Errorf("print after apply lacks %s:\n%s", name, out)
				}
				// The setting is needed: the test would not pass without it.
				target.sysctl(key, saved.Was)
				if arrives(300 * time.Millisecond) {
					t.Errorf("a reply arrives with %s=%s as well", key, saved.Was)
				}
				if wrong, err := check2(target, rt); err != nil || wrong != 1 {
					t.Errorf("check with %s=%s: %d wrong, %v", key, saved.Was, wrong, err)
				}
				target.works(rt.Apply)
				if saved := target.saved(t)[key]; saved.Was == "2" || !arrives(5*time.Second) {
					t.Errorf("applied again: saved %v", saved)
				}
			}
			if wantRP := max(setup.all, setup.own) == "1"; wantRP != (target.saved(t)["net/ipv4/conf/eth0/rp_filter"] != nil) {
				t.Errorf("rp_filter changed: %t, want %t", !wantRP, wantRP)
			}
			target.works(rt.Undo)
			target.same(before, "after undo")
		})
	}
}

func (s *space) saved(t *testing.T) savedValues {
	t.Helper()
	var all savedValues
	s.must(func() (err error) {
		all, err = readSaved()
		return err
	})
	return all
}

// Two ports need the same setting: it is put back after the second undo. A
// value that somebody changes meanwhile stays.
func TestSharedSettings(t *testing.T) {
	t.Parallel()
	s := newSpaces(t, "lan", "target")
	target := s[1]
	lan(s[0], "eth0", []*space{target}, "10.77.0.3/24")
	lan(s[0], "eth1", []*space{target}, "10.78.0.3/24")
	const key = "net/ipv4/conf/eth0/rp_filter"
	target.sysctl(key, "1")
	before := target.state()
	a := Target{Port: 3306, Via: netip.MustParseAddr("10.78.0.4")}
	b := Target{Port: 3307, Via: netip.MustParseAddr("10.78.0.4")}
	value := func(want string) {
		t.Helper()
		target.must(func() error {
			if got := readSysctl(key); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
			return nil
		})
	}
	target.works(a.Apply)
	target.works(b.Apply)
	target.works(a.Undo)
	value("2")
	target.works(b.Undo)
	value("1")
	target.same(before, "after both undos")

	target.works(a.Apply)
	target.sysctl(key, "0")
	target.works(a.Undo)
	value("0")
}

func TestConnectedClientsAreNotCutOff(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			client, admin, target, _ := oneLink(t)
			target.serve(3306)
			before := target.state()
			for _, from := range []struct {
				*space
				to string
			}{{client, f.target}, {client, f.target}, {admin, f.target}, {target, f.target}, {target, f.loopback}} {
				if _, err := from.dial(from.to, 3306); err != nil {
					t.Fatal(err)
				}
			}
			rt := Target{Port: 3306, Via: netip.MustParseAddr(f.blackhole), Except: single(f.admin)}
			_, err := target.output(rt.Apply)
			var cut *CutError
			if !errors.As(err, &cut) || len(cut.Clients) != 1 || cut.Clients[netip.MustParseAddr(f.client)] != 2 {
				t.Fatalf("apply: %v, want the client's 2 connections", err)
			}
			target.same(before, "after apply refused")

			rt.Except = append(rt.Except, single(f.client)...)
			target.works(rt.Apply)
			rt.Except = rt.Except[:1]
			if _, err := target.output(rt.Apply); !errors.As(err, &cut) {
				t.Errorf("taking an exception away: %v", err)
			}
			rt.CutExisting = true
			target.works(rt.Apply)
			rt.CutExisting = false
			target.works(rt.Apply) // they are cut already, as are forged clients
			target.works(rt.Undo)
			target.same(before, "after undo")
		})
	}
}

func TestARuleOfOthersThatComesFirst(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			_, _, target, _ := oneLink(t)
			family := "-" + f.name[3:]
			target.ip("%s route add default via %s", family, f.admin)
			target.ip("%s rule add pref 5 from %s lookup main", family, f.target)
			rt := Target{Port: 3306, Via: netip.MustParseAddr(f.blackhole)}
			out, err := target.output(rt.Apply)
			if err == nil || !strings.Contains(out, "preference 5 ") {
				t.Errorf("apply: %v\n%s", err, out)
			}
			if wrong, err := check2(target, rt); err != nil || wrong != 1 {
				t.Errorf("check: %d wrong, %v", wrong, err)
			}
			target.works(rt.Undo)
		})
	}
}

func TestBlackholeHostMustBeOnTheLink(t *testing.T) {
	t.Parallel()
	_, _, target, _ := oneLink(t)
	target.ip("route add 10.99.0.0/16 via 10.77.0.4")
	target.ip("route add unreachable 10.98.0.0/16")
	target.ip("-6 route add fd99::/64 via fd77::4")
	before := target.state()
	for via, want := range map[string]string{
		"10.99.0.1":   "behind a gateway",
		"fd99::1":     "behind a gateway",
		"10.98.0.1":   "no route",
		"192.0.2.1":   "no route",
		"10.77.0.3":   "this host itself",
		"fd77::3":     "this host itself",
		"127.0.0.1":   "this host itself",
		"10.77.0.255": "not the address of a host",
		"224.0.0.1":   "not the address of a host",
		"0.0.0.0":     "not the address of a host",
		"::":          "not the address of a host",
		"fe80::1":     "say which",
		"ff02::1":     "not the address of a host",
	} {
		_, err := target.output(Target{Port: 3306, Via: netip.MustParseAddr(via)}.Apply)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("via %s: %v, want %q", via, err, want)
		}
	}
	target.same(before, "after refusals")
	target.works(Target{Port: 3306, Via: netip.MustParseAddr("fe80::1%eth0")}.Apply)
	target.works(Target{Port: 3306}.Undo)
	target.same(before, "after undo")
}
