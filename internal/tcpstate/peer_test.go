package tcpstate

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

var testFlow = wire.Flow{
	Src: wire.Endpoint{Addr: wire.Addr{10: 0xff, 11: 0xff, 12: 10, 15: 1}, Port: 4000},
	Dst: wire.Endpoint{Addr: wire.Addr{10: 0xff, 11: 0xff, 12: 10, 15: 2}, Port: 3306},
}

const ms = time.Millisecond

// A peer is a target's TCP together with the intercept's view of it: it takes
// our segments and makes the reports.
type peer struct {
	t        *testing.T
	iss      seq.Num
	nxt      seq.Num // our octets it has
	open     bool
	finSeen  bool
	got      []byte
	early    []piece // beyond nxt, in order
	blocks   []wire.Block
	wnd      uint16
	scale    uint8
	noSACK   bool
	r        wire.Report
	due      bool
	sndNxt   seq.Num // the peer's own next number
	rstSeen  int
	received int
}

// A piece is a segment that came before its turn.
type piece struct {
	start seq.Num
	data  []byte
	fin   bool
}

func newPeer(t *testing.T) *peer {
	return &peer{t: t, iss: 0xfffffff0, wnd: 0xffff, scale: 7}
}

func (p *peer) segment(s *wire.Segment) {
	p.received++
	if s.Flags.Has(wire.RST) {
		p.rstSeen++
		return
	}
	if s.Flags.Has(wire.SYN) {
		p.syn(s)
		return
	}
	if !p.open || s.Len() == 0 {
		return
	}
	known := p.nxt
	p.early = append(p.early, piece{s.Seq, bytes.Clone(s.Payload), s.Flags.Has(wire.FIN)})
	slices.SortStableFunc(p.early, func(a, b piece) int { return b.start.To(a.start) })
	for len(p.early) > 0 && !p.early[0].start.After(p.nxt) {
		p.take(p.early[0])
		p.early = p.early[1:]
	}
	p.acknowledge(s, known)
}

func (p *peer) syn(s *wire.Segment) {
	if s.Options.MSS == 0 || !s.Options.HasWScale || !s.Options.SACKPermitted {
		p.t.Errorf("SYN without its options: %+v", s.Options)
	}
	if p.open && len(p.got)+len(p.early) > 0 {
		p.ack() // a challenge
		return
	}
	p.nxt, p.open = s.Seq.Add(1), true
	p.sndNxt = p.iss.Add(1)
	p.r = wire.Report{Flags: wire.SYN | wire.ACK, Seq: p.iss, Ack: p.nxt, Window: p.wnd, RcvNxt: p.sndNxt,
		Options: wire.Options{MSS: 1460, HasWScale: true, WScale: p.scale, SACKPermitted: !p.noSACK}}
	p.due = true
}

// take takes a piece that is not beyond nxt.
func (p *peer) take(pc piece) {
	n := pc.start.To(p.nxt)
	if n > len(pc.data) || n == len(pc.data) && !pc.fin {
		return
	}
	if p.finSeen {
		if n < len(pc.data) {
			p.t.Errorf("data behind the FIN")
		}
		return
	}
	p.got = append(p.got, pc.data[n:]...)
	p.nxt = p.nxt.Add(len(pc.data) - n)
	if pc.fin {
		p.finSeen = true
		p.nxt = p.nxt.Add(1)
	}
}

// acknowledge answers a segment that came when nxt was known, as RFC 5681,
// section 4.2, RFC 2018 and RFC 2883 say.
func (p *peer) acknowledge(s *wire.Segment, known seq.Num) {
	latest := wire.Block{Start: s.Seq, End: s.End()}
	var dup []wire.Block
	switch {
	case p.nxt != known:
		p.r.DupAcks = 0
		p.blocks = slices.DeleteFunc(p.blocks, func(b wire.Block) bool { return !b.End.After(p.nxt) })
	case !latest.End.After(p.nxt) || slices.ContainsFunc(p.blocks, func(b wire.Block) bool { return !latest.Start.Before(b.Start) && !latest.End.After(b.End) }):
		p.r.DupAcks++
		dup = []wire.Block{latest} // D-SACK
	default:
		p.r.DupAcks++
		p.blocks = slices.DeleteFunc(p.blocks, func(b wire.Block) bool {
			if b.End.Before(latest.Start) || b.Start.After(latest.End) {
				return false
			}
			latest = wire.Block{Start: seq.Min(b.Start, latest.Start), End: seq.Max(b.End, latest.End)}
			return true
		})
		p.blocks = slices.Insert(p.blocks, 0, latest)
	}
	p.ack()
	if !p.noSACK {
		p.r.Options.NSACK = uint8(copy(p.r.Options.SACK[:], append(dup, p.blocks...)))
	}
}

func (p *peer) ack() {
	p.r.Flags |= wire.ACK
	p.r.Ack, p.r.Window, p.r.RcvNxt = p.nxt, p.wnd, p.sndNxt
	p.due = true
}

// say makes the peer send n octets, or a FIN.
func (p *peer) say(n int) { p.sndNxt = p.sndNxt.Add(n); p.ack() }
func (p *peer) fin() {
	p.sndNxt = p.sndNxt.Add(1)
	p.ack()
	p.r.Flags |= wire.FIN
}

func (p *peer) report() (wire.Report, bool) {
	r, due := p.r, p.due
	p.r, p.due = wire.Report{}, false
	return r, due
}

// A link loses, repeats and reorders the given shares of what passes; reports
// come in order, but ACKs that the intercept does not see are in none.
type link struct {
	loss, repeat, reorder float64
	rng                   *rand.Rand
	held                  []wire.Segment // overtaken by what comes next
}

var perfect = &link{rng: rand.New(rand.NewPCG(1, 1))}

func (l *link) chance(p float64) bool { return p > 0 && l.rng.Float64() < p }

// carry brings segments to the peer.
func (l *link) carry(p *peer, segs []wire.Segment) {
	for i := range segs {
		s := segs[i]
		if l.chance(l.loss) {
			continue
		}
		if l.chance(l.reorder) {
			s.Payload = bytes.Clone(s.Payload)
			l.held = append(l.held, s)
			continue
		}
		p.segment(&s)
		if l.chance(l.repeat) {
			p.segment(&s)
		}
		if len(l.held) > 0 && l.chance(0.5) {
			l.release(p)
		}
	}
}

func (l *link) release(p *peer) {
	held := l.held
	l.held = nil
	for i := range held {
		p.segment(&held[i])
	}
}

// exchange runs both ends over the link until nothing happens any more or the
// time is over.
func exchange(c *Conn, p *peer, pool *buffer.Pool, now *time.Duration, l *link, until time.Duration) {
	for end := *now + until; *now < end && c.Fate() == Alive; {
		segs := c.Poll(*now, pool, nil)
		l.carry(p, segs)
		if r, ok := p.report(); ok {
			*now += ms / 2
			if !l.chance(l.loss) {
				c.Receive(*now, pool, &r)
			}
			continue
		}
		if len(segs) > 0 || c.More() {
			continue
		}
		if len(l.held) > 0 {
			l.release(p)
			continue
		}
		d := c.Deadline()
		if d == 0 {
			return
		}
		*now = max(d, *now)
	}
}
