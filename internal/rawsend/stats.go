//go:build linux

package rawsend

import (
	"cmp"
	"strconv"

	"golang.org/x/sys/unix"
)

// Stats count since Open.
type Stats struct {
	Packets, Bytes uint64       // sent, from the IP header on
	Refused        uint64       // not for the target, or the target is this host
	Errors         []ErrorCount // packets not sent, by reason
}

// An ErrorCount says how many packets the kernel did not take for one reason,
// such as EMSGSIZE (larger than the MTU), EPERM (this host's firewall), ENOBUFS
// and EAGAIN (more than the network takes), ENETUNREACH.
type ErrorCount struct {
	Errno   unix.Errno
	Packets uint64
}

// Name returns the reason's name, such as "EMSGSIZE".
func (e ErrorCount) Name() string {
	return cmp.Or(unix.ErrnoName(e.Errno), strconv.Itoa(int(e.Errno)))
}

type counters struct {
	packets, bytes, refused uint64

	errors  [8]ErrorCount // in the order they came up first
	reasons int           // used
}

// fail counts n packets that were not sent. When there are more reasons than
// room, the last one counts for all.
func (c *counters) fail(errno unix.Errno, n int) {
	for i := range c.errors {
		e := &c.errors[i]
		if i == c.reasons {
			c.reasons++
			e.Errno = errno
		}
		if e.Errno == errno || i == len(c.errors)-1 {
			e.Packets += uint64(n)
			return
		}
	}
}

// Stats returns the counters. The slice in it remains the Sender's.
func (s *Sender) Stats() Stats {
	c := &s.stats
	return Stats{c.packets, c.bytes, c.refused, c.errors[:c.reasons]}
}
