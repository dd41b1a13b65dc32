// Package flow puts a captured client's segments back into the byte stream that
// the server read: in order, once, with every hole named.
//
// It watches somebody else's connection from one side only and has no say in
// it: what the capture missed will not come again, unless the server missed it
// too. It does no I/O and reads no clock.
package flow

import (
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

const (
	// holePatience is how long a hole may wait for its octets behind which the client
	// has read on: the server had answered, so most likely it has them, and only the
	// capture missed them. lossPatience is how long one behind which it has not: the
	// server may miss them as well, and the client repeats them within a few RTOs.
	holePatience = time.Second
	lossPatience = 4 * time.Second
	// maxHeld bounds the octets kept behind a hole; beyond it the hole is given up.
	maxHeld = 4 << 20
	// maxJump is how far from RCV.NXT a segment may lie to belong to this
	// connection: the largest window there is (RFC 7323, section 2.2).
	maxJump = 1 << 30
)

// An EventType says what happened on a flow.
type EventType uint8

// The events.
const (
	Data      EventType = 1 + iota // octets in order
	Gap                            // octets that were not captured
	FIN                            // the client closed its direction, in order
	RST                            // the client reset the connection
	KeepAlive                      // the client shows that it lives
)

// An Event is one thing that happened on a flow, in order.
type Event struct {
	Type    EventType
	Payload []byte  // of Data: a view, valid until the next call
	Missing int     // of Gap: octets
	Ack     seq.Num // of Data: the client's ACK number, how far it had read the server
	End     seq.Num // of Data and Gap: the client's sequence number behind it
}

// A Stream is the client's direction of one captured connection. The zero value
// has not seen a segment yet.
type Stream struct {
	iss     seq.Num // of the SYN
	nxt     seq.Num // the next octet's number, as RCV.NXT of the server
	started bool
	synSeen bool
	over    bool    // FIN or RST delivered
	acked   seq.Num // the client's ACK number, as it was last without a hole; 0: unknown
	hold    *hold   // segments behind a hole; nil: there is none
}

// pieceCost is what a piece counts beside its octets.
const pieceCost = 64

// hold keeps what lies behind a hole, sorted by sequence number.
type hold struct {
	since time.Duration
	moved bool // the client has read on behind it
	size  int  // octets of storage, and a pieceCost for each
	segs  []piece
}

type piece struct {
	seq     seq.Num
	ack     seq.Num
	data    buffer.Buffer
	missing int // octets of its end that the capture cut off
	fin     bool
}

// end returns the sequence number behind the piece, as wire.Segment.End does.
func (pc *piece) end() seq.Num {
	n := pc.data.Len() + pc.missing
	if pc.fin {
		n++
	}
	return pc.seq.Add(n)
}

// Opened reports whether the connection's SYN was seen.
func (s *Stream) Opened() bool { return s.synSeen }

// Deadline returns when Expire must be called; 0: no hole is waiting.
func (s *Stream) Deadline() time.Duration {
	if s.hold == nil {
		return 0
	}
	if s.hold.moved {
		return s.hold.since + holePatience
	}
	return s.hold.since + lossPatience
}

// Storage returns the octets of storage that what lies behind a hole takes.
func (s *Stream) Storage() int {
	if s.hold == nil {
		return 0
	}
	return s.hold.size
}

// Records returns how many octets of Storage are not the Pool's.
func (s *Stream) Records() int {
	if s.hold == nil {
		return 0
	}
	return len(s.hold.segs) * pieceCost
}

// Begins reports whether seg opens another connection on the 4-tuple: s is at
// its end, and a new Stream takes seg.
func (s *Stream) Begins(seg *wire.Segment) bool {
	return seg.Flags&(wire.SYN|wire.ACK) == wire.SYN && s.started && (!s.synSeen || seg.Seq != s.iss)
}

// Segment takes a captured segment from the client and appends what it brings.
func (s *Stream) Segment(now time.Duration, p *buffer.Pool, seg *wire.Segment, out []Event) []Event {
	if seg.Flags.Has(wire.SYN) {
		if seg.Flags.Has(wire.ACK) || s.started && (!s.synSeen || seg.Seq != s.iss) {
			return out // not a client's, or another connection's
		}
		if !s.started {
			*s = Stream{iss: seg.Seq, nxt: seg.Seq.Add(1), started: true, synSeen: true}
		}
		if len(seg.Payload) == 0 {
			return out
		}
		// TCP Fast Open (RFC 7413): the data follows the SYN's own number.
		data := *seg
		data.Flags &^= wire.SYN
		data.Seq = data.Seq.Add(1)
		return s.Segment(now, p, &data, out)
	}
	if !s.started {
		s.started, s.nxt = true, seg.Seq
	}
	if s.over {
		return out
	}
	d := s.nxt.To(seg.Seq)
	if d > maxJump || d < -maxJump {
		return out
	}
	if seg.Flags.Has(wire.RST) {
		return s.reset(p, seg, out)
	}
	if d == -1 && seg.Len() <= 1 && !seg.Flags.Has(wire.FIN) {
		// RFC 9293, section 3.8.4: none, or one octet of garbage, of what is old. A
		// repeated octet looks the same, and brings nothing either.
		return append(out, Event{Type: KeepAlive})
	}
	if d > 0 {
		s.keep(now, p, seg)
		if s.hold.size > maxHeld {
			out = s.GiveUp(p, out)
		}
		return out
	}
	out = s.deliver(piece{seq: seg.Seq, ack: seg.Ack, missing: seg.Missing, fin: seg.Flags.Has(wire.FIN)}, seg.Payload, out)
	return s.drain(now, p, out)
}

// reset takes a RST. The server obeys only one at RCV.NXT (RFC 9293, section
// 3.10.7.4), so an old one means nothing, and before a later one octets were
// not captured.
func (s *Stream) reset(p *buffer.Pool, seg *wire.Segment, out []Event) []Event {
	if seg.Seq.Before(s.nxt) {
		return out
	}
	out = s.GiveUp(p, out)
	if s.over {
		return out
	}
	if n := s.nxt.To(seg.Seq); n > 0 {
		s.nxt = seg.Seq
		out = append(out, Event{Type: Gap, Missing: n, End: s.nxt})
	}
	s.over = true
	return append(out, Event{Type: RST})
}

// deliver appends what is new in a piece that does not lie beyond nxt.
func (s *Stream) deliver(pc piece, data []byte, out []Event) []Event {
	if s.over {
		return out
	}
	if s.acked == 0 || pc.ack.After(s.acked) {
		s.acked = pc.ack
	}
	old := pc.seq.To(s.nxt)
	if n := len(data) - old; n > 0 {
		s.nxt = s.nxt.Add(n)
		out = append(out, Event{Type: Data, Payload: data[old:], Ack: pc.ack, End: s.nxt})
		old = len(data)
	}
	if n := len(data) + pc.missing - old; n > 0 && pc.missing > 0 {
		s.nxt = s.nxt.Add(n)
		out = append(out, Event{Type: Gap, Missing: n, End: s.nxt})
	}
	if pc.fin && s.nxt == pc.seq.Add(len(data)+pc.missing) {
		s.nxt = s.nxt.Add(1)
		s.over = true
		out = append(out, Event{Type: FIN})
	}
	return out
}

// keep stores a segment that lies behind a hole.
func (s *Stream) keep(now time.Duration, p *buffer.Pool, seg *wire.Segment) {
	if s.hold == nil {
		s.hold = &hold{since: now}
	}
	s.hold.moved = s.hold.moved || s.acked == 0 || seg.Ack.After(s.acked)
	if seg.Len() == 0 {
		return // a bare ACK beyond what was captured shows a hole at the stream's end
	}
	h := s.hold
	at := len(h.segs)
	for at > 0 && seg.Seq.Before(h.segs[at-1].seq) {
		at--
	}
	if at > 0 && !h.segs[at-1].end().Before(seg.End()) {
		return // repeated
	}
	pc := piece{seq: seg.Seq, ack: seg.Ack, missing: seg.Missing, fin: seg.Flags.Has(wire.FIN)}
	pc.data.Append(p, seg.Payload)
	h.size += pc.data.Cap() + pieceCost
	h.segs = append(h.segs, piece{})
	copy(h.segs[at+1:], h.segs[at:])
	h.segs[at] = pc
}

// drain delivers what the hole kept back, now that nxt has moved. The views it
// appends stay valid until the next call, because their storage is returned
// only then: see Release and reuse.
func (s *Stream) drain(now time.Duration, p *buffer.Pool, out []Event) []Event {
	if s.hold == nil {
		return out
	}
	h := s.hold
	n := 0
	for n < len(h.segs) && !s.nxt.Before(h.segs[n].seq) {
		out = s.deliver(h.segs[n], h.segs[n].data.Bytes(), out)
		n++
	}
	if n == 0 {
		if len(h.segs) == 0 {
			s.hold = nil // only a bare ACK had shown the hole, and it is filled
		}
		return out
	}
	for i := range h.segs[:n] {
		pc := &h.segs[i]
		h.size -= pc.data.Cap() + pieceCost
		// Octets in a pool are not touched before the pool's next use, but the
		// caller will use it while it reads the events: leave these to the
		// garbage collector. Holes are rare.
		p.Forget(&pc.data)
	}
	h.segs = append(h.segs[:0], h.segs[n:]...)
	h.since = now
	if len(h.segs) == 0 || s.over {
		s.Release(p)
	} else {
		h.moved = h.segs[len(h.segs)-1].ack.After(s.acked)
	}
	return out
}

// Expire gives up the hole if it has waited long enough.
func (s *Stream) Expire(now time.Duration, p *buffer.Pool, out []Event) []Event {
	if s.hold == nil || now < s.Deadline() {
		return out
	}
	return s.skip(now, p, out)
}

// skip names the first hole a gap and goes on behind it.
func (s *Stream) skip(now time.Duration, p *buffer.Pool, out []Event) []Event {
	if len(s.hold.segs) == 0 {
		// Only a bare ACK showed the hole; where it ends is not known. The next
		// segment will tell.
		s.hold = nil
		return out
	}
	first := s.hold.segs[0].seq
	out = append(out, Event{Type: Gap, Missing: s.nxt.To(first), End: first})
	s.nxt = first
	return s.drain(now, p, out)
}

// GiveUp names every hole a gap: what is missing will not come any more.
func (s *Stream) GiveUp(p *buffer.Pool, out []Event) []Event {
	for s.hold != nil {
		out = s.skip(s.hold.since, p, out)
	}
	return out
}

// Release gives back the storage of what is held.
func (s *Stream) Release(p *buffer.Pool) {
	if s.hold == nil {
		return
	}
	for i := range s.hold.segs {
		d := &s.hold.segs[i].data
		d.Discard(p, d.Len())
	}
	s.hold = nil
}
