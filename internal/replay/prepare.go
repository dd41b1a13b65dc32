package replay

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"

	"mrtecopy/internal/capture"
)

// A plan is what Run found out about this host before it opened anything.
type plan struct {
	interfaces []string
	servers    []netip.Addr
	mirror     bool // the servers are elsewhere: the frames come from a mirror port
	filter     []bpf.RawInstruction
	fanout     uint16 // id of the first interface's fanout group
}

// fanoutID returns a number for the first fanout group. Who opens one with the same
// number on the same interface joins the group and gets a part of its frames, so
// it is random: process ids are alike in containers that share a network.
func fanoutID() uint16 {
	var b [2]byte
	rand.Read(b[:])                               // never fails (crypto/rand)
	return 1 + binary.NativeEndian.Uint16(b[:])/2 // 0 is none, and there is room above for the other interfaces'
}

// prepare checks c against this host.
func prepare(c *Config) (plan, error) {
	local, err := capture.LocalAddrs()
	if err != nil {
		return plan{}, err
	}
	p := plan{servers: c.ServerIPs, interfaces: c.Interfaces, fanout: fanoutID()}
	target := c.Target.Addr().Unmap()
	if slices.Contains(local, target) || target.IsLoopback() || target.IsUnspecified() {
		return p, fmt.Errorf("the target %s is an address of this host: mrtecopy runs on the production host and replays to another one; set --target to the candidate server", target)
	}
	if len(p.servers) == 0 {
		p.servers = local
	}
	for _, a := range p.servers {
		if a.Unmap() == target {
			return p, fmt.Errorf("the target %s is the production server: its own traffic would be replayed into it; set --target to the candidate server", target)
		}
		if !slices.Contains(local, a.Unmap()) {
			p.mirror = true
		}
	}
	if p.mirror && len(p.interfaces) == 0 {
		return p, fmt.Errorf("--server-ip names an address that is not this host's: say with --interface where its traffic is mirrored to")
	}
	if len(p.interfaces) == 0 {
		if p.interfaces, err = capture.UpInterfaces(); err != nil {
			return p, err
		}
		if len(p.interfaces) == 0 {
			return p, fmt.Errorf("no interface is up: name one with --interface")
		}
	}
	p.filter, err = capture.ServerFilter(p.servers, c.Port)
	return p, err
}
