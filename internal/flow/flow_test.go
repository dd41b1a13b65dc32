package flow

import (
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/wire"
)

func TestInOrder(t *testing.T) {
	talks := []talk{
		{name: "a connection", steps: []step{
			{"the SYN brings nothing", syn, ""},
			{"nor does the ACK", data(0, ""), ""},
			{"data over the wrap", data(0, "abc"), "abc<3"},
			{"more", data(3, "d"), "d<4"},
			{"the FIN takes a number", flags(data(4, "ef"), wire.FIN), "ef<6 FIN"},
			{"nothing comes behind it", data(7, "x"), ""},
			{"nor does a RST", flags(data(7, ""), wire.RST), ""},
		}},
		{name: "a FIN alone", steps: []step{
			{"data", data(0, "abc"), "abc<3"},
			{"FIN", flags(data(3, ""), wire.FIN), "FIN"},
			{"again", flags(data(3, ""), wire.FIN), ""},
		}},
		{name: "repeated segments", steps: []step{
			{"data", data(0, "abc"), "abc<3"},
			{"the same", data(0, "abc"), ""},
			{"a part of it", data(1, "b"), ""},
			{"more than that", data(1, "bcde"), "de<5"},
			{"exactly that and a FIN", flags(data(0, "abcde"), wire.FIN), "FIN"},
		}},
		{name: "a keep-alive", steps: []step{
			{"data", data(0, "abc"), "abc<3"},
			{"without an octet", data(2, ""), "alive"},
			{"with an octet of garbage (RFC 9293, section 3.8.4)", data(2, "?"), "alive"},
			{"an ACK is none", data(3, ""), ""},
			{"nor is older data", data(1, "b"), ""},
			{"nor more of it", data(2, "cd"), "d<4"},
			{"the next data", data(4, "e"), "e<5"},
			{"a FIN", flags(data(5, ""), wire.FIN), "FIN"},
			{"repeated", flags(data(5, ""), wire.FIN), ""},
			{"nothing comes behind it", data(5, ""), ""},
		}},
		{name: "a keep-alive of a client that sent nothing yet", steps: []step{
			{"the SYN", syn, ""},
			{"is at its number", data(-1, ""), "alive"},
		}},
		{name: "the beginning was not captured", steps: []step{
			{"data in the middle of a connection", data(100, "abc"), "abc<103"},
			{"more", data(103, "d"), "d<104"},
			{"what lies before", data(90, "0123456789"), ""},
		}},
		{name: "segments of another connection", steps: []step{
			{"data", data(0, "abc"), "abc<3"},
			{"far ahead", data(maxJump+4, "x"), ""},
			{"far behind", data(-maxJump, "x"), ""},
			{"a RST far ahead", flags(data(maxJump+4, ""), wire.RST), ""},
			{"this one", data(3, "d"), "d<4"},
		}},
	}
	for _, k := range talks {
		t.Run(k.name, k.run)
	}
}

func TestOpening(t *testing.T) {
	later := func(s wire.Segment, n int) wire.Segment { s.Seq = s.Seq.Add(n); return s }
	fastOpen := syn
	fastOpen.Payload = []byte("abc")
	talks := []talk{
		{name: "a SYN again", steps: []step{
			{"SYN", syn, ""},
			{"again", syn, ""},
			{"data", data(0, "abc"), "abc<3"},
			{"and again", syn, ""},
			{"data", data(3, "d"), "d<4"},
		}},
		{name: "a SYN of another connection", steps: []step{
			{"SYN", syn, ""},
			{"data", data(0, "abc"), "abc<3"},
			{"it is for the caller to see", later(syn, 1000), ""},
			{"data", data(3, "d"), "d<4"},
		}},
		{name: "a SYN-ACK is a server's", steps: []step{
			{"it says nothing of a client", later(flags(syn, wire.ACK), 50), ""},
			{"SYN", syn, ""},
			{"data", data(0, "abc"), "abc<3"},
		}},
		{name: "fast open", steps: []step{
			{"the SYN carries data (RFC 7413)", fastOpen, "abc<3"},
			{"a server that does not know of it acknowledges the SYN alone", data(0, "abc"), ""},
			{"more", data(3, "d"), "d<4"},
			{"the SYN again", fastOpen, ""},
		}},
	}
	for _, k := range talks {
		t.Run(k.name, k.run)
	}
}

