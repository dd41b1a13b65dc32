package intercept

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/control"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// An idle engine with one session, whose owner is there, and the target's next
// sequence number.
type bench struct {
	*engine
	owner *owner
	s     *session
	g     wire.Segment
	now   time.Duration
}

func newBench() *bench {
	c := Config{Target: netip.MustParseAddr("10.0.0.2"), Port: 3306}
	if err := c.complete(); err != nil {
		panic(err)
	}
	b := &bench{engine: newEngine(c), now: time.Minute}
	b.owner = &owner{conn: new(deafConn), sessions: make(map[uint32]*session)}
	client := wire.EndpointFrom(netip.MustParseAddrPort("10.0.0.1:40000"))
	b.register(b.now, b.owner, &control.Register{ID: 1, Client: client, Target: b.target, Resume: true, RcvNxt: testIRS, SndUna: testISS})
	b.s = b.sessions[client]
	b.g = wire.Segment{Flow: wire.Flow{Src: b.target, Dst: client}, Seq: testIRS, Ack: testISS, Flags: wire.ACK, Window: 500}
	return b
}

// A deafConn keeps nothing of what it is sent.
type deafConn struct{ simulatedConn }

func (*deafConn) Send([]byte) error { return nil }

// receive has the target send p, and ends the turn.
func (b *bench) receive(p []byte) {
	b.g.Payload = p
	b.g.Ack++
	b.deliver(b.now, &b.g, 0)
	b.g.Seq = b.g.Seq.Add(len(p))
	b.reply()
	b.owner.out = b.owner.out[:0]
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	rows := result("one", "two", "three")
	kinds := []byte{byte(query), byte(query)}
	tests := []struct {
		name string
		turn func(b *bench)
	}{
		{"a response in a segment", func(b *bench) {
			b.expect(b.now, b.s, kinds[:1])
			b.receive(okPacket)
		}},
		{"an ACK", func(b *bench) { b.receive(nil) }},
		{"an ERR", func(b *bench) {
			b.expect(b.now, b.s, kinds[:1])
			b.receive(errPacket)
		}},
		{"a packet in two segments", func(b *bench) {
			b.expect(b.now, b.s, kinds[:1])
			b.receive(okPacket[:7])
			b.receive(okPacket[7:])
		}},
		{"a result in many", func(b *bench) {
			b.expect(b.now, b.s, kinds[:1])
			for i := range rows {
				b.receive(rows[i : i+1])
			}
		}},
		{"a kind that comes later", func(b *bench) {
			b.receive(okPacket)
			b.receive(okPacket)
			b.expect(b.now, b.s, kinds)
			b.reply()
			b.owner.out = b.owner.out[:0]
		}},
		{"a hole", func(b *bench) {
			b.expect(b.now, b.s, kinds)
			at := b.g.Seq
			b.g.Seq = at.Add(len(okPacket))
			b.receive(okPacket)
			b.g.Seq = at
			b.receive(okPacket)
			b.g.Seq = at.Add(2 * len(okPacket))
		}},
		{"a stranger", func(b *bench) {
			dst := b.g.Dst
			b.g.Dst.Port++
			b.receive(nil)
			b.g.Dst = dst
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			before := b.s.rcvNxt()
			if n := testing.AllocsPerRun(200, func() { tt.turn(b); b.expireHeld(b.now) }); n != 0 {
				t.Errorf("allocates %v times, want 0", n)
			}
			if b.s.is(broken) || b.s.tracker.Pending() != 0 || b.s.rcvNxt() != b.g.Seq {
				t.Errorf("RCV.NXT went from %v to %v, want %v; %d responses pending", before, b.s.rcvNxt(), b.g.Seq, b.s.tracker.Pending())
			}
		})
	}
}

