package routing

import (
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Target is the host whose replies from a TCP port go to the blackhole host,
// whichever client they are for.
type Target struct {
	Port        uint16
	Via         netip.Addr     // the blackhole host, on a link of this host; chooses IPv4 or IPv6
	Except      []netip.Prefix // clients that are answered as before
	CutExisting bool           // apply although clients that are no exception are connected
}

// Print writes the commands that Apply would run on this host.
func (t Target) Print(w io.Writer) error {
	_, p, err := t.look()
	if err != nil {
		return err
	}
	p.print(w)
	return nil
}

// Apply routes the replies to t.Via. It returns a *CutError, and has done
// nothing, where that would cut off clients that are connected now.
func (t Target) Apply(w io.Writer) error {
	h, p, err := t.look()
	if err != nil {
		return err
	}
	if !t.CutExisting {
		connected, err := readPeers(t.Port)
		if err != nil {
			return err
		}
		if cut := t.cut(h, connected); len(cut) > 0 {
			return &CutError{t.Port, cut}
		}
	}
	if err := p.apply(w); err != nil {
		return err
	}
	wrong, err := t.verify(w)
	if err == nil && wrong > 0 {
		err = fmt.Errorf("the routes are there and do not take effect")
	}
	return err
}

// Check tells what of it is there, and what mends the rest; wrong is the
// number of things to mend.
func (t Target) Check(w io.Writer) (wrong int, err error) {
	_, p, err := t.look()
	if err != nil {
		return 0, err
	}
	if wrong, err = p.check(w); err != nil || wrong > 0 {
		return wrong, err
	}
	return t.verify(w)
}

// Undo takes away all that Apply did for the port, of the family of t.Via, or
// of both where that is not given.
func (t Target) Undo(w io.Writer) error {
	for _, six := range []bool{false, true} {
		if t.Via.IsValid() && t.Via.Is6() != six {
			continue
		}
		h, err := readHost(six, t.Port)
		if err != nil {
			return err
		}
		if err := undo(w, t.ours(h, six)); err != nil {
			return err
		}
	}
	return nil
}

// look reads the host and plans for it.
func (t Target) look() (*host, *plan, error) {
	t.Via = t.Via.Unmap()
	read := func() (*host, error) { return readHost(t.Via.Is6(), t.Port) }
	h, err := read()
	if err != nil {
		return nil, nil, err
	}
	toVia, err := lookup(t.Via, netip.Addr{}, 0)
	if err != nil {
		return nil, nil, err
	}
	p, err := t.plan(h, toVia)
	if err != nil {
		return nil, nil, err
	}
	p.read = read
	return h, p, nil
}

// plan says what the host must have; toVia is the way to the blackhole host.
func (t Target) plan(h *host, toVia hop) (*plan, error) {
	if err := t.reachable(h, toVia); err != nil {
		return nil, err
	}
	six, tab := t.Via.Is6(), table(t.Port)
	p := &plan{ours: func(h *host) []piece { return t.ours(h, six) }}
	add := func(pc piece, format string, args ...any) {
		p.steps = append(p.steps, step{fmt.Sprintf(format, args...), pc})
	}

	add(route{six: six, via: t.Via.WithZone(""), dev: toVia.dev, onlink: true, table: tab, protocol: protocol},
		"the way to the blackhole host")
	add(route{six: six, drop: true, metric: fallbackMetric, table: tab, protocol: protocol},
		"should %s go down, replies are dropped rather than sent to the real clients", toVia.dev)
	for _, net := range t.Except {
		if net.Addr().Is6() != six {
			p.notes = append(p.notes, fmt.Sprintf("--except %v does nothing here: --via %v is for %s", net, t.Via, familyName(six)))
			continue
		}
		add(rule{six: six, pref: prefExcept, to: net.Masked(), tcp: true, low: t.Port, high: t.Port,
			action: unix.FR_ACT_TO_TBL, table: unix.RT_TABLE_MAIN, protocol: protocol},
			"%s is answered as before", prefixText(net.Masked()))
	}
	if !six {
		t.planSettings(h, toVia.dev, add)
	}
	add(t.replies(), "all other replies from port %d go to the blackhole host", t.Port)
	return p, nil
}

func (t Target) replies() rule {
	return rule{six: t.Via.Is6(), pref: prefReplies, tcp: true, low: t.Port, high: t.Port,
		action: unix.FR_ACT_TO_TBL, table: table(t.Port), protocol: protocol}
}

// reachable explains why t.Via cannot be the blackhole host: a gateway would
// route the replies by their destination, to the real clients.
func (t Target) reachable(h *host, toVia hop) error {
	switch {
	case t.Via.IsUnspecified() || t.Via.IsMulticast():
		return fmt.Errorf("--via %v is not the address of a host", t.Via)
	case t.Via.IsLoopback() || h.own(t.Via.WithZone("")):
		return fmt.Errorf("--via %v is this host itself: the blackhole host must be another one", t.Via)
	case t.Via.IsLinkLocalUnicast() && t.Via.Is6() && t.Via.Zone() == "":
		return fmt.Errorf("--via %v is on every link: say which, as in %v%%eth0", t.Via, t.Via)
	case toVia.kind == 0:
		return fmt.Errorf("--via %v cannot be reached from this host: no route", t.Via)
	case toVia.gateway.IsValid():
		return fmt.Errorf("--via %v is behind a gateway (%v): the gateway would send the replies on to the real clients. "+
			"The blackhole host needs an address in a network that this host is directly connected to; give that one", t.Via, toVia)
	case toVia.kind != unix.RTN_UNICAST:
		return fmt.Errorf("--via %v is not the address of a host", t.Via)
	}
	return nil
}

// ours returns what is on the host of this port's, in the order of a plan.
func (t Target) ours(h *host, six bool) []piece {
	var own []piece
	for _, r := range h.routes {
		own = append(own, r)
	}
	for _, r := range h.rules {
		if r.pref == prefExcept && t.marked(r) {
			own = append(own, r)
		}
	}
	for _, s := range h.saved.of(t.user(six)) {
		own = append(own, s)
	}
	for _, r := range h.rules {
		if r.pref == prefReplies && t.marked(r) {
			own = append(own, r)
		}
	}
	return own
}

func (t Target) marked(r rule) bool {
	return r.protocol == protocol && r.tcp && r.low == t.Port && r.high == t.Port && !r.narrower
}

func (t Target) user(six bool) string { return fmt.Sprintf("target %s %d", familyName(six), t.Port) }

func (t Target) excepts(a netip.Addr) bool {
	for _, net := range t.Except {
		if net.Contains(a) {
			return true
		}
	}
	return false
}
