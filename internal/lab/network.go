package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// hostNames are every lab's hosts; the nth has the address 10.77.0.(n+1)0.
var hostNames = []string{"client", "production", "target", "blackhole"}

// settings are made on every host under /proc/sys/net: it is no router, and has
// ports enough for a storm of short connections.
const settings = `cd /proc/sys/net &&
echo 0 > ipv4/ip_forward && echo 0 > ipv6/conf/all/forwarding &&
echo 10000 60999 > ipv4/ip_local_port_range`

// plain makes the bridge do without the hooks of br_netfilter, which machines with
// containers have loaded: they would be a sixth of what sending a packet costs.
const plain = `for hook in arptables ip6tables iptables; do
	! [ -e /proc/sys/net/bridge/bridge-nf-call-$hook ] || echo 0 > /proc/sys/net/bridge/bridge-nf-call-$hook
done`

// raiseNetwork makes the namespaces, the bridge and the cables between them.
func (l *Lab) raiseNetwork(ctx context.Context, more ...string) error {
	ip := func(args ...string) error { _, err := run(ctx, "ip", args...); return err }

	sw := l.prefix + "-switch"
	steps := [][]string{
		{"netns", "add", sw},
		{"-n", sw, "link", "set", "lo", "up"},
		{"-n", sw, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"},
		{"-n", sw, "link", "set", "br0", "up"},
	}
	here, there := cpus()
	for i, name := range append(hostNames[:len(hostNames):len(hostNames)], more...) {
		n := (i + 1) * 10
		h := &Host{
			Name: name,
			V4:   netip.MustParseAddr(fmt.Sprintf("10.77.0.%d", n)),
			V6:   netip.MustParseAddr(fmt.Sprintf("fd77::%d", n)),
			MAC:  fmt.Sprintf("02:77:00:00:00:%02d", n),
			NS:   l.prefix + "-" + name,
			dir:  filepath.Join(l.dir, name),
			bin:  l.bin,
			cpus: here,
		}
		if strings.HasPrefix(name, "target") || strings.HasPrefix(name, "blackhole") {
			h.cpus = there
		}
		if err := os.MkdirAll(filepath.Join(h.dir, "run"), 0o755); err != nil {
			return err
		}
		l.hosts = append(l.hosts, h)
		steps = append(steps, [][]string{
			{"netns", "add", h.NS},
			{"-n", h.NS, "link", "set", "lo", "up"},
			{"-n", h.NS, "link", "add", "eth0", "address", h.MAC, "type", "veth", "peer", "name", name, "netns", sw},
			{"-n", sw, "link", "set", name, "master", "br0", "up"},
			{"-n", h.NS, "addr", "add", h.V4.String() + "/24", "dev", "eth0"},
			{"-n", h.NS, "link", "set", "eth0", "up"},
			{"-n", h.NS, "addr", "add", h.V6.String() + "/64", "dev", "eth0", "nodad"},
		}...)
	}
	l.Client, l.Production, l.Target, l.Blackhole = l.hosts[0], l.hosts[1], l.hosts[2], l.hosts[3]
	for _, args := range steps {
		if err := ip(args...); err != nil {
			return fmt.Errorf("raise the network: %w", err)
		}
	}
	if err := ip("netns", "exec", sw, "sh", "-c", plain); err != nil {
		return fmt.Errorf("raise the network: %w", err)
	}
	for _, h := range l.hosts {
		if _, err := h.Run(ctx, "sh", "-c", settings); err != nil {
			return fmt.Errorf("raise the network: %w", err)
		}
	}
	return nil
}

// Cable plugs a host's network cable in or out.
func (l *Lab) Cable(ctx context.Context, h *Host, in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	_, err := run(ctx, "ip", "-n", l.prefix+"-switch", "link", "set", h.Name, state)
	return err
}

// permitted reports why this machine cannot hold a lab, or nil.
func permitted() error {
	if os.Geteuid() != 0 {
		return errors.New("a lab needs root (network namespaces)")
	}
	var missing []string
	for _, program := range []string{"ip", "nft", "mount"} {
		if !installed(program) {
			missing = append(missing, program)
		}
	}
	if missing != nil {
		return fmt.Errorf("%s not installed: run tools/setup", strings.Join(missing, ", "))
	}
	return nil
}

// installed reports whether a program is in one of the places a root shell looks.
func installed(program string) bool {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode()&0o111 != 0 {
			return true
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
	}
	return false
}
