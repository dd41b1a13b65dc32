package routing

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// A rule is one line of `ip rule`, as far as we use it. Zero values select
// everything.
type rule struct {
	six       bool // IPv6
	pref      uint32
	iif       string
	from, to  netip.Prefix
	tcp       bool // ipproto tcp
	low, high uint16
	action    uint8 // unix.FR_ACT_TO_TBL or unix.FR_ACT_BLACKHOLE in ours
	table     uint32
	protocol  uint8
	narrower  bool // has selectors that are none of the above
}

func (r rule) add() command { return append(command{"ip", family(r.six), "rule", "add"}, r.words()...) }
func (r rule) remove() command {
	return append(command{"ip", family(r.six), "rule", "del"}, r.words()...)
}

func (r rule) do() error      { return run(r.add()) }
func (r rule) undo() error    { return run(r.remove()) }
func (r rule) undone() string { return r.remove().String() }

func (r rule) words() []string {
	w := []string{"pref", strconv.Itoa(int(r.pref))}
	if r.iif != "" {
		w = append(w, "iif", r.iif)
	}
	if r.from.IsValid() {
		w = append(w, "from", prefixText(r.from))
	}
	if r.to.IsValid() {
		w = append(w, "to", prefixText(r.to))
	}
	w = append(w, "ipproto", "tcp", "sport", strconv.Itoa(int(r.low)))
	switch {
	case r.action == unix.FR_ACT_BLACKHOLE:
		w = append(w, "blackhole")
	case r.table == unix.RT_TABLE_MAIN:
		w = append(w, "lookup", "main")
	default:
		w = append(w, "lookup", strconv.Itoa(int(r.table)))
	}
	return append(w, "protocol", strconv.Itoa(int(r.protocol)))
}

// present reports whether the host has r.
func (r rule) present(h *host) bool {
	for _, o := range h.rules {
		if o == r {
			return true
		}
	}
	return false
}

// mayCatch reports whether r could apply to a TCP segment that arrives on
// interface iif from address a and port p; surely is false where it also
// depends on something else. An iif of "" stands for every interface.
func (r rule) mayCatch(iif string, a netip.Addr, p uint16) (may, surely bool) {
	if r.iif != "" && iif != "" && r.iif != iif ||
		r.from.IsValid() && !r.from.Contains(a) ||
		r.high != 0 && (p < r.low || r.high < p) {
		return false, false
	}
	return true, !r.narrower && !r.to.IsValid() && (r.iif == "" || r.iif == iif)
}

// readRules returns the rules of one family in the order in which the kernel
// tries them.
func readRules(six bool) ([]rule, error) {
	header := make([]byte, fibRuleHeader)
	header[0] = addressFamily(six)
	bodies, err := dump(unix.RTM_GETRULE, header)
	if err != nil {
		return nil, fmt.Errorf("read the routing rules (ip %s rule): %w", family(six), err)
	}
	rules := make([]rule, 0, len(bodies))
	for _, b := range bodies {
		r, err := parseRule(b)
		if err != nil {
			return nil, fmt.Errorf("read the routing rules (ip %s rule): %w", family(six), err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

const fibRuleHeader = 12

// Attributes that x/sys/unix does not name yet, from linux/fib_rules.h.
const (
	fraSportMask = 28
	fraDportMask = 29
)

// The flag of `ip rule add not …`, from linux/fib_rules.h.
const fibRuleInvert = 2

// parseRule reads the body of an RTM_NEWRULE message.
//
//	uint8 family | dst_len | src_len | tos | table | 2 reserved | action | uint32 flags | attributes
func parseRule(b []byte) (r rule, err error) {
	if len(b) < fibRuleHeader {
		return r, errTruncated
	}
	attrs, err := parseAttributes(b[fibRuleHeader:])
	if err != nil {
		return r, err
	}
	r.six = b[0] == unix.AF_INET6
	r.table = uint32(b[4])
	r.action = b[7]
	r.narrower = b[3] != 0 || binary.NativeEndian.Uint32(b[8:])&fibRuleInvert != 0
	for _, a := range attrs {
		switch a.kind {
		case unix.FRA_PRIORITY:
			r.pref = a.number()
		case unix.FRA_TABLE:
			r.table = a.number()
		case unix.FRA_PROTOCOL:
			r.protocol = uint8(a.number())
		case unix.FRA_IIFNAME:
			r.iif = a.text()
		case unix.FRA_SRC:
			r.from, err = parsePrefix(a.value, b[2])
		case unix.FRA_DST:
			r.to, err = parsePrefix(a.value, b[1])
		case unix.FRA_IP_PROTO:
			r.tcp = a.number() == unix.IPPROTO_TCP
			r.narrower = r.narrower || !r.tcp
		case unix.FRA_SPORT_RANGE:
			if len(a.value) != 4 {
				return r, errTruncated
			}
			r.low, r.high = binary.NativeEndian.Uint16(a.value), binary.NativeEndian.Uint16(a.value[2:])
		case fraSportMask: // told with every port since 6.15; a whole one narrows nothing
			r.narrower = r.narrower || a.number() != 0xffff
		case unix.FRA_SUPPRESS_PREFIXLEN, unix.FRA_SUPPRESS_IFGROUP, unix.FRA_FLOW, unix.FRA_GOTO, unix.FRA_PAD:
			// what happens, not to whom
		default: // marks, users, output interfaces and whatever comes later
			r.narrower = true
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// parsePrefix reads an address attribute; bits come from the fixed header.
func parsePrefix(value []byte, bits uint8) (netip.Prefix, error) {
	a, ok := netip.AddrFromSlice(value)
	if !ok || int(bits) > a.BitLen() {
		return netip.Prefix{}, errTruncated
	}
	return netip.PrefixFrom(a, int(bits)), nil
}

// prefixText leaves out the length where p is a single address, as `ip` does.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func addressFamily(six bool) uint8 {
	if six {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// family is the option of `ip` that chooses it.
func family(six bool) string {
	if six {
		return "-6"
	}
	return "-4"
}

func familyName(six bool) string {
	if six {
		return "IPv6"
	}
	return "IPv4"
}
