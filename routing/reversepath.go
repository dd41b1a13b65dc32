package routing

import "net/netip"

// planSettings adds what IPv4 needs where the host has more than the link to
// the blackhole host. IPv6 has neither setting.
func (t Target) planSettings(h *host, dev string, add func(piece, string, ...any)) {
	user := t.user(false)
	// A forged packet is from a client, and the way back to clients is by dev:
	// in strict mode (RFC 3704) the kernel drops it when it comes in elsewhere.
	// Loose is the larger value, so setting the interface's own is enough.
	for _, n := range h.nics {
		if n.loopback || n.name == dev || !n.has4() {
			continue
		}
		s := setting{interfaceKey(false, n.name, "rp_filter"), "2", user}
		if h.effective(n.name, "rp_filter") == 1 || h.saved.sets(s) {
			add(s, "forged packets may come in by %s, though the way back is by %s", n.name, dev)
		}
	}
	// A reply leaves with the address that the client spoke to. Were dev's
	// neighbour asked for its link address in the name of an address of
	// another network, a blackhole host with strict rp_filter would not answer.
	s := setting{interfaceKey(false, dev, "arp_announce"), "2", user}
	if h.elsewhere(dev, t.Via) && (h.effective(dev, "arp_announce") < 1 || h.saved.sets(s)) {
		add(s, "ask for the blackhole host's link address in the name of an address of %s", dev)
	}
}

func (n nic) has4() bool {
	for _, p := range n.addrs {
		if p.Addr().Is4() {
			return true
		}
	}
	return false
}

// elsewhere reports whether the host has an IPv4 address outside the network
// that it shares with via.
func (h *host) elsewhere(dev string, via netip.Addr) bool {
	for _, n := range h.nics {
		for _, p := range n.addrs {
			if p.Addr().Is4() && !p.Addr().IsLoopback() && !(n.name == dev && p.Contains(via)) {
				return true
			}
		}
	}
	return false
}
