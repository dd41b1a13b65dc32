package replay

import "sync"

// connections are the session.ConnectionIDs of all shards: a client of one may
// kill a client of another. It is locked when a session begins and ends, and for
// each KILL.
type connections struct {
	mu  sync.Mutex
	ids map[uint32]pairedID // by production's id
}

type pairedID struct {
	target uint32
	killed bool // by a client
	others bool // another one had the same id: several servers, or one that began anew
}

func newConnections() *connections { return &connections{ids: make(map[uint32]pairedID)} }

// Add implements session.ConnectionIDs. Where two connections of production have
// the same id, that is nobody's until both have ended.
func (c *connections) Add(production, target uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, taken := c.ids[production]
	c.ids[production] = pairedID{target: target, others: taken}
}

// Remove implements session.ConnectionIDs.
func (c *connections) Remove(production, target uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids[production].others {
		c.ids[production] = pairedID{} // the other one is left, whichever it is
		return
	}
	delete(c.ids, production)
}

// Target implements session.ConnectionIDs.
func (c *connections) Target(production uint64) (uint32, bool) {
	if production > 1<<32-1 {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.ids[uint32(production)]
	return k.target, k.target != 0 && !k.others
}

// Kill implements session.ConnectionIDs.
func (c *connections) Kill(production uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.ids[uint32(production)]; ok && !k.others {
		k.killed = true
		c.ids[uint32(production)] = k
	}
}

// Killed implements session.ConnectionIDs.
func (c *connections) Killed(production uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[production].killed
}