func TestHoles(t *testing.T) {
	talks := []talk{
		{name: "filled", steps: []step{
			{"the second", data(3, "def"), ""},
			{"the fourth", data(9, "jkl"), ""},
			{"the second again", data(3, "def"), ""},
			{"a part of it", data(4, "e"), ""},
			{"the first", data(0, "abc"), "abc<3 def<6"},
			{"the third", data(6, "ghi"), "ghi<9 jkl<12"},
		}},
		{name: "filled by one that overlaps all", steps: []step{
			{"c", data(2, "c"), ""},
			{"e", data(4, "e"), ""},
			{"a to f", data(0, "abcdef"), "abcdef<6"},
		}},
		{name: "pieces that overlap", steps: []step{
			{"the middle", data(4, "ef"), ""},
			{"around it", data(2, "cdefgh"), ""},
			{"from it on", data(4, "efghij"), ""},
			{"the beginning", data(0, "abc"), "abc<3 defgh<8 ij<10"},
		}},
		{name: "the FIN is behind the hole", steps: []step{
			{"data and FIN", flags(data(3, "def"), wire.FIN), ""},
			{"again", flags(data(3, "def"), wire.FIN), ""},
			{"the FIN alone", flags(data(6, ""), wire.FIN), ""},
			{"the first", data(0, "abc"), "abc<3 def<6 FIN"},
		}},
		{name: "the FIN alone is behind the hole", steps: []step{
			{"FIN", flags(data(3, ""), wire.FIN), ""},
			{"again", flags(data(3, ""), wire.FIN), ""},
			{"the first", data(0, "abc"), "abc<3 FIN"},
		}},
		{name: "shown by a bare ACK", steps: []step{
			{"the client has sent more than was captured", data(3, ""), ""},
			{"again", data(3, ""), ""},
			{"it comes", data(0, "abc"), "abc<3"},
		}},
		{name: "shown by a bare ACK and never filled", steps: []step{
			{"the client has sent more than was captured", data(3, ""), ""},
			{"how much was not captured, the next segment will tell", holePatience, ""},
			{"it does", data(5, "f"), ""},
			{"patience is over", holePatience, "gap(5)<5 f<6"},
		}},
		{name: "given up after a time", steps: []step{
			{"the second", data(3, "def"), ""},
			{"there is patience", holePatience - 1, ""},
			{"the fourth", data(9, "jkl"), ""},
			{"the second's is over", time.Duration(1), "gap(3)<3 def<6"},
			{"the fourth has its own", lossPatience - 1, ""},
			{"until then", time.Duration(1), "gap(3)<9 jkl<12"},
			{"the third comes too late", data(6, "ghi"), ""},
			{"more", data(12, "m"), "m<13"},
		}},
		{name: "the server may miss it as well", steps: []step{
			{"the first", data(0, "abc"), "abc<3"},
			{"the third", data(6, "ghi"), ""},
			{"there is patience", lossPatience - 1, ""},
			{"the second", data(3, "def"), "def<6 ghi<9"},
			{"the fifth", data(12, "mno"), ""},
			{"until then", lossPatience, "gap(3)<12 mno<15"},
		}},
		{name: "the server had answered", steps: []step{
			{"the first", data(0, "abc"), "abc<3"},
			{"the third", data(6, "ghi"), ""},
			{"there is patience", holePatience, ""},
			{"the client has read on", acks(data(9, "jkl"), 2), ""},
			{"it was too long ago", time.Duration(0), "gap(3)<6 ghi<9 jkl<12"},
			{"the sixth, with the same ACK number", acks(data(15, "pqr"), 2), ""},
			{"there is patience", holePatience, ""},
			{"a bare ACK", acks(data(18, ""), 3), ""},
			{"it was too long ago", time.Duration(0), "gap(3)<15 pqr<18"},
		}},
		{name: "given up, and the connection ends", steps: []step{
			{"data and FIN", flags(data(3, "def"), wire.FIN), ""},
			{"data that cannot be", data(8, "x"), ""},
			{"patience is over", holePatience, "gap(3)<3 def<6 FIN"},
			{"nothing comes behind it", data(7, "x"), ""},
		}},
		{name: "still waiting at the end", held: true, steps: []step{
			{"the second", data(3, "def"), ""},
		}},
		{name: "a RST behind holes", steps: []step{
			{"the second", data(3, "def"), ""},
			{"the fourth", data(9, "jkl"), ""},
			{"RST", flags(data(12, ""), wire.RST), "gap(3)<3 def<6 gap(3)<9 jkl<12 RST"},
			{"nothing comes behind it", data(12, "x"), ""},
		}},
		{name: "a RST before what is held", steps: []step{
			{"the second", data(3, "def"), ""},
			{"RST", flags(data(1, ""), wire.RST), "gap(3)<3 def<6 RST"},
		}},
		{name: "a RST behind a hole at the end", steps: []step{
			{"data", data(0, "abc"), "abc<3"},
			{"the last octets were not captured", flags(data(6, ""), wire.RST), "gap(3)<6 RST"},
		}},
		{name: "a RST behind a FIN and a hole", steps: []step{
			{"data and FIN", flags(data(3, "def"), wire.FIN), ""},
			{"the FIN was first", flags(data(7, ""), wire.RST), "gap(3)<3 def<6 FIN"},
		}},
		{name: "a RST", steps: []step{
			{"data", data(0, "abc"), "abc<3"},
			{"an old one the server does not obey", flags(data(1, ""), wire.RST), ""},
			{"this one it does", flags(data(3, ""), wire.RST), "RST"},
		}},
		{name: "a RST first", steps: []step{
			{"of a connection that was open", flags(data(3, ""), wire.RST), "RST"},
		}},
	}
	for i := range talks {
		k := &talks[i]
		if !strings.HasPrefix(k.name, "a RST first") {
			k.steps = append([]step{{"SYN", syn, ""}}, k.steps...)
		}
		t.Run(k.name, k.run)
	}
}

