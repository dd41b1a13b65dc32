package replay

import (
	"time"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A bucket is a token bucket that holds a second's worth, as a generic cell rate
// algorithm (ITU-T I.371): at is when the next token would be due if they came
// evenly.
type bucket struct {
	each time.Duration // between two tokens
	at   time.Duration
}

func newBucket(perSecond int) bucket {
	return bucket{each: time.Second / time.Duration(max(perSecond, 1))}
}

// take takes a token, or reports that there is none.
func (b *bucket) take(now time.Duration) bool {
	b.at = max(b.at, now-time.Second)
	if b.at > now {
		return false
	}
	b.at += b.each
	return true
}

// A guard stands before the way out to the target: SYNs and RSTs beyond a rate
// do not pass, whatever the clients do, and whatever is wrong with us. A SYN is
// dropped, since TCP repeats it. A RST waits, or the target would keep the
// session; it cannot end a later connection of its 4-tuple, whose numbers are
// higher.
type guard struct {
	bucket bucket
	held   []heldReset
}

type heldReset struct {
	flow     wire.Flow
	seq, ack seq.Num
	flags    wire.Flags
}

const (
	// guardFactor is how many SYNs and RSTs may pass for each connection that may
	// be opened: repeated SYNs, and at its end two RSTs.
	guardFactor = 4
	// maxHeldResets bounds the RSTs that wait. Beyond it they are dropped, too.
	maxHeldResets = 1 << 16
	// resetsAtEnd is how many RSTs a second may pass at the end of the replay: they
	// open nothing, and whoever ended it waits.
	resetsAtEnd = 10_000
	// paceEvery is how often what waits for a token is looked at.
	paceEvery = 10 * time.Millisecond
)

// passes reports whether seg may be sent now.
func (g *guard) passes(now time.Duration, seg *wire.Segment) bool {
	if seg.Flags&(wire.SYN|wire.RST) == 0 || len(g.held) == 0 && g.bucket.take(now) {
		return true
	}
	if seg.Flags.Has(wire.RST) && len(g.held) < maxHeldResets {
		g.held = append(g.held, heldReset{seg.Flow, seg.Seq, seg.Ack, seg.Flags})
	}
	return false
}

// sendHeld sends the RSTs that waited, as far as they may go.
func (s *shard) sendHeld() {
	g := &s.guard
	n := 0
	for n < len(g.held) && g.bucket.take(s.env.Now) {
		r := &g.held[n]
		s.transmit(&wire.Segment{Flow: r.flow, Seq: r.seq, Ack: r.ack, Flags: r.flags})
		n++
	}
	if n == len(g.held) {
		g.held = nil
		return
	}
	g.held = g.held[n:]
}
