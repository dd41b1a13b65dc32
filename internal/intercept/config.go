package intercept

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/control"
	"mrtecopy/routing"
)

// A Config says what to watch and whom to tell.
type Config struct {
	Interfaces []string     // where the target's replies arrive; empty: all that are up
	Target     netip.Addr   // only this server's replies
	Port       uint16       // its MySQL port
	Listen     string       // HOST:PORT for mrtecopy
	Key        *control.Key // nil: control connections are neither encrypted nor authenticated

	// OwnerAway is how long a mrtecopy may stay away before its connections are
	// reset on the target; 0: 30 s. One that comes back in time has a third of
	// that to register again those that it still wants.
	OwnerAway   time.Duration
	MaxSessions int           // 0: a million
	MaxHeld     int           // octets held of all connections that are not framed; 0: 256 MiB
	Spacing     time.Duration // between two looks at the rings while replies are many; 0: 250 µs

	Opened      func() error  // called when all sockets are open, before any packet is read
	StatusEvery time.Duration // 0: no status lines
	Status      io.Writer
	Log         *slog.Logger
	Version     string
}

const (
	defaultOwnerAway   = 30 * time.Second
	defaultMaxSessions = 1_000_000
	defaultMaxHeld     = 256 << 20
	defaultSpacing     = 250 * time.Microsecond

	// maxInterfaces is what a receiver's path can tell apart.
	maxInterfaces = 255
)

// complete fills in the defaults and checks the rest.
func (c *Config) complete() error {
	c.Target = c.Target.Unmap().WithZone("")
	switch {
	case !c.Target.IsValid(), c.Target.IsUnspecified(), c.Target.IsMulticast():
		return errors.New("no target: name the server whose replies arrive here")
	case c.Port == 0:
		return errors.New("no port: name the target's MySQL port")
	}
	c.OwnerAway = cmp.Or(c.OwnerAway, defaultOwnerAway)
	c.MaxSessions = cmp.Or(c.MaxSessions, defaultMaxSessions)
	c.MaxHeld = cmp.Or(c.MaxHeld, defaultMaxHeld)
	c.Spacing = cmp.Or(c.Spacing, defaultSpacing)
	if c.Status == nil {
		c.Status = io.Discard
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// check looks whether this host can do the work: the interfaces are there, and
// what arrives goes no further. It returns the interfaces to listen on.
func (c *Config) check() (interfaces []string, err error) {
	if len(c.Interfaces) == 0 {
		up, err := capture.UpInterfaces()
		if err != nil {
			return nil, err
		}
		if len(up) == 0 {
			return nil, errors.New("no interface is up (ip link set NAME up)")
		}
		if err := routing.BlackholeReady("", c.Target, c.Port); err != nil {
			return nil, err
		}
		return up[:min(len(up), maxInterfaces)], nil
	}
	if len(c.Interfaces) > maxInterfaces {
		return nil, fmt.Errorf("%d interfaces are too many: %d at most", len(c.Interfaces), maxInterfaces)
	}
	for _, name := range c.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("interface %s: there is none of this name (ip link show)", name)
		}
		if err := routing.BlackholeReady(name, c.Target, c.Port); err != nil {
			return nil, err
		}
	}
	return c.Interfaces, nil
}
