package intercept

import (
	"time"

	"mrtecopy/internal/wire"
)

const (
	// maxEarly bounds how many flows' first segments are kept.
	maxEarly = 4096
	// earlyAge is how long they are kept.
	earlyAge = time.Second
)

// early keeps the first answer to a SYN, a SYN-ACK or RST, of flows that are not
// registered: the registration travels by another way than the SYN and may
// arrive later. Without this the target's next SYN-ACK would come after a
// second. It is a ring: the oldest makes room.
type early struct {
	at   map[wire.Endpoint]int // index in ring
	ring []earlySegment
	next int
}

type earlySegment struct {
	segment wire.Segment // without payload
	path    uint8
	came    time.Duration
	kept    bool
}

// put keeps s. It reports whether another segment was given up for it.
func (y *early) put(now time.Duration, s *wire.Segment, path uint8) (gaveUp bool) {
	if y.at == nil {
		y.at = make(map[wire.Endpoint]int)
		y.ring = make([]earlySegment, maxEarly)
	}
	i, again := y.at[s.Dst]
	if !again {
		i = y.next
		y.next = (y.next + 1) % len(y.ring)
		if gaveUp = y.ring[i].kept; gaveUp {
			delete(y.at, y.ring[i].segment.Dst)
		}
		y.at[s.Dst] = i
	}
	y.ring[i] = earlySegment{segment: *s, path: path, came: now, kept: true}
	y.ring[i].segment.Payload = nil // a view into the ring
	return gaveUp || again
}

// take returns what was kept of a client's flow and is not too old.
func (y *early) take(now time.Duration, client wire.Endpoint) (s *wire.Segment, path uint8) {
	i, ok := y.at[client]
	if !ok {
		return nil, 0
	}
	delete(y.at, client)
	k := &y.ring[i]
	k.kept = false
	if now-k.came > earlyAge {
		return nil, 0
	}
	return &k.segment, k.path
}
