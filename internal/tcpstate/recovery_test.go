package tcpstate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

const mss = 1460

// A flight is a connection with segments in flight, numbered from 1 on.
type flight struct {
	t    *testing.T
	c    *Conn
	pool buffer.Pool
	now  time.Duration
	one  seq.Num // where segment 1 begins
	nxt  seq.Num // RCV.NXT
	wnd  uint16
}

// inFlight writes n full segments and sends what goes.
func inFlight(t *testing.T, n int, noSACK bool) *flight {
	f := &flight{t: t, c: new(Conn), now: time.Second, wnd: 0xffff}
	p := newPeer(t)
	p.noSACK = noSACK
	f.c.Open(f.now, testFlow, 0xfffff000, mss) // the segments cross the wrap
	exchange(f.c, p, &f.pool, &f.now, perfect, time.Second)
	f.one, f.nxt = f.c.snd.una, p.sndNxt
	f.c.Write(&f.pool, make([]byte, n*mss))
	return f
}

// show polls and returns the numbers of the segments sent.
func (f *flight) show() string {
	var b []string
	for _, s := range f.c.Poll(f.now, &f.pool, nil) {
		at := f.one.To(s.Seq)
		switch n := len(s.Payload); {
		case n == 0:
			b = append(b, "-")
		case at%mss == 0 && n == mss:
			b = append(b, fmt.Sprint(at/mss+1))
		default:
			b = append(b, fmt.Sprintf("%d+%d", at, n))
		}
		if s.Flags.Has(wire.FIN) {
			b = append(b, "FIN")
		}
	}
	return strings.Join(b, " ")
}

// ack reports that segments before next were acknowledged, and that blocks of
// segments, each first to last, are held.
func (f *flight) ack(next, dups int, blocks ...[2]int) {
	r := wire.Report{Flags: wire.ACK, Ack: f.one.Add((next - 1) * mss), Window: f.wnd, RcvNxt: f.nxt, DupAcks: uint8(dups)}
	for i, b := range blocks {
		r.Options.SACK[i] = wire.Block{Start: f.one.Add((b[0] - 1) * mss), End: f.one.Add(b[1] * mss)}
		r.Options.NSACK++
	}
	f.now += ms
	f.c.Receive(f.now, &f.pool, &r)
}

func (f *flight) want(what, want string) {
	f.t.Helper()
	if got := f.show(); got != want {
		f.t.Fatalf("%s: sent %q, want %q", what, got, want)
	}
}

func (f *flight) timeout() { f.now = max(f.now, f.c.rtxAt) }

func TestFastRetransmit(t *testing.T) {
	f := inFlight(t, 30, true)
	f.want("the initial window", "1 2 3 4 5 6 7 8 9 10")
	f.ack(1, 1)
	f.want("a duplicate: limited transmit", "11")
	f.ack(1, 1)
	f.want("another", "12")
	f.ack(1, 1)
	f.want("the third: fast retransmit", "1")
	f.ack(1, 1)
	f.want("ssthresh is 5, the window 9", "")
	f.ack(1, 4)
	f.want("the window is 13 by now", "13")
	f.ack(3, 0)
	f.want("a partial acknowledgment: the next hole, and the window is 12", "3 14")
	f.ack(13, 0)
	if f.c.recovery || f.c.cong.wnd != 3*mss {
		t.Errorf("behind the recovery point: in recovery %v, the window is %d", f.c.recovery, f.c.cong.wnd)
	}
	f.want("it goes on in slow start, with what is in flight and one more", "15")
	f.ack(13, 3)
	f.want("duplicates at the recovery point mean nothing without SACK (RFC 6582, section 3.2)", "")
}

func TestManyDuplicatesInOneReport(t *testing.T) {
	f := inFlight(t, 30, true)
	f.show()
	f.ack(1, 9)
	f.want("the first, and what the duplicates make room for: 5+9 less 10 in flight", "1 11 12 13 14")
}

func TestRecoveryWithSACK(t *testing.T) {
	f := inFlight(t, 30, false)
	f.want("the initial window", "1 2 3 4 5 6 7 8 9 10")
	f.ack(1, 1, [2]int{2, 2})
	f.want("limited transmit: one has left the pipe", "11")
	f.ack(1, 1, [2]int{2, 3})
	f.want("another", "12")
	f.ack(1, 1, [2]int{5, 5}, [2]int{2, 3})
	f.want("the third duplicate", "1")
	// ssthresh is 5 segments. In the pipe are 4 and 6 to 12, and 1 again.
	f.ack(1, 3, [2]int{5, 8}, [2]int{2, 3})
	f.want("4 counts as lost; 9 to 12 and 1 fill the pipe", "")
	f.ack(1, 1, [2]int{5, 9}, [2]int{2, 3})
	f.want("one left: the second hole in the same round trip", "4")
	f.ack(4, 0, [2]int{5, 9})
	f.want("a partial acknowledgment takes 1 out of the pipe", "13")
	f.ack(4, 2, [2]int{5, 11})
	f.want("and two more leave", "14 15")
	f.ack(13, 0)
	if f.c.recovery || f.c.board.n() != 0 {
		t.Errorf("behind the recovery point: in recovery %v, %d blocks", f.c.recovery, f.c.board.n())
	}
	if f.c.Retransmits != 2 {
		t.Errorf("%d segments were repeated, want 2", f.c.Retransmits)
	}
}

