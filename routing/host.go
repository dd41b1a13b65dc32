package routing

import (
	"fmt"
	"net"
	"net/netip"
)

// A host is what is looked at of the machine, for one address family: a plan
// follows from it without looking again.
type host struct {
	nics    []nic // those that are up
	rules   []rule
	routes  []route // of the port's table
	saved   savedValues
	sysctls map[string]string // nil: those of this machine
}

type nic struct {
	name     string
	loopback bool
	addrs    []netip.Prefix
}

func readHost(six bool, port uint16) (*host, error) {
	h := &host{}
	var err error
	if h.nics, err = readNICs(); err != nil {
		return nil, err
	}
	if h.rules, err = readRules(six); err != nil {
		return nil, err
	}
	if h.routes, err = readRoutes(six, table(port)); err != nil {
		return nil, err
	}
	if h.saved, err = readSaved(); err != nil {
		return nil, err
	}
	return h, nil
}

// table is the number of the routing table for a port's replies.
func table(port uint16) uint32 { return tableBase + uint32(port) }

func readNICs() ([]nic, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	var nics []nic
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		n := nic{name: i.Name, loopback: i.Flags&net.FlagLoopback != 0}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				n.addrs = append(n.addrs, p)
			}
		}
		nics = append(nics, n)
	}
	return nics, nil
}

func (h *host) value(key string) string {
	if h.sysctls != nil {
		return h.sysctls[key]
	}
	return readSysctl(key)
}

// own reports whether a is an address of this host: table local, which no rule
// of ours precedes, delivers what is sent there.
func (h *host) own(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, n := range h.nics {
		for _, p := range n.addrs {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}
