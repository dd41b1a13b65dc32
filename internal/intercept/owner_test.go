package intercept

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/control"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// said returns what the owner was told since the last call.
func (b *bench) said(t *testing.T) (lines []string) {
	t.Helper()
	b.reply()
	for typ, body, rest := control.Next(b.owner.out); typ != 0; typ, body, rest = control.Next(rest) {
		ok := false
		switch typ {
		case control.TypeRegistered:
			var m control.Registered
			m, ok = control.ParseRegistered(body)
			lines = append(lines, fmt.Sprintf("%d %v", m.ID, m.Status))
		case control.TypeReport:
			var m control.Report
			m, ok = control.ParseReport(body)
			line := fmt.Sprintf("%d %v", m.ID, m.Flags)
			if m.RcvNxt != 0 {
				line += fmt.Sprintf(" rcv=%d", testIRS.To(m.RcvNxt))
			}
			lines = append(lines, fmt.Sprintf("%s ended=%d errors=%d", line, m.Ended, m.Errors))
		case control.TypeHead:
			var m control.Head
			m, ok = control.ParseHead(body)
			lines = append(lines, fmt.Sprintf("%d head of %v", m.ID, mysql.Kind(m.Kind)))
		case control.TypeLost:
			var m control.Lost
			m, ok = control.ParseLost(body)
			lines = append(lines, fmt.Sprintf("%d lost %d", m.ID, m.Reason))
		}
		if !ok {
			t.Fatalf("malformed %v: %x", typ, body)
		}
	}
	b.owner.out = b.owner.out[:0]
	return lines
}

func (b *bench) deliverAll(segments ...wire.Segment) {
	for _, g := range segments {
		g.Flow = b.g.Flow
		g.Seq += testIRS
		g.Ack += testISS
		b.deliver(b.now, &g, 0)
	}
}

