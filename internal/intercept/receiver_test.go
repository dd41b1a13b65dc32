package intercept

import (
	"bytes"
	"testing"

	"mrtecopy/internal/control"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

func TestHandshake(t *testing.T) {
	old := synAck
	old.Ack, old.Seq = 77, 900
	challenge := ack(5000, 77)
	tests := []struct {
		name  string
		steps []step
	}{
		{"a SYN-ACK is reported with its options", []step{
			{"the SYN-ACK", synAck, "SA seq=-1 ack=0 win=64240 rcv=0 mss=1460 wscale=7,true sackok=true"},
			{"again: our ACK was lost", synAck, "A ack=0 win=64240 rcv=0 now"},
		}},
		{"a SYN-ACK of an older SYN", []step{
			{"is reported for what it is", old, "SA seq=900 ack=77 win=64240 mss=1460 wscale=7,true sackok=true"},
			{"and the real one is taken", synAck, "SA seq=-1 ack=0 win=64240 rcv=0 mss=1460 wscale=7,true sackok=true"},
		}},
		{"a challenge ACK of an older connection", []step{
			{"tells what the target expects", challenge, "A ack=77 win=500"},
			{"and the SYN-ACK after the RST", synAck, "SA seq=-1 ack=0 win=64240 rcv=0 mss=1460 wscale=7,true sackok=true"},
		}},
		{"a closed port", []step{
			{"refuses", wire.Segment{Seq: 7, Flags: wire.RST | wire.ACK}, "RA seq=7 ack=0 win=0"},
		}},
		{"a SYN of the target's own", []step{
			{"is nobody's", wire.Segment{Flags: wire.SYN, Window: 9}, "-"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig()
			g.listen(&g.w, testISS)
			g.converse(t, tt.steps)
		})
	}
}

func TestSynAckIsTakenWhereTheISSIsNotSaid(t *testing.T) {
	g := newRig()
	g.listen(&g.w, 0)
	g.converse(t, []step{{"any will do", synAck, "SA seq=-1 ack=0 win=64240 rcv=0 mss=1460 wscale=7,true sackok=true"}})
}

func TestAcknowledgments(t *testing.T) {
	g := open(query, query)
	g.converse(t, []step{
		{"a window update is no duplicate", ack(0, 0), "A ack=0 win=500 rcv=0"},
		{"a new ACK, over the wrap", ack(0, 100), "A ack=100 win=500 rcv=0"},
		{"the first duplicate", ack(0, 100), "A ack=100 win=500 rcv=0 dup=1"},
		{"with what the target holds", sack(ack(0, 100), wire.Block{Start: 200, End: 300}, wire.Block{Start: 150, End: 160}),
			"A ack=100 win=500 rcv=0 dup=1 sack=200-300 sack=150-160"},
		{"another window is a window update (RFC 5681, section 2, e)", window(ack(0, 100), 600), "A ack=100 win=600 rcv=0"},
		{"an old ACK says nothing, not even a window", window(ack(0, 50), 9), "A ack=100 win=600 rcv=0"},
		{"data makes it none (b)", payload(ack(0, 100), okPacket), "A ack=100 win=500 rcv=11 ended=1"},
		{"a later segment", ack(11, 100), "A ack=100 win=500 rcv=11 dup=1"},
		{"an older window does not come back", window(ack(0, 100), 700), "A ack=100 win=500 rcv=11 now"},
		{"a FIN makes it none (c)", flags(ack(22, 100), wire.FIN), "A ack=100 win=500 rcv=11 now"},
		{"an ACK far away is not of this connection", ack(11, 1<<31), "A ack=100 win=500 rcv=11"},
	})
	g.send(ack(11, 100))
	g.send(ack(11, 100))
	g.send(ack(11, 120))
	g.send(ack(11, 120))
	if got, want := g.show(), "A ack=120 win=500 rcv=11 dup=1"; got != want {
		t.Errorf("duplicates are counted since the latest ACK number:\n got %s\nwant %s", got, want)
	}
	for range 300 {
		g.send(ack(11, 120))
	}
	if got, want := g.show(), "A ack=120 win=500 rcv=11 dup=255"; got != want {
		t.Errorf("the count saturates:\n got %s\nwant %s", got, want)
	}
}

// A report has the blocks of all its segments, not only of the last.
func TestBlocksOfATurnAreJoined(t *testing.T) {
	block := func(from, to seq.Num) wire.Block { return wire.Block{Start: from, End: to} }
	tests := []struct {
		name string
		acks []wire.Segment
		want string
	}{
		{"one hole after the other", []wire.Segment{
			sack(ack(0, 0), block(10, 20)),
			sack(ack(0, 0), block(30, 40)),
			sack(ack(0, 0), block(50, 60)),
		}, "A ack=0 win=500 rcv=0 dup=2 sack=50-60 sack=30-40 sack=10-20"},
		{"a block grows", []wire.Segment{
			sack(ack(0, 0), block(10, 20)),
			sack(ack(0, 0), block(30, 40), block(10, 20)),
			sack(ack(0, 0), block(10, 25), block(30, 40)),
		}, "A ack=0 win=500 rcv=0 dup=2 sack=10-25 sack=30-40"},
		{"a hole between two is filled", []wire.Segment{
			sack(ack(0, 0), block(10, 20)),
			sack(ack(0, 0), block(30, 40), block(10, 20)),
			sack(ack(0, 0), block(10, 40)),
		}, "A ack=0 win=500 rcv=0 dup=2 sack=10-40"},
		{"what is acknowledged goes", []wire.Segment{
			sack(ack(0, 0), block(10, 20)),
			sack(ack(0, 20), block(30, 40)),
		}, "A ack=20 win=500 rcv=0 sack=30-40"},
		{"an ACK without blocks takes none away", []wire.Segment{
			sack(ack(0, 0), block(10, 20)),
			ack(0, 0),
		}, "A ack=0 win=500 rcv=0 dup=1 sack=10-20"},
		{"a D-SACK says nothing", []wire.Segment{
			sack(ack(0, 20), block(30, 40)),
			sack(ack(0, 20), block(5, 9), block(30, 40)),
			sack(ack(0, 20), block(33, 35), block(30, 40)),
		}, "A ack=20 win=500 rcv=0 dup=2 sack=30-40"},
		{"nor what is no block of this connection", []wire.Segment{
			sack(ack(0, 0), block(20, 20), block(20, 10), block(7, 1<<31-9)),
		}, "A ack=0 win=500 rcv=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := open(query)
			for i, s := range tt.acks {
				if g.t.full(g.una, &s) {
					t.Fatalf("segment %d does not fit", i)
				}
				g.send(s)
			}
			if got := g.show(); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// The fourth hole needs another report, but not a segment that names it again.
func TestAReportHasRoomForThreeBlocks(t *testing.T) {
	b := newBench()
	var got []control.Report
	for i := range 5 {
		b.g.Options.NSACK = 1
		b.g.Options.SACK[0] = wire.Block{Start: b.g.Ack.Add(100 * (i + 1)), End: b.g.Ack.Add(100*(i+1) + 50)}
		b.deliver(b.now, &b.g, 0)
		b.deliver(b.now, &b.g, 0)
	}
	b.report(b.s)
	for kind, body, rest := control.Next(b.owner.out); kind != 0; kind, body, rest = control.Next(rest) {
		if kind != control.TypeReport {
			continue
		}
		m, ok := control.ParseReport(body)
		if !ok {
			t.Fatal("a report cannot be read")
		}
		got = append(got, m)
	}
	if len(got) != 2 || got[0].Options.NSACK != 3 || got[1].Options.NSACK != 2 || got[0].DupAcks+got[1].DupAcks != 9 {
		t.Errorf("%d reports: %+v", len(got), got)
	}
}

func TestData(t *testing.T) {
	ok := func(n int) []byte { return bytes.Repeat(okPacket, n) } // 11 octets each
	tests := []struct {
		name  string
		steps []step
	}{
		{"in order", []step{
			{"a response", data(0, ok(1)), "A ack=0 win=500 rcv=11 ended=1"},
			{"two more, over the wrap", data(11, ok(2)), "A ack=0 win=500 rcv=33 ended=2"},
			{"an ERR is seen", data(33, errPacket), `[COM_QUERY #1 "\xff\x19\x04#4200"] A ack=0 win=500 rcv=48 ended=1 errors=1`},
		}},
		{"old data is acknowledged at once", []step{
			{"a response", data(0, ok(2)), "A ack=0 win=500 rcv=22 ended=2"},
			{"the first half again", data(0, ok(1)), "A ack=0 win=500 rcv=22 now"},
			{"the second half again, and a new one", data(11, ok(2)), "A ack=0 win=500 rcv=33 ended=1"},
			{"a keep-alive (RFC 9293, section 3.8.4)", ack(32, 0), "A ack=0 win=500 rcv=33 now"},
			{"and one with an octet of garbage", data(32, []byte{7}), "A ack=0 win=500 rcv=33 now"},
			{"something far away", data(1<<31, ok(1)), "A ack=0 win=500 rcv=33 now"},
		}},
		{"a packet in pieces", []step{
			{"two octets of its header are acknowledged: they are reported with the position", data(0, ok(1)[:2]), "A ack=0 win=500 rcv=2"},
			{"of what follows the header nothing is yet", data(2, ok(1)[2:5]), "A ack=0 win=500 rcv=4"},
			{"sent again, it is not old", data(0, ok(1)[:5]), "A ack=0 win=500 rcv=4"},
			{"until it is there", data(5, ok(1)[5:]), "A ack=0 win=500 rcv=11 ended=1"},
		}},
		{"a hole", []step{
			{"the second segment first", data(11, ok(1)), "A ack=0 win=500 rcv=0 now held=11-22"},
			{"the same again", data(11, ok(1)), "A ack=0 win=500 rcv=0 now held=11-22"},
			{"the fourth", data(33, ok(1)), "A ack=0 win=500 rcv=0 now held=33-44 held=11-22"},
			{"the sixth", data(55, ok(1)), "A ack=0 win=500 rcv=0 now held=55-66 held=33-44 held=11-22"},
			{"the eighth: there is room for three, the latest first", data(77, ok(1)), "A ack=0 win=500 rcv=0 now held=77-88 held=55-66 held=33-44"},
			{"the fifth joins two", data(44, ok(1)), "A ack=0 win=500 rcv=0 now held=33-66 held=77-88"},
			{"the first", data(0, ok(1)), "A ack=0 win=500 rcv=22 now held=33-66 held=77-88 ended=2"},
			{"the third, together with its neighbours", data(11, ok(4)), "A ack=0 win=500 rcv=66 now held=77-88 ended=4"},
			{"the rest", data(66, ok(1)), "A ack=0 win=500 rcv=88 now ended=2"},
		}},
		{"pieces that overlap", []step{
			{"the second half", data(22, ok(2)), "A ack=0 win=500 rcv=0 now held=22-44"},
			{"more than that", data(11, ok(5)), "A ack=0 win=500 rcv=0 now held=11-66"},
			{"the beginning, and half of what is held", data(0, ok(3)), "A ack=0 win=500 rcv=66 now ended=6"},
		}},
		{"the FIN", []step{
			{"with data before it", flags(data(0, ok(1)), wire.FIN), "FA ack=0 win=500 rcv=12 ended=1"},
			{"is reported once", flags(data(0, ok(1)), wire.FIN), "A ack=0 win=500 rcv=12 now"},
			{"and alone", flags(ack(11, 0), wire.FIN), "A ack=0 win=500 rcv=12 now"},
			{"nothing comes after it", data(12, ok(1)), "A ack=0 win=500 rcv=12"},
		}},
		{"a FIN beyond a hole", []step{
			{"waits", flags(data(11, ok(1)), wire.FIN), "A ack=0 win=500 rcv=0 now held=11-22"},
			{"until all before it is there", data(0, ok(1)), "FA ack=0 win=500 rcv=23 now ended=2"},
		}},
		{"a FIN alone beyond a hole", []step{
			{"waits", flags(ack(11, 0), wire.FIN), "A ack=0 win=500 rcv=0 now"},
			{"until all before it is there", data(0, ok(1)), "FA ack=0 win=500 rcv=12 ended=1"},
		}},
		{"a RST", []step{
			{"is reported with its number", wire.Segment{Seq: 3, Flags: wire.RST}, "RA seq=3 ack=0 win=64240 rcv=0"},
			{"each time", wire.Segment{Seq: 0, Flags: wire.RST}, "RA seq=0 ack=0 win=64240 rcv=0"},
		}},
		{"a packet that cannot be", []step{
			{"breaks the framing", data(0, packet(0, "\x00\x00\x00\x02\x00\x00\x00")), "A ack=0 win=500 rcv=0 broken"},
			{"for good; ACKs still count", ack(11, 5), "A ack=5 win=500 rcv=0 broken"},
			{"data does not", data(0, ok(1)), "A ack=5 win=500 rcv=0 broken"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var k []mysql.Kind
			for range 20 {
				k = append(k, query)
			}
			open(k...).converse(t, tt.steps)
		})
	}
}
