package intercept

import (
	"maps"
	"slices"
	"time"

	"mrtecopy/internal/capture"
)

const (
	holdCheck  = 100 * time.Millisecond // how often what is held is looked after
	addrsCheck = 10 * time.Second       // how often this host's addresses are
)

// A schedule says when the engine's occasional work is due.
type schedule struct {
	hold, owners, addrs, status time.Duration
	ownersEvery                 time.Duration
}

// wait returns how long the engine may sleep from now on.
func (d *schedule) wait(e *engine, now time.Duration) time.Duration {
	next := min(d.owners, d.addrs)
	if d.status != 0 {
		next = min(next, d.status)
	}
	if e.reportAt != 0 {
		next = min(next, e.reportAt)
	}
	if len(e.holding) > 0 {
		next = min(next, d.hold)
	}
	if len(e.resets.queue) > 0 {
		next = min(next, e.resets.due)
	}
	return max(next-now, 0)
}

// keepHouse does what is due.
func (e *engine) keepHouse(now time.Duration) {
	d := &e.due
	if now >= d.hold {
		d.hold = now + holdCheck
		e.expireHeld(now)
		e.tellLimits()
	}
	if now >= d.owners {
		d.owners = now + d.ownersEvery
		e.tickConns(now)
		e.checkOwners(now)
		e.mendTaps()
	}
	if now >= d.addrs {
		d.addrs = now + addrsCheck
		e.lookAtAddrs()
	}
	if d.status != 0 && now >= d.status {
		d.status = now + e.config.StatusEvery
		e.writeStatus(now)
	}
	e.sendResets(now)
}

// expireHeld looks after the sessions that hold something.
func (e *engine) expireHeld(now time.Duration) {
	keep := e.holding[:0]
	for _, s := range e.holding {
		if s.owner == nil || s.back == nil {
			s.holding = false
			continue
		}
		keep = append(keep, s)
		t := e.touch(s)
		before := s.rcvNxt()
		s.expire(now, &e.work, t)
		t.any = t.any || s.rcvNxt() != before
		e.settle(s)
	}
	clear(e.holding[len(keep):])
	e.holding = keep
}

// checkOwners resets the sessions of those who stayed away, and those that one
// who came back did not register again.
func (e *engine) checkOwners(now time.Duration) {
	for _, o := range e.owners {
		if o.deadline == 0 || now < o.deadline {
			continue
		}
		o.deadline = 0
		n := 0
		for _, id := range slices.Sorted(maps.Keys(o.sessions)) { // not a map's order: a simulation repeats itself
			s := o.sessions[id]
			if o.conn == nil || s.stale {
				e.reset(s)
				n++
			}
		}
		if o.conn == nil {
			delete(e.owners, o.key)
		}
		if n > 0 {
			e.config.Log.Warn("mrtecopy stayed away: its sessions are reset on the target", "sessions", n, "shard", o.key.shard, "back", o.conn != nil)
		}
	}
}

// lookAtAddrs notes this host's addresses, of which a mrtecopy is told.
func (e *engine) lookAtAddrs() {
	addrs, err := capture.LocalAddrs()
	if err != nil {
		e.warn("addrs", "own addresses not known", "err", err)
		return
	}
	e.addrs.Store(&addrs)
}