func TestWhatAnOwnerIsTold(t *testing.T) {
	kinds := func(n int, k mysql.Kind) []byte { return bytes.Repeat([]byte{byte(k)}, n) }
	many := 66_000
	tests := []struct {
		name string
		do   func(b *bench)
		want []string
	}{
		{"one report for a turn, behind its heads", func(b *bench) {
			b.expect(b.now, b.s, kinds(3, query))
			b.deliverAll(data(0, okPacket), data(11, errPacket), data(26, okPacket), ack(37, 1))
		}, []string{"1 head of COM_QUERY", "1 A rcv=37 ended=3 errors=1"}},
		{"a RST, and the SYN-ACK of what follows", func(b *bench) {
			b.deliverAll(wire.Segment{Flags: wire.RST}, wire.Segment{Seq: 1, Flags: wire.RST})
		}, []string{"1 R rcv=0 ended=0 errors=0", "1 R rcv=0 ended=0 errors=0"}},
		{"a stream that cannot be framed", func(b *bench) {
			b.expect(b.now, b.s, kinds(2, query))
			b.deliverAll(data(0, okPacket), data(11, packet(9, "\xfe")), data(0, okPacket))
		}, []string{"1 A rcv=11 ended=1 errors=0", "1 lost 1"}},
		{"more commands than one connection can wait for", func(b *bench) {
			b.expect(b.now, b.s, kinds(maxPending, query))
			b.expect(b.now, b.s, kinds(1, query))
			b.expect(b.now, b.s, kinds(1, query))
			b.deliverAll(data(0, okPacket))
		}, []string{"1 lost 2"}},
		{"more responses than one report can count", func(b *bench) {
			b.expect(b.now, b.s, kinds(many, query))
			for i := range many {
				b.deliverAll(data(i*len(okPacket), okPacket))
			}
		}, []string{fmt.Sprintf("1 A rcv=%d ended=65535 errors=0", many*11), fmt.Sprintf("1 A rcv=%d ended=%d errors=0", many*11, many-65535)}},
		{"what is held ends as its kind comes", func(b *bench) {
			b.deliverAll(data(0, okPacket))
			b.reply()
			b.owner.out = b.owner.out[:0]
			b.expect(b.now, b.s, kinds(1, query))
		}, []string{"1 A rcv=11 ended=1 errors=0"}},
		{"what is held and given up", func(b *bench) {
			b.deliverAll(flags(data(0, errPacket), wire.FIN))
			b.reply()
			b.owner.out = b.owner.out[:0]
			b.expireHeld(b.now + restAge)
		}, []string{"1 head of COM_MULTI", "1 FA rcv=16 ended=0 errors=0"}},
		{"nothing of what was registered anew", func(b *bench) {
			b.deliverAll(ack(0, 5))
			b.register(b.now, b.owner, &control.Register{ID: 1, Client: b.s.client, Target: b.target})
			b.deliverAll(data(0, okPacket))
		}, []string{"1 registered", "1 A ended=0 errors=0"}},
		{"nothing after the registration has ended", func(b *bench) {
			b.deliverAll(ack(0, 5))
			b.forget(b.s)
			b.deliverAll(ack(0, 6))
		}, nil},
		{"nothing while it has not registered again", func(b *bench) {
			b.s.stale = true
			b.deliverAll(ack(0, 5))
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.owner.out = b.owner.out[:0]
			tt.do(b)
			got := b.said(t)
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}

// A reset needs the target's last ACK number, whoever is told of it.
func TestAcksAreOverheard(t *testing.T) {
	b := newBench()
	b.s.stale = true
	b.deliverAll(ack(0, 100), data(0, okPacket), ack(0, 50))
	if b.s.una != testISS.Add(100) || b.s.rcvNxt() != testIRS {
		t.Errorf("SND.UNA %v, RCV.NXT %v; want %v, %v", b.s.una, b.s.rcvNxt(), testISS.Add(100), testIRS)
	}
	b.s.listen(&b.work, testISS)
	g := synAck
	g.Ack = 1
	b.deliverAll(ack(0, 7), g)
	b.reset(b.s)
	want := reset{b.g.Dst, testISS.Add(1)}
	if len(b.resets.queue) != 1 || b.resets.queue[0] != want || len(b.sessions) != 0 {
		t.Errorf("resets %v, want %v", b.resets.queue, want)
	}
}

// A mrtecopy that is cut off from here may live on by another intercept: as long
// as the target acknowledges what is new, nothing is reset.
func TestWhoLivesElsewhereIsNotReset(t *testing.T) {
	b := newBench()
	b.owners[b.owner.key] = b.owner
	b.owner.conn, b.owner.deadline = nil, b.now+b.config.OwnerAway
	half := b.config.OwnerAway / 2
	for i := range 5 {
		b.now += half
		b.deliverAll(ack(0, 10+i))
		b.checkOwners(b.now)
		if len(b.sessions) != 1 {
			t.Fatalf("reset while it lives, after %v", time.Duration(i+1)*half)
		}
	}
	for range 3 { // the target repeats itself; that is no sign of life
		b.now += half
		b.deliverAll(ack(0, 14), data(0, okPacket))
		b.checkOwners(b.now)
	}
	if want := (reset{b.g.Dst, testISS.Add(14)}); len(b.resets.queue) != 1 || b.resets.queue[0] != want || len(b.owners) != 0 {
		t.Errorf("resets %v, want %v; %d owners", b.resets.queue, want, len(b.owners))
	}
}

func TestEarlySegmentsAreBounded(t *testing.T) {
	var y early
	client := func(i int) wire.Endpoint {
		return wire.Endpoint{Addr: wire.AddrFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), Port: 1}
	}
	gaveUp := 0
	for i := range maxEarly + 10 {
		if y.put(time.Minute, &wire.Segment{Flow: wire.Flow{Dst: client(i)}, Seq: seq.Num(i)}, 3) {
			gaveUp++
		}
	}
	if gaveUp != 10 || len(y.at) != maxEarly {
		t.Errorf("%d given up, %d kept", gaveUp, len(y.at))
	}
	if s, _ := y.take(time.Minute, client(9)); s != nil {
		t.Error("the oldest is kept")
	}
	if !y.put(time.Minute, &wire.Segment{Flow: wire.Flow{Dst: client(10)}, Seq: 77}, 3) {
		t.Error("the first of two segments is not given up")
	}
	if s, path := y.take(time.Minute+earlyAge, client(10)); s == nil || s.Seq != 77 || path != 3 {
		t.Errorf("took %v by %d", s, path)
	}
	if s, _ := y.take(time.Minute, client(10)); s != nil {
		t.Error("it is there twice")
	}
	if s, _ := y.take(time.Minute+earlyAge+1, client(11)); s != nil {
		t.Error("it is kept for too long")
	}
}

func TestTheLogIsNotFilled(t *testing.T) {
	var log bytes.Buffer
	b := newBench()
	b.config.Log = slog.New(slog.NewTextHandler(&log, nil))
	for range 1000 {
		b.warn("this", "it happened")
		b.warn("that", "so did this")
	}
	b.limited["this"].last -= warnEvery
	b.warn("this", "it happened")
	if n := strings.Count(log.String(), "\n"); n != 3 || !strings.Contains(log.String(), "more=999") {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

// A control connection is replaced while something of a session is held: nothing is
// told of it before it is registered anew.
func TestReplacedConnectionIsToldNothingOld(t *testing.T) {
	b := newBench()
	b.expect(b.now, b.s, []byte{byte(query)})
	b.g.Payload = okPacket[:len(okPacket)-2] // half a response, and a FIN behind it
	b.g.Flags |= wire.FIN
	b.deliver(b.now, &b.g, 0)
	b.reply()
	b.owners[ownerKey{}], b.owner.conn = b.owner, nil
	b.connected(b.now, new(simulatedConn))
	b.expireHeld(b.now + 2*restAge)
	b.engine.urgent = true
	for i := range b.turns {
		if s := b.turns[i].session; s != nil {
			b.report(s)
		}
	}
	if len(b.owner.out) > 0 {
		t.Errorf("a stale session is told of: % x", b.owner.out)
	}
}
