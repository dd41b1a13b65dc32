package routing

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// aHost has eth0 towards clients, eth1 towards the blackhole host 10.78.0.4.
func aHost(sysctls map[string]string) *host {
	return &host{
		nics: []nic{
			{"lo", true, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}},
			{"eth0", false, []netip.Prefix{netip.MustParsePrefix("10.77.0.3/24")}},
			{"eth1", false, []netip.Prefix{netip.MustParsePrefix("10.78.0.3/24"), netip.MustParsePrefix("fd78::3/64")}},
			{"eth2", false, []netip.Prefix{netip.MustParsePrefix("fd79::3/64")}}, // no IPv4
		},
		sysctls: sysctls,
	}
}

func printed(t *testing.T, tg Target, h *host, dev string) string {
	t.Helper()
	p, err := tg.plan(h, hop{kind: unix.RTN_UNICAST, dev: dev})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	p.print(&b)
	var commands strings.Builder
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "# note") {
			commands.WriteString(line)
		}
	}
	return commands.String()
}

func TestPlan(t *testing.T) {
	nets := func(s ...string) (p []netip.Prefix) {
		for _, n := range s {
			p = append(p, netip.MustParsePrefix(n))
		}
		return p
	}
	tests := []struct {
		name    string
		target  Target
		dev     string
		sysctls map[string]string
		want    string
	}{
		{
			name:   "IPv4, nothing to set",
			target: Target{Port: 3306, Via: netip.MustParseAddr("10.78.0.4"), Except: nets("10.0.9.4/32", "10.0.9.77/24", "fd00::/8")},
			dev:    "eth1",
			sysctls: map[string]string{
				"net/ipv4/conf/all/rp_filter": "2", "net/ipv4/conf/eth0/rp_filter": "1", "net/ipv4/conf/all/arp_announce": "1",
			},
			want: `# note: --except fd00::/8 does nothing here: --via 10.78.0.4 is for IPv4
ip -4 route replace default via 10.78.0.4 dev eth1 table 1003306 protocol 206 onlink
ip -4 route replace blackhole default table 1003306 metric 65535 protocol 206
ip -4 rule add pref 60 to 10.0.9.4 ipproto tcp sport 3306 lookup main protocol 206
ip -4 rule add pref 60 to 10.0.9.0/24 ipproto tcp sport 3306 lookup main protocol 206
ip -4 rule add pref 61 ipproto tcp sport 3306 lookup 1003306 protocol 206
`,
		},
		{
			name:   "IPv4, strict filters",
			target: Target{Port: 3307, Via: netip.MustParseAddr("10.78.0.4")},
			dev:    "eth1",
			sysctls: map[string]string{
				"net/ipv4/conf/all/rp_filter": "1", "net/ipv4/conf/eth1/rp_filter": "1",
			},
			want: `ip -4 route replace default via 10.78.0.4 dev eth1 table 1003307 protocol 206 onlink
ip -4 route replace blackhole default table 1003307 metric 65535 protocol 206
sysctl -w net.ipv4.conf.eth0.rp_filter=2
sysctl -w net.ipv4.conf.eth1.arp_announce=2
ip -4 rule add pref 61 ipproto tcp sport 3307 lookup 1003307 protocol 206
`,
		},
		{
			name:    "IPv6 has no such settings",
			target:  Target{Port: 3306, Via: netip.MustParseAddr("fe80::4%eth1"), Except: nets("fd00:9::/64")},
			dev:     "eth1",
			sysctls: map[string]string{"net/ipv4/conf/all/rp_filter": "1"},
			want: `ip -6 route replace default via fe80::4 dev eth1 table 1003306 protocol 206 onlink
ip -6 route replace blackhole default table 1003306 metric 65535 protocol 206
ip -6 rule add pref 60 to fd00:9::/64 ipproto tcp sport 3306 lookup main protocol 206
ip -6 rule add pref 61 ipproto tcp sport 3306 lookup 1003306 protocol 206
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := printed(t, tt.target, aHost(tt.sysctls), tt.dev); got != tt.want {
				t.Errorf("print:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestBlackholePlan(t *testing.T) {
	b := Blackhole{"eth0", netip.MustParseAddr("10.77.0.3"), 3306}
	want := "ip -4 rule add pref 62 iif eth0 from 10.77.0.3 ipproto tcp sport 3306 blackhole protocol 206"
	if got := b.plan("eth0").steps[0].piece.add().String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCut(t *testing.T) {
	tg := Target{Port: 3306, Via: netip.MustParseAddr("10.78.0.4"), Except: []netip.Prefix{netip.MustParsePrefix("10.0.9.0/24")}}
	h := aHost(nil)
	peers := []netip.Addr{
		netip.MustParseAddr("10.0.8.1"), netip.MustParseAddr("10.0.8.1"), netip.MustParseAddr("10.0.9.1"),
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.77.0.3"), netip.MustParseAddr("fd00::8"),
	}
	cut := tg.cut(h, peers)
	if len(cut) != 1 || cut[netip.MustParseAddr("10.0.8.1")] != 2 {
		t.Errorf("cut %v, want two connections of 10.0.8.1", cut)
	}
	text := (&CutError{3306, cut}).Error()
	if !strings.Contains(text, "10.0.8.1 (connections: 2)") || !strings.Contains(text, "--cut-existing") {
		t.Errorf("says: %s", text)
	}
	for i := range 30 {
		cut[netip.AddrFrom4([4]byte{10, 1, 0, byte(i)})] = 1
	}
	if text := (&CutError{3306, cut}).Error(); !strings.Contains(text, "and 11 more") {
		t.Errorf("says: %s", text)
	}
}

func TestCommandsAreQuotedForAShell(t *testing.T) {
	for word, want := range map[string]string{"eth0.5": "eth0.5", "it's": `'it'\''s'`, "a$b": "'a$b'", "": "''"} {
		if got := quote(word); got != want {
			t.Errorf("quote(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestNoSuchProgram(t *testing.T) {
	if _, err := findProgram("no-such-program"); err == nil || !strings.Contains(err.Error(), "apt-get install iproute2") {
		t.Errorf("got %v", err)
	}
}

func TestParseRelease(t *testing.T) {
	for s, want := range map[string][2]int{"6.1.0-18-amd64": {6, 1}, "4.17": {4, 17}, "5.15.167.4-microsoft": {5, 15}, "": {0, 0}} {
		if major, minor := parseRelease(s); [2]int{major, minor} != want {
			t.Errorf("%q: %d.%d, want %v", s, major, minor, want)
		}
	}
}
