package flow

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// testISS is the client's initial sequence number: what follows crosses the
// wrap. Numbers in the tests count from the first octet of data.
const testISS seq.Num = 0xfffffffd

// A rig is a stream and its surroundings.
type rig struct {
	Stream
	pool buffer.Pool
	now  time.Duration
	out  []Event
}

// send gives the stream a segment with relative numbers.
func (g *rig) send(s wire.Segment) {
	s.Seq += testISS + 1
	g.out = g.Segment(g.now, &g.pool, &s, g.out[:0])
}

// pass lets time pass and has the engine look after the hole.
func (g *rig) pass(d time.Duration) {
	g.now += d
	g.out = g.Expire(g.now, &g.pool, g.out[:0])
}

// show writes the events of the last call.
func (g *rig) show() string {
	var b []string
	for _, e := range g.out {
		switch end := (testISS + 1).To(e.End); e.Type {
		case Data:
			b = append(b, fmt.Sprintf("%s<%d", e.Payload, end))
		case Gap:
			b = append(b, fmt.Sprintf("gap(%d)<%d", e.Missing, end))
		case FIN:
			b = append(b, "FIN")
		case RST:
			b = append(b, "RST")
		case KeepAlive:
			b = append(b, "alive")
		}
	}
	return strings.Join(b, " ")
}

// A step is a segment, or time that passes, and what it brings.
type step struct {
	why  string
	do   any // wire.Segment or time.Duration
	want string
}

// A talk is a conversation of steps with a stream.
type talk struct {
	name  string
	steps []step
	held  bool // something is held at the end
}

func (k *talk) run(t *testing.T) {
	g := &rig{now: time.Minute}
	for i, s := range k.steps {
		switch do := s.do.(type) {
		case wire.Segment:
			g.send(do)
		case time.Duration:
			g.pass(do)
		}
		if got := g.show(); got != s.want {
			t.Fatalf("step %d, %s:\n got %q\nwant %q", i+1, s.why, got, s.want)
		}
	}
	if held := g.Deadline() != 0; held != k.held {
		t.Errorf("a hole is waiting: %v, want %v", held, k.held)
	}
	g.Release(&g.pool)
	if n := g.pool.InUse(); n != 0 {
		t.Errorf("%d octets of the pool are still in use", n)
	}
}

// data is a segment at the given number.
func data(at int, payload string) wire.Segment {
	return wire.Segment{Seq: seq.Num(0).Add(at), Ack: 1, Flags: wire.ACK, Payload: []byte(payload)}
}

// cut is a segment whose last n octets were not captured.
func cut(at int, payload string, n int) wire.Segment {
	s := data(at, payload)
	s.Missing = n
	return s
}

func acks(s wire.Segment, ack seq.Num) wire.Segment { s.Ack = ack; return s }

func flags(s wire.Segment, f wire.Flags) wire.Segment { s.Flags |= f; return s }

var syn = wire.Segment{Seq: seq.Num(0).Add(-1), Flags: wire.SYN}
