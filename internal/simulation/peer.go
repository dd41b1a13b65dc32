package simulation

import (
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
	old := s.Seq.To(p.rcv)
	if old < 0 || old >= s.Len() {
		return []wire.Segment{p.ack()}
	}
	if old < len(s.Payload) {
		fresh := s.Payload[old:]
		p.rcv = p.rcv.Add(len(fresh))
		p.out = append(p.out, p.Server.receive(fresh, s.Flags.Has(wire.FIN))...)
	}
	if s.Flags.Has(wire.FIN) {
		p.rcv = p.rcv.Add(1)
		p.finIn = true
		p.out = append(p.out, p.Server.end()...)
		p.finOut = true
	}
	if p.Server.leaves {
		p.finOut = true
	}
	return []wire.Segment{p.ack()}
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
		mss: 1460, scale: 7, Resets: p.Resets, Conns: p.Conns}
	if m := int(s.Options.MSS); m > 0 {
		p.mss = min(p.mss, m)
	}
	p.una, p.nxt = p.iss, p.iss.Add(1)
	p.Server.connect()
}

func (p *Peer) synAck() wire.Segment {
	return wire.Segment{
		Flow: p.flow.Reverse(), Seq: p.iss, Ack: p.rcv, Flags: wire.SYN | wire.ACK, Window: 65535,
		Options: wire.Options{MSS: 1460, WScale: p.scale, HasWScale: true, SACKPermitted: true},
	}
}

func (p *Peer) ack() wire.Segment {
	return wire.Segment{Flow: p.flow.Reverse(), Seq: p.nxt, Ack: p.rcv, Flags: wire.ACK, Window: 8192}
}