func TestCutFrames(t *testing.T) {
	talks := []talk{
		{name: "in order", steps: []step{
			{"the end was not captured", cut(0, "abc", 3), "abc<3 gap(3)<6"},
			{"the next", data(6, "ghi"), "ghi<9"},
			{"nothing of it was captured", cut(9, "", 2), "gap(2)<11"},
			{"with a FIN", flags(cut(11, "l", 1), wire.FIN), "l<12 gap(1)<13 FIN"},
		}},
		{name: "old", steps: []step{
			{"data", data(0, "abcde"), "abcde<5"},
			{"again, and cut", cut(0, "ab", 3), ""},
			{"again, and cut later", cut(0, "ab", 4), "gap(1)<6"},
			{"again, and cut later still", cut(3, "defg", 1), "g<7 gap(1)<8"},
		}},
		{name: "behind a hole", steps: []step{
			{"cut", cut(3, "d", 2), ""},
			{"the next", data(6, "ghi"), ""},
			{"the first", data(0, "abc"), "abc<3 d<4 gap(2)<6 ghi<9"},
		}},
		{name: "whole behind a hole, then cut", steps: []step{
			{"cut", cut(3, "d", 2), ""},
			{"whole", data(3, "def"), ""}, // what is held first is taken
			{"the first", data(0, "abc"), "abc<3 d<4 gap(2)<6"},
		}},
	}
	for i := range talks {
		k := &talks[i]
		k.steps = append([]step{{"SYN", syn, ""}}, k.steps...)
		t.Run(k.name, k.run)
	}
}

