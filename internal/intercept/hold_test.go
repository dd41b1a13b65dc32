package intercept

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

func TestBytesOfUnknownKind(t *testing.T) {
	prepareOK := packet(1, "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	tests := []struct {
		name  string
		steps []step
	}{
		{"the kind comes later", []step{
			{"only what a position carries is acknowledged", data(0, okPacket), "A ack=0 win=500 rcv=4"},
			{"the kind", kinds(query), "A ack=0 win=500 rcv=11 ended=1"},
		}},
		{"an OK is not the OK of a PREPARE", []step{
			{"held", data(0, prepareOK), "A ack=0 win=500 rcv=4"},
			{"until the kind is known", kinds(prepare), `[COM_STMT_PREPARE #1 "\x00\x01\x00\x00\x00\x00\x00\x00"] A ack=0 win=500 rcv=16 ended=1`},
		}},
		{"the kind comes too late", []step{
			{"held", data(0, okPacket), "A ack=0 win=500 rcv=4"},
			{"dropped after a second", time.Second, "A ack=0 win=500 rcv=4"},
			{"the kind", kinds(query), "A ack=0 win=500 rcv=4"},
			{"the target sends it again", data(0, okPacket), "A ack=0 win=500 rcv=11 ended=1"},
		}},
		{"data beyond it", []step{
			{"held", data(0, okPacket), "A ack=0 win=500 rcv=4"},
			{"more of it is in order", data(11, okPacket), "A ack=0 win=500 rcv=4"},
			{"not after a hole", data(33, okPacket), "A ack=0 win=500 rcv=4 now held=33-44"},
			{"the kinds", kinds(query, query, query, query), "A ack=0 win=500 rcv=22 held=33-44 ended=2"},
			{"the hole", data(22, okPacket), "A ack=0 win=500 rcv=44 now ended=2"},
		}},
		{"an ERR the server sends on its own, with sequence id 0", []step{
			{"is taken at once", data(0, selfPacket), `[COM_MULTI #0 "\xff\x86\x04#08S0"] A ack=0 win=500 rcv=33`},
			{"and the FIN", flags(ack(33, 0), wire.FIN), "FA ack=0 win=500 rcv=34"},
		}},
		{"the same with its FIN", []step{
			{"in one segment", flags(data(0, selfPacket), wire.FIN), `[COM_MULTI #0 "\xff\x86\x04#08S0"] FA ack=0 win=500 rcv=34`},
		}},
		{"an ERR the server sends on its own, with sequence id 1", []step{
			{"may be an answer", flags(data(0, errPacket), wire.FIN), "A ack=0 win=500 rcv=4"},
			{"until no kind came for a second", time.Second, `[COM_MULTI #1 "\xff\x19\x04#4200"] FA ack=0 win=500 rcv=16`},
		}},
		{"and with a kind", []step{
			{"may be an answer", flags(data(0, errPacket), wire.FIN), "A ack=0 win=500 rcv=4"},
			{"and is", kinds(query), `[COM_QUERY #1 "\xff\x19\x04#4200"] FA ack=0 win=500 rcv=16 ended=1 errors=1`},
		}},
		{"an ERR the server sends on its own before it resets", []step{
			{"held", data(0, errPacket), "A ack=0 win=500 rcv=4"},
			{"is seen before the RST", wire.Segment{Seq: 15, Flags: wire.RST}, `[COM_MULTI #1 "\xff\x19\x04#4200"] RA seq=15 ack=0 win=500 rcv=15`},
		}},
		{"a server that dies in the middle of a packet", []step{
			{"leaves a part", flags(data(0, okPacket[:6]), wire.FIN), "A ack=0 win=500 rcv=4"},
			{"that is given up", time.Second, "FA ack=0 win=500 rcv=7"},
		}},
		{"a FIN beyond a hole that is not filled", []step{
			{"is forgotten", flags(ack(11, 0), wire.FIN), "A ack=0 win=500 rcv=0 now"},
			{"after a while", time.Second, "A ack=0 win=500 rcv=0"},
		}},
		{"data beyond a hole that is not filled", []step{
			{"held", data(11, okPacket), "A ack=0 win=500 rcv=0 now held=11-22"},
			{"for a minute", 59 * time.Second, "A ack=0 win=500 rcv=0 held=11-22"},
			{"and no longer", time.Second, "A ack=0 win=500 rcv=0"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := open()
			g.converse(t, tt.steps)
			g.drop(&g.w)
			if n := g.w.pool.InUse(); n != 0 {
				t.Errorf("%d octets of storage are not given back", n)
			}
		})
	}
}

// A row of a result of one column.
func result(rows ...string) []byte {
	b := packet(1, "\x01")
	b = append(b, packet(2, strings.Repeat("d", 30))...)
	b = append(b, packet(3, "\xfe\x00\x00\x02\x00")...)
	n := byte(4)
	for _, r := range rows {
		b = append(b, packet(n, "\xfd"+string([]byte{byte(len(r)), byte(len(r) >> 8), byte(len(r) >> 16)})+r)...)
		n++
	}
	return append(b, packet(n, "\xfe\x00\x00\x02\x00")...)
}

// A capture that cut a segment.
func cut(s wire.Segment, seen int) wire.Segment {
	s.Missing = len(s.Payload) - seen
	s.Payload = s.Payload[:seen]
	return s
}

func TestCutSegments(t *testing.T) {
	stream := result(strings.Repeat("x", 5000))
	row := 5 + 34 + 9     // where the row's packet begins
	end := row + 8 + 5000 // and ends
	if len(stream) != end+9 {
		t.Fatalf("the stream has %d octets", len(stream))
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"within the row nobody reads", []step{
			{"taken as received", cut(data(0, stream[:4000]), 100), "A ack=0 win=500 rcv=4000"},
			{"the rest", data(4000, stream[4000:]), "A ack=0 win=500 rcv=5065 ended=1"},
		}},
		{"to the row's end", []step{
			{"taken as received", cut(data(0, stream[:end]), 100), "A ack=0 win=500 rcv=5056"},
			{"the rest", data(end, stream[end:]), "A ack=0 win=500 rcv=5065 ended=1"},
		}},
		{"beyond the row", []step{
			{"received as far as seen", cut(data(0, stream), 100), "A ack=0 win=500 rcv=100"},
			{"so the rest comes again", data(100, stream[100:]), "A ack=0 win=500 rcv=5065 ended=1"},
		}},
		{"within a header", []step{
			{"received as far as seen", cut(data(0, stream[:4000]), 2), "A ack=0 win=500 rcv=2"},
			{"so the rest comes again", data(2, stream[2:]), "A ack=0 win=500 rcv=5065 ended=1"},
		}},
		{"with a FIN behind it", []step{
			{"which is not received", flags(cut(data(0, stream), 100), wire.FIN), "A ack=0 win=500 rcv=100"},
			{"until the rest is", data(100, stream[100:]), "FA ack=0 win=500 rcv=5066 ended=1"},
		}},
		{"out of order", []step{
			{"held as far as seen", cut(data(1000, stream[1000:4000]), 500), "A ack=0 win=500 rcv=0 now held=1000-1500"},
			{"the beginning", data(0, stream[:1000]), "A ack=0 win=500 rcv=1500 now"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { open(query).converse(t, tt.steps) })
	}
}

func TestWhatOneConnectionHoldsIsBounded(t *testing.T) {
	g := open()
	p := bytes.Repeat(okPacket, 100)
	at := 0
	for ; at < 4<<20; at += len(p) {
		g.send(data(at, p))
		g.send(data(8<<20+2*at, p))
	}
	if got := g.w.pool.InUse(); got > maxHeld || got < maxHeld/2 {
		t.Errorf("%d octets are held, want at most %d", got, maxHeld)
	}
	if g.w.refused == 0 {
		t.Error("what was refused is not counted")
	}
	var k []mysql.Kind
	for range at / len(okPacket) {
		k = append(k, query)
	}
	g.push(k...)
	g.show()
	at = (testIRS + 1).To(g.rcvNxt()) / len(okPacket) * len(okPacket)
	if g.send(data(at, okPacket)); g.t.ended == 0 {
		t.Error("the stream does not go on")
	}
}

func TestWhatAllConnectionsHoldIsBounded(t *testing.T) {
	g := open()
	g.w.limit = 10 << 10
	for at := 100; at < 1<<20; at += 2000 {
		g.send(data(at, make([]byte, 1000)))
	}
	if got := g.w.pool.InUse(); got > g.w.limit {
		t.Errorf("%d octets are held, want at most %d", got, g.w.limit)
	}
}

// Where a bridge and its port are both listened on, everything comes twice.
func TestASecondPathSaysNothingNew(t *testing.T) {
	g := open(query, query, query)
	g.send(ack(0, 100))
	g.show()
	for _, s := range []wire.Segment{ack(0, 100), ack(0, 120), data(0, okPacket), data(22, okPacket), flags(data(33, okPacket), wire.FIN)} {
		g.sendBy(0, s)
		want := g.t
		if g.sendBy(1, s) {
			t.Errorf("%+v counts twice", s)
		}
		if g.t != want {
			t.Errorf("%+v is reported twice: %+v, want %+v", s, g.t, want)
		}
	}
	g.show()

	// What only the second path brings counts, and makes it the path.
	for i, path := range []uint8{1, 1, 0} {
		if counts := g.sendBy(path, ack(11, 130)); counts != (path == 1) {
			t.Errorf("segment %d, on path %d: counts %v", i, path, counts)
		}
	}
	if got, want := g.show(), "A ack=130 win=500 rcv=11 dup=1 held=22-44"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// And one that was silent for a second is not waited for.
	g.now += time.Second
	if !g.sendBy(0, ack(11, 130)) {
		t.Error("the connection does not leave a silent path")
	}
}

// Any position that was reported is one to go on from.
func TestResume(t *testing.T) {
	stream := append(result("one", "two", strings.Repeat("x", 300)), errPacket...)
	for at := range len(stream) {
		g := open(query, query)
		g.send(data(0, stream[:at]))
		ended := int(g.t.ended)
		p := g.report(&g.t)
		f := g.frame()

		h := newRig()
		h.resume(&h.w, p.RcvNxt, p.Ack, f)
		for range 2 - ended {
			h.push(query)
		}
		if h.rcvNxt() != p.RcvNxt || h.frame() != f {
			t.Fatalf("after %d octets: resumed at %v with %x, want %v with %x", at, h.rcvNxt(), h.frame(), p.RcvNxt, f)
		}
		from := (testIRS + 1).To(p.RcvNxt)
		h.send(data(from, stream[from:]))
		if got := ended + int(h.t.ended); got != 2 || h.t.errors != 1 || h.is(broken) {
			t.Fatalf("after %d octets: %d responses ended, %d in an ERR, broken %v; want 2, 1, false", at, got, h.t.errors, h.is(broken))
		}
	}
}

func TestResumeOfNonsense(t *testing.T) {
	g := newRig()
	f := frame{0: 0xee, 3: 0xff, 12: 1, 13: 2, 14: 3, 15: 4}
	g.resume(&g.w, 100, 200, f)
	g.push(query)
	if !g.is(broken) && !g.tracker.Broken() {
		t.Error("a frame that no intercept made is taken for good")
	}
}
