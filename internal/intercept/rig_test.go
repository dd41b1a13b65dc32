package intercept

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// The initial sequence numbers of both ends in the tests: what follows crosses
// the wrap.
const (
	testISS seq.Num = 0xfffffffc
	testIRS seq.Num = 0xfffffff4
)

// A rig is a receiver and its surroundings. Sequence numbers are written
// relative to the first octet of data.
type rig struct {
	receiver
	w   work
	now time.Duration
	t   turn
}

func newRig() *rig {
	g := &rig{now: time.Minute}
	g.w.limit = 64 << 20
	return g
}

// open returns a rig whose SYN-ACK was reported, and which waits for responses.
func open(kinds ...mysql.Kind) *rig {
	g := newRig()
	g.listen(&g.w, testISS)
	g.push(kinds...)
	g.send(synAck)
	g.show()
	return g
}

func (g *rig) push(kinds ...mysql.Kind) {
	for _, k := range kinds {
		g.tracker.Push(k)
	}
	g.reframe(g.now, &g.w, &g.t)
}

// send gives the receiver a segment with relative numbers.
func (g *rig) send(s wire.Segment) bool { return g.sendBy(0, s) }

func (g *rig) sendBy(path uint8, s wire.Segment) bool {
	s.Seq += testIRS + 1
	s.Ack += testISS + 1
	for i := range s.Options.NSACK {
		b := &s.Options.SACK[i]
		b.Start, b.End = b.Start+testISS+1, b.End+testISS+1
	}
	if s.Payload != nil { // the ring's memory does not stay
		s.Payload = append([]byte(nil), s.Payload...)
	}
	counted := g.receive(g.now, &s, path, &g.w, &g.t)
	clear(s.Payload)
	return counted
}

// pass lets time pass and has the engine look after what is held.
func (g *rig) pass(d time.Duration) {
	g.now += d
	g.expire(g.now, &g.w, &g.t)
}

// show returns what there is to report, and begins another turn.
func (g *rig) show() string {
	var b strings.Builder
	for _, h := range g.w.takeHeads() {
		fmt.Fprintf(&b, "[%v #%d %.8q] ", mysql.Kind(h.kind), h.sequence, h.payload)
	}
	t := g.t
	g.t = turn{}
	p := g.report(&t)
	b.WriteString(p.Flags.String())
	if p.Flags&(wire.SYN|wire.RST) != 0 {
		fmt.Fprintf(&b, " seq=%d", (testIRS + 1).To(p.Seq))
	}
	if p.Flags.Has(wire.ACK) {
		fmt.Fprintf(&b, " ack=%d win=%d", (testISS + 1).To(p.Ack), p.Window)
	}
	if g.is(synced) {
		fmt.Fprintf(&b, " rcv=%d", (testIRS + 1).To(p.RcvNxt))
	}
	if p.DupAcks > 0 {
		fmt.Fprintf(&b, " dup=%d", p.DupAcks)
	}
	if p.AckNow {
		b.WriteString(" now")
	}
	if o := p.Options; o.MSS != 0 || o.HasWScale || o.SACKPermitted {
		fmt.Fprintf(&b, " mss=%d wscale=%d,%v sackok=%v", o.MSS, o.WScale, o.HasWScale, o.SACKPermitted)
	}
	for _, k := range p.Options.SACK[:p.Options.NSACK] {
		fmt.Fprintf(&b, " sack=%d-%d", (testISS + 1).To(k.Start), (testISS + 1).To(k.End))
	}
	for _, k := range p.Held[:p.NHeld] {
		fmt.Fprintf(&b, " held=%d-%d", (testIRS + 1).To(k.Start), (testIRS + 1).To(k.End))
	}
	if t.ended > 0 {
		fmt.Fprintf(&b, " ended=%d", t.ended)
	}
	if t.errors > 0 {
		fmt.Fprintf(&b, " errors=%d", t.errors)
	}
	if g.is(broken) {
		b.WriteString(" broken")
	}
	return b.String()
}

// A step is a segment, or time that passes, and what is reported then.
type step struct {
	why  string
	do   any // wire.Segment, time.Duration or []mysql.Kind
	want string
}

func (g *rig) converse(t *testing.T, steps []step) {
	t.Helper()
	for i, s := range steps {
		switch do := s.do.(type) {
		case wire.Segment:
			g.send(do)
		case time.Duration:
			g.pass(do)
		case []mysql.Kind:
			g.push(do...)
		}
		if got := g.show(); got != s.want {
			t.Fatalf("step %d, %s:\n got %s\nwant %s", i+1, s.why, got, s.want)
		}
	}
}

var synAck = wire.Segment{
	Seq: seq.Num(0).Add(-1), Flags: wire.SYN | wire.ACK, Window: 64240,
	Options: wire.Options{MSS: 1460, WScale: 7, HasWScale: true, SACKPermitted: true},
}

// data is a segment at seq.
func data(at int, payload []byte) wire.Segment {
	return wire.Segment{Seq: seq.Num(at), Flags: wire.ACK, Window: 500, Payload: payload}
}

func ack(at, n int) wire.Segment {
	return wire.Segment{Seq: seq.Num(at), Ack: seq.Num(n), Flags: wire.ACK, Window: 500}
}

func payload(s wire.Segment, p []byte) wire.Segment { s.Payload = p; return s }

func flags(s wire.Segment, f wire.Flags) wire.Segment { s.Flags |= f; return s }

func sack(s wire.Segment, blocks ...wire.Block) wire.Segment {
	s.Options.NSACK = uint8(copy(s.Options.SACK[:], blocks))
	return s
}

func window(s wire.Segment, w uint16) wire.Segment { s.Window = w; return s }

// Packets of the target.
func packet(sequence uint8, payload string) []byte {
	return append(mysql.AppendHeader(nil, len(payload), sequence), payload...)
}

var (
	okPacket   = packet(1, "\x00\x00\x00\x02\x00\x00\x00")           // 11 octets
	errPacket  = packet(1, "\xff\x19\x04#42000no")                   // 15 octets
	selfPacket = packet(0, "\xff\x86\x04#08S01Got an error reading") // 33 octets
)

const (
	query   = mysql.Kind(mysql.ComQuery)
	prepare = mysql.Kind(mysql.ComStmtPrepare)
)

func kinds(k ...mysql.Kind) []mysql.Kind { return k }
