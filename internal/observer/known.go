package observer

import (
	"sync"
	"time"

	"mrtecopy/internal/wire"
)

// known is what looks told of connections that nothing was captured of so far, by
// their client's end.
type known struct {
	mu    sync.Mutex
	told  map[wire.Endpoint]recalled
	size  int // octets
	limit int // of these
}

type recalled struct {
	seen  *Seen
	ended time.Time // of the look
}

// cost returns the octets that r takes, with those of the map.
func (r recalled) cost() int { return r.seen.Size() + 128 }

// Keeps returns the most octets that o keeps; without one 0.
func (o *Observer) Keeps() int {
	if o == nil {
		return 0
	}
	return o.known.limit
}

// Remember keeps what a look told of a client that nobody has asked for, unless
// there is no room for it.
func (o *Observer) Remember(client wire.Endpoint, seen *Seen, ended time.Time) {
	k, r := &o.known, recalled{seen, ended}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(client)
	if k.size+r.cost() <= k.limit {
		k.told[client] = r
		k.size += r.cost()
	}
}

// full reports whether it is time to ask no more.
func (k *known) full() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.size > k.limit/2
}

func (k *known) drop(client wire.Endpoint) (r recalled, ok bool) {
	if r, ok = k.told[client]; ok {
		k.size -= r.cost()
		delete(k.told, client)
	}
	return r, ok
}

// Recall takes what a look told of a client that nobody had asked for, and when
// that look ended. It is told once.
func (o *Observer) Recall(client wire.Endpoint) (seen *Seen, ended time.Time, ok bool) {
	k := &o.known
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range []wire.Endpoint{client, ByPort(client)} {
		if r, ok := k.drop(c); ok {
			return r.seen, r.ended, true
		}
	}
	return nil, time.Time{}, false
}
