package simulation

import (
	"bytes"
	"slices"
	"time"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A Peer is the target's end of the connection: a small TCP that keeps the
// order and repeats what was lost, over a model server.
type Peer struct {
	Server *Server // nil: nothing listens
	State  PeerState
	Silent bool // nothing is ever answered
	flow   wire.Flow

	iss, una, nxt  seq.Num // of what it sends
	out            []byte  // from una on
	rcv            seq.Num
	mss            int
	scale          uint8
	finOut         bool // a FIN follows out
	finIn, finSent bool
	rtoAt          time.Duration
	Resets         int // RSTs taken
	Conns          int // connections accepted

	// Buffer is how many octets it keeps that the server has not read; 0: a
	// megabyte. While it is Stuck the server reads nothing.
	Buffer  int
	Stuck   bool
	unread  []byte
	right   seq.Num        // the right edge of the window, as far as it was told
	beyond  []wire.Segment // data beyond a hole, in order
	latest  seq.Num        // of these, what came last
	history []byte         // what came before rcv: a repetition must be the same
}

type PeerState uint8

const (
	PeerListen PeerState = iota
	peerSyn
	PeerOpen
	PeerGone
)

const peerRTO = 300 * time.Millisecond

// Receive takes a segment and returns what it is answered with.
func (p *Peer) Receive(now time.Duration, s *wire.Segment) (out []wire.Segment) {
	if p.Silent {
		return nil
	}
	switch {
	case s.Flags.Has(wire.RST):
		if p.State != PeerListen && s.Seq == p.rcv { // RFC 5961, section 3.2
			p.Resets++
			p.State = PeerListen
			p.Server.cut = true
		}
		return nil
	case s.Flags.Has(wire.SYN):
		if p.Server == nil {
			return []wire.Segment{{Flow: s.Flow.Reverse(), Ack: s.Seq.Add(1), Flags: wire.RST | wire.ACK}}
		}
		if p.State == PeerOpen || p.State == peerSyn && s.Seq.Add(1) != p.rcv {
			return []wire.Segment{p.ack()} // a challenge (RFC 5961, section 4)
		}
		if p.State == PeerListen || p.State == PeerGone {
			p.open(s)
		}
		p.rtoAt = now + peerRTO
		return []wire.Segment{p.synAck()}
	case p.State == PeerListen || p.State == PeerGone:
		if p.State == PeerGone && s.Flags.Has(wire.FIN) {
			return []wire.Segment{p.ack()}
		}
		return []wire.Segment{{Flow: s.Flow.Reverse(), Seq: s.Ack, Flags: wire.RST}}
	}
	if p.State == peerSyn && s.Flags.Has(wire.ACK) && s.Ack == p.iss.Add(1) {
		p.State = PeerOpen
		p.una = s.Ack
		p.out = append(p.out, p.Server.greet()...)
	}
	if p.State != PeerOpen {
		return nil
	}
	if n := p.una.To(s.Ack); n > 0 && s.Flags.Has(wire.ACK) && !s.Ack.After(p.nxt) {
		p.out = p.out[min(n, len(p.out)):]
		p.una = s.Ack
		p.rtoAt = 0
	}
	out = p.text(s)
	if p.finSent && p.finIn && p.una == p.nxt && len(p.out) == 0 {
		p.State = PeerGone
	}
	return append(out, p.send(now)...)
}

// text takes the data and the FIN of s, if it comes in order.
func (p *Peer) text(s *wire.Segment) []wire.Segment {
	if s.Len() == 0 {
		return nil
	}
	p.check(s)
	if s.Seq.To(p.rcv) < 0 {
		p.keep(s)
		return []wire.Segment{p.ack()}
	}
	p.take(s)
	for len(p.beyond) > 0 && !p.rcv.Before(p.beyond[0].Seq) {
		p.take(&p.beyond[0])
		p.beyond = p.beyond[1:]
	}
	return []wire.Segment{p.ack()}
}

// take takes what is new of a segment that does not lie beyond a hole, as far as
// there is room.
func (p *Peer) take(s *wire.Segment) {
	old := s.Seq.To(p.rcv)
	if old >= s.Len() || p.finIn {
		return
	}
	if old < len(s.Payload) {
		fresh := s.Payload[old:]
		fresh = fresh[:min(len(fresh), p.room())]
		whole := old+len(fresh) == len(s.Payload)
		p.rcv = p.rcv.Add(len(fresh))
		if p.history = append(p.history, fresh...); len(p.history) > 2*keptHistory {
			p.history = append(p.history[:0], p.history[len(p.history)-keptHistory:]...)
		}
		if p.Stuck {
			p.unread = append(p.unread, fresh...)
		} else {
			p.out = append(p.out, p.Server.receive(fresh, whole && s.Flags.Has(wire.FIN))...)
		}
		if !whole {
			return
		}
	}
	if s.Flags.Has(wire.FIN) {
		p.rcv = p.rcv.Add(1)
		p.finIn = true
	}
	p.ends()
}

// ends sees whether the server has come to its end.
func (p *Peer) ends() {
	if p.finIn && !p.finOut && !p.Stuck {
		p.out = append(p.out, p.Server.end()...)
		p.finOut = true
	}
	p.finOut = p.finOut || p.Server.leaves
}

// Read lets the server read what came while it was stuck, and tells our end.
func (p *Peer) Read(now time.Duration) []wire.Segment {
	p.Stuck = false
	if p.State != PeerOpen {
		return nil
	}
	b := p.unread
	p.unread = nil
	p.out = append(p.out, p.Server.receive(b, p.finIn)...)
	p.ends()
	return append([]wire.Segment{p.ack()}, p.send(now)...)
}

// keep keeps a segment beyond a hole, of which SACK tells.
func (p *Peer) keep(s *wire.Segment) {
	const most = 100
	if len(p.beyond) == most || p.rcv.To(s.End()) > p.room() {
		return
	}
	i, found := slices.BinarySearchFunc(p.beyond, s.Seq, func(o wire.Segment, at seq.Num) int { return at.To(o.Seq) })
	if found {
		if s.Len() <= p.beyond[i].Len() {
			return
		}
		p.beyond = slices.Delete(p.beyond, i, i+1)
	}
	o := *s
	o.Payload = slices.Clone(s.Payload)
	p.beyond = slices.Insert(p.beyond, i, o)
	p.latest = s.Seq
}

// check looks whether a segment is one that a sender may send.
func (p *Peer) check(s *wire.Segment) {
	const slack = 1 // the octet of a probe, or a FIN
	switch beyond := p.right.To(s.End()); {
	case beyond > slack:
		p.Server.fault("a segment reaches %d octets beyond the window", beyond)
	case len(s.Payload) > segmentLimit:
		p.Server.fault("a segment of %d octets", len(s.Payload))
	}
	old := s.Seq.To(p.rcv)
	if p.finIn {
		old--
	}
	if n := min(old, len(s.Payload)); n > 0 && old <= len(p.history) {
		if was := p.history[len(p.history)-old:][:n]; !bytes.Equal(was, s.Payload[:n]) {
			p.Server.fault("octets are repeated and differ: %.40q, were %.40q", s.Payload[:n], was)
		}
	}
}

// keptHistory is how many octets that came are kept to compare them.
const keptHistory = 64 << 10

// segmentLimit is the largest payload that our end may send: the MSS of the
// SYN-ACK.
const segmentLimit = 1460

// room returns how many octets may come.
func (p *Peer) room() int {
	if p.Buffer == 0 {
		return peerWindow << p.scale
	}
	return max(p.Buffer-len(p.unread), 0)
}

// send returns what has not been sent yet.
func (p *Peer) send(now time.Duration) (out []wire.Segment) {
	if p.State != PeerOpen {
		return nil
	}
	for {
		at := p.una.To(p.nxt)
		n := min(len(p.out)-at, p.mss)
		fin := p.finOut && at+n == len(p.out)
		if n < 0 || n == 0 && !fin {
			break // all of it, the FIN too
		}
		s := p.ack()
		s.Payload = append([]byte(nil), p.out[at:at+n]...)
		if fin {
			s.Flags |= wire.FIN
			p.finSent = true
		}
		p.nxt = p.nxt.Add(s.Len())
		out = append(out, s)
	}
	if p.rtoAt == 0 && p.una != p.nxt {
		p.rtoAt = now + peerRTO
	}
	return out
}

// Tick repeats what was not acknowledged.
func (p *Peer) Tick(now time.Duration) []wire.Segment {
	if p.Silent || p.rtoAt == 0 || now < p.rtoAt || p.State == PeerGone || p.State == PeerListen {
		return nil
	}
	p.rtoAt = now + peerRTO
	if p.State == peerSyn {
		return []wire.Segment{p.synAck()}
	}
	p.nxt = p.una
	return p.send(now)
}

// Deadline returns when tick has something to do; 0: never.
func (p *Peer) Deadline() time.Duration {
	if p.Silent || p.State != peerSyn && p.State != PeerOpen {
		return 0
	}
	return p.rtoAt
}

// Leave closes the target's side behind what it has said.
func (p *Peer) Leave(now time.Duration) []wire.Segment {
	p.Server.conn.wait = forNothing
	p.finOut = true
	return p.send(now)
}

// Reset ends the connection at once.
func (p *Peer) Reset() []wire.Segment {
	p.State = PeerListen
	p.Server.cut = true
	return []wire.Segment{{Flow: p.flow.Reverse(), Seq: p.nxt, Ack: p.rcv, Flags: wire.RST | wire.ACK}}
}

func (p *Peer) open(s *wire.Segment) {
	p.Conns++
	*p = Peer{Server: p.Server, State: peerSyn, flow: s.Flow, iss: p.iss + 0x01234567, rcv: s.Seq.Add(1),
		mss: 1460, scale: 7, Resets: p.Resets, Conns: p.Conns, Buffer: p.Buffer}
	if p.Buffer != 0 {
		p.scale = 0 // the window is told to the octet, so that none is taken back by rounding
	}
	if m := int(s.Options.MSS); m > 0 {
		p.mss = min(p.mss, m)
	}
	p.una, p.nxt, p.right = p.iss, p.iss.Add(1), p.rcv
	p.Server.connect()
}

func (p *Peer) synAck() wire.Segment {
	window := uint16(min(p.room(), 65535)) // never scaled
	p.right = seq.Max(p.rcv.Add(int(window)), p.right)
	return wire.Segment{
		Flow: p.flow.Reverse(), Seq: p.iss, Ack: p.rcv, Flags: wire.SYN | wire.ACK, Window: window,
		Options: wire.Options{MSS: 1460, WScale: p.scale, HasWScale: true, SACKPermitted: true},
	}
}

func (p *Peer) ack() wire.Segment {
	s := wire.Segment{Flow: p.flow.Reverse(), Seq: p.nxt, Ack: p.rcv, Flags: wire.ACK, Window: uint16(p.room() >> p.scale)}
	p.right = seq.Max(p.right, p.rcv.Add(int(s.Window)<<p.scale))
	if len(p.beyond) > 0 {
		s.Options.NSACK, s.Options.SACK = p.blocks()
	}
	return s
}

// peerWindow is the window, scaled, of a peer without a Buffer.
const peerWindow = 8192

// blocks returns the SACK blocks, that of the latest segment first (RFC 2018,
// section 4).
func (p *Peer) blocks() (n uint8, blocks [3]wire.Block) {
	var all []wire.Block
	for i := range p.beyond {
		s := &p.beyond[i]
		if k := len(all) - 1; k >= 0 && !all[k].End.Before(s.Seq) {
			all[k].End = seq.Max(all[k].End, s.End())
		} else {
			all = append(all, wire.Block{Start: s.Seq, End: s.End()})
		}
	}
	for i, b := range all {
		if !b.Start.After(p.latest) && p.latest.Before(b.End) {
			all[0], all[i] = all[i], all[0]
			break
		}
	}
	return uint8(copy(blocks[:], all)), blocks
}
