package routing

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Blackhole is the host that receives the replies and must not forward them:
// with IP forwarding on it would bring them to the real clients. What captures
// packets there sees them before the rule drops them.
type Blackhole struct {
	Interface string // by which they come; "": any
	Target    netip.Addr
	Port      uint16
}

// Print writes the command that Apply would run on this host.
func (b Blackhole) Print(w io.Writer) error {
	p, err := b.look()
	if err != nil {
		return err
	}
	p.print(w)
	return nil
}

// Apply drops the replies. It does so where forwarding is off, too: it may be
// turned on later, by a container engine for instance.
func (b Blackhole) Apply(w io.Writer) error {
	p, err := b.look()
	if err != nil {
		return err
	}
	if err := p.apply(w); err != nil {
		return err
	}
	return BlackholeReady(b.Interface, b.Target, b.Port)
}

// Check tells whether the replies are dropped, and what mends it.
func (b Blackhole) Check(w io.Writer) (wrong int, err error) {
	p, err := b.look()
	if err != nil {
		return 0, err
	}
	h, err := p.read()
	if err != nil {
		return 0, err
	}
	forwards := h.forwards(p.input, b.Target.Unmap().Is6()) != ""
	if s := p.steps[0]; !forwards && !s.piece.present(h) {
		fmt.Fprintf(w, "unneeded %s: IP forwarding is off\n", s.why)
		return 0, nil
	}
	if wrong, err = p.check(w); err != nil || wrong > 0 || !forwards {
		return wrong, err
	}
	if err := b.drops(h, p.input); err != nil {
		fmt.Fprintf(w, "wrong    %v\n", err)
		return 1, nil
	}
	return 0, nil
}

// Undo takes the rule away.
func (b Blackhole) Undo(w io.Writer) error {
	b.Target = b.Target.Unmap()
	h, err := readHost(b.Target.Is6(), b.Port)
	if err != nil {
		return err
	}
	return undo(w, b.ours(h))
}

// A blackholePlan knows under which name the kernel sees b.Interface's packets.
type blackholePlan struct {
	plan
	input string
}

func (b Blackhole) look() (*blackholePlan, error) {
	b.Target = b.Target.Unmap()
	input, err := inputInterface(b.Interface)
	if err != nil {
		return nil, err
	}
	p := &blackholePlan{b.plan(input), input}
	if input != b.Interface {
		p.notes = append(p.notes, fmt.Sprintf("%s is part of %s, where its packets come in", b.Interface, input))
	}
	p.read = func() (*host, error) { return readHost(b.Target.Is6(), b.Port) }
	return p, nil
}

func (b Blackhole) plan(input string) plan {
	where := ""
	if input != "" {
		where = " on " + input
	}
	r := rule{six: b.Target.Is6(), pref: prefBlackhole, iif: input, from: netip.PrefixFrom(b.Target.WithZone(""), b.Target.BitLen()),
		tcp: true, low: b.Port, high: b.Port, action: unix.FR_ACT_BLACKHOLE, protocol: protocol}
	return plan{
		steps: []step{{fmt.Sprintf("what %v sends from port %d is dropped when it comes in%s", b.Target, b.Port, where), r}},
		ours:  b.ours,
	}
}

// ours returns the rule for b. Rules for other interfaces are not b's.
func (b Blackhole) ours(h *host) []piece {
	input, err := inputInterface(b.Interface)
	if err != nil { // the interface has gone; its rule may be there
		input = b.Interface
	}
	want := b.plan(input).steps[0].piece
	if want.present(h) {
		return []piece{want}
	}
	return nil
}

// BlackholeReady returns nil if the replies of target's port that come in by
// an interface ("": any) go no further, because IP forwarding is off there or
// a rule drops them; otherwise an error with the command that mends it.
func BlackholeReady(iface string, target netip.Addr, port uint16) error {
	b := Blackhole{iface, target.Unmap(), port}
	input, err := inputInterface(iface)
	if err != nil {
		return err
	}
	h, err := readHost(b.Target.Is6(), port)
	if err != nil {
		return err
	}
	if h.forwards(input, b.Target.Is6()) == "" {
		return nil
	}
	return b.drops(h, input)
}

// drops returns nil if the first rule for the replies is one that drops them.
func (b Blackhole) drops(h *host, input string) error {
	missing := "no rule drops them"
	var only []string // interfaces on which a rule does
	for _, r := range h.rules {
		if r.table == unix.RT_TABLE_LOCAL && r.action == unix.FR_ACT_TO_TBL {
			continue // delivers what is for this host
		}
		may, surely := r.mayCatch(input, b.Target, b.Port)
		switch {
		case !may || r.action == unix.FR_ACT_NOP:
		case r.action == unix.FR_ACT_BLACKHOLE && surely:
			return nil
		case r.action == unix.FR_ACT_BLACKHOLE:
			if _, all := r.mayCatch(r.iif, b.Target, b.Port); all {
				only = append(only, r.iif)
				missing = "only those that come in by " + strings.Join(only, " or ") + " are dropped (if all do, say so with --interface)"
			} else if only == nil {
				missing = fmt.Sprintf("the rule of preference %d drops only some of them", r.pref)
			}
		case b.plan(input).steps[0].piece.present(h):
			return fmt.Errorf("the replies of %v may be forwarded to the real clients: the rule of preference %d comes before the one that drops them; "+
				"give it one above %d (ip %s rule)", b.Target, r.pref, prefBlackhole, family(b.Target.Is6()))
		default:
			return fmt.Errorf("the replies of %v would be forwarded to the real clients: %s is on, and %s; mend it by: %v",
				b.Target, h.forwards(input, b.Target.Is6()), missing, b.command())
		}
	}
	return nil // nowhere to go at all
}

// command is the one that mends it.
func (b Blackhole) command() command {
	c := command{"intercept", "route", "blackhole"}
	if b.Interface != "" {
		c = append(c, "--interface", b.Interface)
	}
	return append(c, "--target", b.Target.String(), "--port", strconv.Itoa(int(b.Port)), "apply")
}

// forwards names the setting by which the kernel forwards packets that come in
// by an interface, "" if it does not. IPv4 asks the interface alone (setting
// "all" sets each); IPv6 asks "all", and since Linux 6.17 the interface, too.
func (h *host) forwards(input string, six bool) string {
	if six {
		if all := (setting{key: interfaceKey(true, "all", "forwarding")}); h.value(all.key) == "1" {
			return all.name()
		}
	}
	for _, n := range h.nics {
		if n.loopback || input != "" && n.name != input {
			continue
		}
		own := setting{key: interfaceKey(six, n.name, "forwarding")}
		if six {
			own.key = interfaceKey(true, n.name, "force_forwarding")
		}
		if v := h.value(own.key); v != "" && v != "0" {
			return own.name()
		}
	}
	return ""
}
