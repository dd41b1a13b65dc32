package routing

import (
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// probes are addresses for documentation (RFC 5737, RFC 3849): whichever is no
// exception stands for any client.
var probes = []netip.Addr{
	netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("192.0.2.7"),
	netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("3fff::7"),
}

// verify asks the kernel, for each address of this host, which way a reply to
// a client would go: another rule may come before ours.
func (t Target) verify(w io.Writer) (wrong int, err error) {
	via := t.Via.Unmap()
	h, err := readHost(via.Is6(), t.Port)
	if err != nil {
		return 0, err
	}
	var probe netip.Addr
	for _, a := range probes {
		if a.Is6() == via.Is6() && !t.excepts(a) && !h.own(a) {
			probe = a
			break
		}
	}
	if !probe.IsValid() {
		return 0, nil
	}
	for _, n := range h.nics {
		for _, p := range n.addrs {
			own := p.Addr()
			if own.Is6() != via.Is6() || own.IsLoopback() || own.Is6() && own.IsLinkLocalUnicast() {
				continue
			}
			way, err := lookup(probe, own, t.Port)
			if err != nil {
				return wrong, err
			}
			if way.gateway == via.WithZone("") {
				fmt.Fprintf(w, "present  replies from %v go %v\n", own, way)
				continue
			}
			wrong++
			fmt.Fprintf(w, "wrong    replies from %v go %v\n         mend: %s\n", own, way, t.culprit(h, own))
		}
	}
	return wrong, nil
}

// culprit names the rule that comes before ours for replies from a.
func (t Target) culprit(h *host, a netip.Addr) string {
	for _, r := range h.rules {
		if may, _ := r.mayCatch("lo", a, t.Port); may && r.pref < prefReplies && r.table != unix.RT_TABLE_LOCAL && r.protocol != protocol {
			return fmt.Sprintf("give the rule of preference %d one above %d (ip %s rule)", r.pref, prefReplies, family(r.six))
		}
	}
	return fmt.Sprintf("see ip %s rule", family(a.Is6()))
}
