package simulation

import (
	"time"

	"mrtecopy/internal/control"
	"mrtecopy/internal/intercept"
)

// A channel is the control channel, with both ends' view of it: a stream that
// keeps order, takes its time, stalls and breaks.
type channel struct {
	w     *world
	open  bool
	epoch int           // of the connection
	until time.Duration // when a stall ends

	toShard, toEngine pipe
	shardUp           bool   // as the shard knows it
	engineGone        bool   // the intercept is not running
	doomed            func() // what breaks it with the next packet that is returned
}

// A pipe is one direction.
type pipe struct {
	batches [][]byte // on the way
	last    time.Duration
}

// send puts a batch on its way.
func (c *channel) send(p *pipe, batch []byte, deliver func([]byte)) {
	if !c.open || len(batch) == 0 {
		return // as what a socket takes after the other side's end
	}
	c.w.note(batch)
	p.batches = append(p.batches, batch)
	epoch := c.epoch
	p.last = max(p.last, c.until, c.w.now+c.w.between(20*time.Microsecond, 300*time.Microsecond))
	c.w.after(p.last-c.w.now, func() {
		if c.epoch == epoch && c.open {
			p.batches = p.batches[1:]
			deliver(batch)
		}
	})
}

func (c *channel) toTheShard(batch []byte) {
	if c.doomed != nil && heads(batch) > 0 {
		c.w.after(0, c.doomed)
		c.doomed = nil
	}
	c.send(&c.toShard, batch, func(b []byte) { c.w.shardNews(func() { c.w.messages(b) }) })
}

func (c *channel) toTheEngine(batch []byte) {
	c.send(&c.toEngine, batch, func(b []byte) { c.w.engineNews(func(e *intercept.Simulated) { e.Messages(c.w.now, b) }) })
}

// heads counts the packets that a batch returns.
func heads(batch []byte) (n int) {
	for t, _, rest := control.Next(batch); t != 0; t, _, rest = control.Next(rest) {
		if t == control.TypeHead {
			n++
		}
	}
	return n
}

// arrived delivers as many of the messages on the way as chance has it, often up
// to one that returns a packet, behind which a report should come: the rest gets
// lost with the connection.
func (c *channel) arrived(p *pipe, deliver func([]byte)) {
	var all []byte
	for _, b := range p.batches {
		all = append(all, b...)
	}
	p.batches, p.last = nil, 0
	end, cut := 0, c.w.rng.IntN(heads(all)+1)
	for t, _, rest := control.Next(all); t != 0; t, _, rest = control.Next(rest) {
		if cut == 0 && c.w.rng.IntN(4) == 0 {
			break
		}
		end = len(all) - len(rest)
		if t == control.TypeHead {
			if cut--; cut == 0 {
				break
			}
		}
	}
	if end > 0 {
		deliver(all[:end])
	}
}

// breaks ends the connection. Both ends learn of it in their time, and the shard
// dials again.
func (c *channel) breaks(away time.Duration) {
	if !c.open {
		return
	}
	c.w.trace("the control channel breaks")
	c.doomed = nil
	c.arrived(&c.toShard, func(b []byte) { c.w.shardNews(func() { c.w.messages(b) }) })
	c.arrived(&c.toEngine, func(b []byte) { c.w.engineNews(func(e *intercept.Simulated) { e.Messages(c.w.now, b) }) })
	c.open = false
	c.epoch++
	epoch := c.epoch
	c.w.after(c.w.between(0, 200*time.Millisecond), func() {
		if c.epoch == epoch {
			c.w.engineNews(func(e *intercept.Simulated) { e.Disconnect(c.w.now) })
		}
	})
	c.w.after(c.w.between(0, 200*time.Millisecond), func() {
		c.shardUp = false
		c.w.shardNews(c.w.shard.LinkDown)
		c.w.after(away, c.dial)
	})
}

// dial connects, again and again.
func (c *channel) dial() {
	if c.engineGone {
		c.w.after(200*time.Millisecond, c.dial)
		return
	}
	c.w.trace("the shard is connected")
	c.open = true
	c.epoch++
	epoch := c.epoch
	c.toShard, c.toEngine = pipe{}, pipe{}
	c.w.engineNews(func(e *intercept.Simulated) {
		welcome, err := e.Connect(c.w.now, c.w.shard.Hello())
		if err != nil {
			c.w.fail("%v", err)
		}
		c.w.after(50*time.Microsecond, func() {
			if c.epoch == epoch {
				c.shardUp = true
				c.w.shardNews(func() { c.w.shard.LinkUp(welcome) })
			}
		})
	})
}

// restart ends the intercept and starts another one after a while.
func (c *channel) restart(away time.Duration) {
	if c.engineGone {
		return
	}
	c.w.trace("the intercept ends")
	c.engineGone = true
	c.breaks(away)
	c.w.engineIn = nil
	c.w.after(away, func() {
		c.w.trace("the intercept is back")
		c.engineGone = false
		c.w.newEngine()
	})
}