// An idle session is to cost 256 octets: itself and its places in two maps,
// which are about two thirds full.
func TestAnIdleSessionIsSmall(t *testing.T) {
	self := int(unsafe.Sizeof(session{}))
	maps := int(slotSize[wire.Endpoint]()+slotSize[uint32]()+2) * 3 / 2
	if self+maps > 256 {
		t.Errorf("a session takes %d octets and %d in maps, want 256 in all", self, maps)
	}
	t.Logf("a session takes %d octets and %d in maps", self, maps)
}

// slotSize is what a map takes for a key and its session.
func slotSize[K any]() uintptr {
	slot := struct {
		key   K
		value *session
	}{}
	_, _ = slot.key, slot.value
	return unsafe.Sizeof(slot)
}

// cpu is what this process has taken. On a machine that is shared, a benchmark's
// own time says more about the others.
func cpu() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkResponse(b *testing.B) {
	e := newBench()
	kinds := []byte{byte(query)}
	b.ReportAllocs()
	n, start := 0, cpu()
	for b.Loop() {
		e.expect(e.now, e.s, kinds)
		e.receive(okPacket)
		n++
	}
	b.ReportMetric(float64(cpu()-start)/float64(n), "cpu-ns/op")
}

func BenchmarkRows(b *testing.B) {
	e := newBench()
	rows := result("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
	b.SetBytes(int64(len(rows)))
	kinds := []byte{byte(mysql.ComQuery)}
	b.ReportAllocs()
	n, start := 0, cpu()
	for b.Loop() {
		e.expect(e.now, e.s, kinds)
		e.receive(rows)
		n++
	}
	b.ReportMetric(float64(cpu()-start)/float64(n), "cpu-ns/op")
}

// The end of a response waits a little for others; what a command, or TCP, waits
// for does not.
func TestWhatIsReportedAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kind   mysql.Kind
		change func(g *wire.Segment)
		at     bool
	}{
		{"the end of a response", query, func(*wire.Segment) {}, false},
		{"a PREPARE's", mysql.Kind(mysql.ComStmtPrepare), func(g *wire.Segment) {
			g.Payload = []byte("\x0c\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		}, true},
		{"an ERR", query, func(g *wire.Segment) { g.Payload = errPacket }, true},
		{"a RST", query, func(g *wire.Segment) { g.Payload, g.Flags = nil, wire.RST }, true},
		{"an ACK", query, func(g *wire.Segment) { g.Payload, g.Ack = nil, g.Ack.Add(1000) }, false},
		{"an ACK of much", query, func(g *wire.Segment) { g.Payload, g.Ack = nil, g.Ack.Add(8<<10) }, true},
		{"a hole", query, func(g *wire.Segment) { g.Seq = g.Seq.Add(1000) }, true},
		{"SACK", query, func(g *wire.Segment) {
			g.Payload = nil
			g.Options.NSACK, g.Options.SACK[0] = 1, wire.Block{Start: g.Ack.Add(100), End: g.Ack.Add(200)}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.owner.conn = new(simulatedConn)
			b.conns[b.owner.conn] = b.owner
			b.due = schedule{owners: time.Hour, addrs: time.Hour}
			b.reply()
			b.expect(b.now, b.s, []byte{byte(tt.kind)})
			b.g.Payload = okPacket
			tt.change(&b.g)
			reports := b.stats.Control.Reports
			b.deliver(b.now, &b.g, 0)
			b.replyInTime(b.now)
			if at := b.stats.Control.Reports > reports; at != tt.at {
				t.Errorf("reported at once: %v", at)
			}
			b.replyInTime(b.now + reportWithin - 1)
			if at := b.stats.Control.Reports > reports; at != tt.at {
				t.Errorf("reported soon: %v", at)
			}
			if d := b.due.wait(b.engine, b.now+reportWithin-1); !tt.at && d != 1 {
				t.Errorf("it sleeps for %v", d)
			}
			b.replyInTime(b.now + reportWithin)
			if b.stats.Control.Reports != reports+1 || b.reportAt != 0 || len(b.turns) > 0 {
				t.Errorf("%d reports in the end", b.stats.Control.Reports-reports)
			}
		})
	}
}
