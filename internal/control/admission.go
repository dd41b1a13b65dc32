package control

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// maxVisitors bounds the connections that have not finished the handshake.
	maxVisitors = 128
	// maxPerSecond bounds the connections accepted in a second, and
	// maxPerSource those of one source. A mrtecopy makes one for each shard.
	maxPerSecond = 1024
	maxPerSource = 256
)

// A source is whom connections are counted for: an IPv4 address, or the /64 of
// an IPv6 one, which is commonly one host's.
type source struct{ netip.Prefix }

func sourceOf(a netip.Addr) source {
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 32
	}
	p, _ := a.WithZone("").Prefix(bits)
	return source{p}
}

// A visitor is a connection that has not finished the handshake.
type visitor struct {
	source source
	leave  func() // ends the connection
}

// An admission decides who may try the handshake, so that strangers disturb
// nobody: one source, however busy, takes places only from itself.
type admission struct {
	visitors []*visitor // in the order they came
	second   time.Time  // when the counts began
	count    int
	from     map[source]int
}

// admit lets v in or reports false. For its place it may make another visitor
// leave, which the caller tells to.
func (a *admission) admit(now time.Time, v *visitor) (leave *visitor, ok bool) {
	if a.from == nil || now.Sub(a.second) >= time.Second {
		a.second, a.count, a.from = now, 0, make(map[source]int)
	}
	if a.count >= maxPerSecond || a.from[v.source] >= maxPerSource {
		return nil, false
	}
	a.count++
	a.from[v.source]++
	a.visitors = append(a.visitors, v)
	if len(a.visitors) > maxVisitors {
		leave = a.crowd()
		a.remove(leave)
	}
	return leave, true
}

// crowd returns the oldest visitor of the source that has the most.
func (a *admission) crowd() *visitor {
	n := make(map[source]int)
	most := 0
	for _, v := range a.visitors {
		n[v.source]++
		most = max(most, n[v.source])
	}
	i := slices.IndexFunc(a.visitors, func(v *visitor) bool { return n[v.source] == most })
	return a.visitors[i]
}

// remove takes v out. It reports false when v was made to leave before.
func (a *admission) remove(v *visitor) bool {
	i := slices.Index(a.visitors, v)
	if i >= 0 {
		a.visitors = slices.Delete(a.visitors, i, i+1)
	}
	return i >= 0
}