// Three holes are repaired in one round trip, which takes NewReno three.
func TestHolesAreRepairedTogether(t *testing.T) {
	f := inFlight(t, 10, false)
	f.show()
	f.ack(1, 7, [2]int{8, 10}, [2]int{5, 6}, [2]int{2, 3})
	f.want("all holes at once: nothing else is in the pipe", "1 4 7")
}

// Small commands never amount to two segments' octets: the holes behind the
// first are repeated by rule 3 of NextSeg.
func TestHolesBetweenCommands(t *testing.T) {
	f := inFlight(t, 0, false)
	for range 6 {
		f.c.Write(&f.pool, make([]byte, 60))
		f.show()
	}
	block := func(i int) wire.Block { return wire.Block{Start: f.one.Add(i * 60), End: f.one.Add(i*60 + 60)} }
	r := wire.Report{Flags: wire.ACK, Ack: f.one, Window: f.wnd, RcvNxt: f.nxt, DupAcks: 4}
	r.Options.NSACK, r.Options.SACK = 2, [3]wire.Block{{Start: block(4).Start, End: block(5).End}, {Start: block(1).Start, End: block(2).End}}
	f.c.Receive(f.now, &f.pool, &r)
	f.want("both holes", "0+60 180+60")
}

func TestRescue(t *testing.T) {
	f := inFlight(t, 10, false)
	f.show()
	f.ack(1, 5, [2]int{2, 6})
	f.want("the first", "1")
	f.ack(7, 0)
	f.want("the rest may be lost too, SACK could not tell: the last is sent, once", "10")
	f.ack(7, 1, [2]int{10, 10})
	f.want("then those before it, as the window of 5 allows", "7 8")
	f.ack(8, 0, [2]int{10, 10})
	f.want("and the last of them", "9")
	f.ack(11, 0)
	if f.c.recovery {
		t.Error("still in recovery")
	}
}

// What the target held may be gone after a timeout (RFC 2018, section 8); what it
// says afterwards it has.
func TestTimeoutForgetsTheBlocks(t *testing.T) {
	f := inFlight(t, 10, false)
	f.show()
	f.ack(1, 2, [2]int{2, 2}, [2]int{4, 4})
	f.want("not three yet", "")
	f.timeout()
	f.want("a timeout", "1")
	if f.c.board.n() != 0 {
		t.Fatalf("%d blocks are remembered", f.c.board.n())
	}
	f.ack(2, 0)
	f.want("it took them back: slow start from there", "2 3")
	f.ack(4, 0, [2]int{5, 8})
	f.want("what it holds is passed over", "4 9 10")
	f.ack(4, 3, [2]int{5, 9})
	f.want("no recovery before all that was in flight is acknowledged", "")
	f.ack(11, 0)
	if f.c.Backlog() != 0 || f.c.board.n() != 0 {
		t.Errorf("backlog %d, %d blocks", f.c.Backlog(), f.c.board.n())
	}
}

// A target that acknowledges less than it said to hold has taken the rest back.
func TestRenegingIsSeen(t *testing.T) {
	f := inFlight(t, 10, false)
	f.show()
	f.ack(1, 4, [2]int{2, 5})
	f.want("the first", "1")
	f.ack(2, 0)
	if f.c.board.n() != 0 {
		t.Errorf("%d blocks are remembered", f.c.board.n())
	}
	f.timeout()
	f.want("a timeout", "2")
	f.ack(11, 0)
	if f.c.Backlog() != 0 {
		t.Errorf("backlog %d", f.c.Backlog())
	}
}

// The answers to what was repeated in vain carry D-SACK blocks. They are no
// duplicates that mean a loss.
func TestDSACKMeansNoLoss(t *testing.T) {
	f := inFlight(t, 20, false)
	f.show()
	f.ack(6, 0)
	f.want("slow start", "11 12 13 14 15 16 17 18 19 20")
	for i := range 5 {
		f.ack(6, 1, [2]int{i + 1, i + 1})
		f.want("old data came again", "")
	}
	f.ack(6, 1, [2]int{8, 8})
	f.ack(6, 3, [2]int{8, 8}, [2]int{8, 8}) // a duplicate within what is held
	f.want("one segment beyond a hole is not three", "")
	if f.c.recovery || f.c.Retransmits != 0 {
		t.Errorf("in recovery %v, %d repeated", f.c.recovery, f.c.Retransmits)
	}
}

// A loss of what was repeated is left to the timer.
func TestRepeatedSegmentIsLost(t *testing.T) {
	f := inFlight(t, 10, false)
	f.show()
	f.ack(1, 9, [2]int{2, 10})
	f.want("the first", "1")
	f.ack(1, 0)
	f.want("nothing more", "")
	f.timeout()
	f.want("the timer", "1")
	f.ack(11, 0)
	if f.c.Backlog() != 0 {
		t.Errorf("backlog %d", f.c.Backlog())
	}
}

// The FIN is repeated like an octet.
func TestLostFINBehindHoles(t *testing.T) {
	f := inFlight(t, 6, false)
	f.c.Close()
	f.want("data and FIN", "1 2 3 4 5 6 FIN")
	f.ack(1, 5, [2]int{2, 6}) // the block ends before the FIN
	f.want("the hole, and the FIN by rescue", "1 - FIN")
	f.ack(1, 0)
	f.timeout()
	f.want("all is behind the hole after a timeout", "1")
	f.ack(7, 0)
	f.want("but the FIN, which lies behind", "- FIN")
}
