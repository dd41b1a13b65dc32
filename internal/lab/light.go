package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A Light is a light server running, which takes the place of a real one in a
// benchmark: see e2e/lightserver.
type Light struct {
	*Daemon
	counts string // the file it counts in
}

// LightCounts are what a light server did since it started.
type LightCounts struct {
	Commands uint64       // the login is none
	Sessions uint64       // logged in, ever
	Open     uint64       // connections
	Logins   [1000]uint64 // by the time they came after the greeting, in steps of LoginStep; the last one: later
}

// LoginStep is as fine as the times of logins are known.
const LoginStep = 10 * time.Microsecond

// Login is how long after the greeting the login came in a share of all sessions.
func (c *LightCounts) Login(share float64) time.Duration {
	var all, n uint64
	for _, k := range c.Logins {
		all += k
	}
	for i, k := range c.Logins {
		if n += k; float64(n) >= share*float64(all) {
			return time.Duration(i+1) * LoginStep
		}
	}
	return 0
}

// StartLight starts a light server on a host of a lab without servers, and waits
// until it listens.
func (l *Lab) StartLight(ctx context.Context, h *Host) (*Light, error) {
	s := &Light{&Daemon{Name: "lightserver"}, filepath.Join(h.dir, "counts")}
	if err := s.begin(h.Command(ctx, "lightserver", "-counts", s.counts)); err != nil {
		return nil, err
	}
	return s, s.wait(ctx, func() bool { return s.sockets("0A", 3306, 0) })
}

// Counts reads the counts, which costs the server nothing.
func (s *Light) Counts() (c LightCounts, err error) {
	b, err := os.ReadFile(s.counts)
	if err != nil {
		return c, err
	}
	if _, err := binary.Decode(b, binary.NativeEndian, &c); err != nil {
		return c, fmt.Errorf("%s: %w", s.counts, err)
	}
	return c, nil
}

// wait waits until a condition holds, or the daemon ends.
func (d *Daemon) wait(ctx context.Context, holds func() bool) error {
	for !holds() {
		select {
		case <-d.exited:
			return fmt.Errorf("%s ended while starting: %v\n%s", d.Name, d.err, d.Log())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