func TestHeldOctetsAreBounded(t *testing.T) {
	var g rig
	g.send(syn)
	chunk := strings.Repeat("x", 1<<16)
	at, calls := 1, 0
	for ; len(g.out) == 0; calls++ {
		if g.pool.InUse() > maxHeld+2*len(chunk) {
			t.Fatalf("%d octets of storage are held, want %d at the most", g.pool.InUse(), maxHeld)
		}
		g.send(data(at, chunk))
		at += len(chunk)
	}
	if g.out[0].Type != Gap || g.out[0].Missing != 1 || len(g.out) != 1+calls {
		t.Errorf("%d events, the first %+v; want the gap of 1 and %d pieces", len(g.out), g.out[0], calls)
	}
	if g.Deadline() != 0 || g.pool.InUse() != 0 {
		t.Errorf("deadline %v, %d octets in use; want nothing held", g.Deadline(), g.pool.InUse())
	}
}

func TestTinyPiecesAreBounded(t *testing.T) {
	var g rig
	g.send(syn)
	for i := range maxHeld { // each second octet: no two join
		if g.send(data(1+2*i, "x")); len(g.out) > 0 {
			if n := len(g.out); n > 2*maxHeld/512 {
				t.Errorf("%d pieces were held", n)
			}
			return
		}
	}
	t.Error("all of them are held")
}

// TestPieceIsReadBeforeItsStorageIsUsedAgain checks that the events of one call
// stay good while their reader uses the pool.
func TestPieceIsReadBeforeItsStorageIsUsedAgain(t *testing.T) {
	var g rig
	g.send(syn)
	g.send(data(3, "def"))
	g.send(data(0, "abc"))
	events := g.show()
	var other Stream
	for _, s := range []wire.Segment{data(0, ""), data(3, "xyz"), data(6, "xyz")} {
		other.Segment(g.now, &g.pool, &s, nil)
	}
	if now := g.show(); now != events {
		t.Errorf("events %q have become %q", events, now)
	}
}

func TestBegins(t *testing.T) {
	var s Stream
	if s.Begins(&syn) {
		t.Error("a stream that has not begun makes room for another")
	}
	g := new(rig)
	g.send(syn)
	again, other := syn, syn
	again.Seq += testISS + 1
	other.Seq = again.Seq + 7
	if g.Begins(&again) || !g.Opened() {
		t.Error("a repeated SYN begins another connection")
	}
	if !g.Begins(&other) {
		t.Error("a SYN of another number begins none")
	}
	other.Flags |= wire.ACK
	if g.Begins(&other) {
		t.Error("a SYN-ACK begins one")
	}
	g = new(rig)
	g.send(data(5, "in the middle"))
	if !g.Begins(&again) || g.Opened() {
		t.Error("a SYN belongs to a connection that was open before")
	}
}

func TestAckTravelsWithTheData(t *testing.T) {
	var g rig
	ack := func(s wire.Segment, n int) wire.Segment { s.Ack = s.Ack.Add(n); return s }
	g.send(syn)
	g.send(ack(data(3, "def"), 20))
	g.send(ack(data(0, "abc"), 10))
	if len(g.out) != 2 || g.out[0].Ack != 11 || g.out[1].Ack != 21 {
		t.Errorf("events %+v; want the ACK number of each piece, 11 and 21", g.out)
	}
}

func TestSegmentInOrderDoesNotAllocate(t *testing.T) {
	g := &rig{out: make([]Event, 0, 4)}
	g.send(syn)
	s := data(0, strings.Repeat("x", 1400))
	n := testing.AllocsPerRun(1000, func() {
		g.send(s)
		if len(g.out) != 1 || g.out[0].Type != Data {
			t.Fatal("no data")
		}
		s.Seq = s.Seq.Add(len(s.Payload))
	})
	if n != 0 {
		t.Errorf("a segment in order allocates %v times, want 0", n)
	}
}
