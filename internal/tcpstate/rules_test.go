package tcpstate

import (
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/wire"
)

// A target that takes its window back gets what fits again, however little that
// is: waiting for a better window is for new data.
func TestRepetitionInASmallWindow(t *testing.T) {
	for _, noSACK := range []bool{false, true} {
		f := inFlight(t, 10, noSACK)
		f.show()
		f.wnd = 4 // 512 octets
		f.ack(1, 0)
		f.timeout()
		f.want("a timeout", "0+512")
		f.wnd = 0xffff
		f.ack(11, 0)
		if f.c.Backlog() != 0 {
			t.Errorf("backlog %d", f.c.Backlog())
		}
	}
}

func TestFastRetransmitInASmallWindow(t *testing.T) {
	for _, noSACK := range []bool{false, true} {
		f := inFlight(t, 10, noSACK)
		f.show()
		f.wnd = 4
		f.ack(1, 3, [2]int{2, 4})
		f.want("fast retransmit inside the window", "0+512")
	}
}

// A FIN takes a place in the window like an octet; Linux 6.17 and later drop the
// segment else.
func TestFINNeedsWindow(t *testing.T) {
	f := inFlight(t, 0, false)
	f.wnd = 8 // 1024 octets
	f.ack(1, 0)
	f.c.Write(&f.pool, make([]byte, 1024))
	f.c.Close()
	f.want("the data alone", "0+1024")
	r := wire.Report{Flags: wire.ACK, Ack: f.one.Add(1024), RcvNxt: f.nxt}
	f.c.Receive(f.now, &f.pool, &r)
	f.want("no window", "")
	if f.c.State() != Established {
		t.Fatalf("state %v", f.c.State())
	}
	f.timeout()
	f.want("the FIN is the probe", "- FIN")
	f.timeout()
	f.want("and again", "- FIN")
	r.Window = 8
	f.c.Receive(f.now, &f.pool, &r)
	f.want("the window is open", "- FIN")
	if f.c.State() != FinWait1 {
		t.Fatalf("state %v", f.c.State())
	}
	r.Ack = r.Ack.Add(1)
	f.c.Receive(f.now, &f.pool, &r)
	if f.c.State() != FinWait2 || f.c.Deadline() != 0 {
		t.Errorf("state %v, deadline %v", f.c.State(), f.c.Deadline())
	}
}

// RFC 6298, section 5: what was repeated is not timed, and until something is the
// timer stays backed off.
func TestBackOffLastsUntilTheNextSample(t *testing.T) {
	f := inFlight(t, 1, false)
	f.show()
	f.timeout()
	f.want("repeated", "1")
	f.timeout()
	f.want("again", "1")
	f.ack(2, 0)
	f.c.Write(&f.pool, make([]byte, mss))
	f.want("new data", "2")
	if got, want := f.c.Deadline()-f.now, 4*minRTO; got != want {
		t.Errorf("the timer is %v, want %v", got, want)
	}
	f.ack(3, 0)
	f.c.Write(&f.pool, make([]byte, mss))
	f.want("new data after a sample", "3")
	if got := f.c.Deadline() - f.now; got != minRTO {
		t.Errorf("the timer is %v, want %v", got, minRTO)
	}
	// Giving up counts the timeouts in a row only.
	f.ack(4, 0)
	for i := range 3 * maxData {
		f.c.Write(&f.pool, make([]byte, mss))
		f.show()
		f.timeout()
		f.show()
		f.ack(5+i, 0)
	}
	if f.c.Fate() != Alive {
		t.Errorf("fate %v", f.c.Fate())
	}
}

// What the loss of SYNs means for the data that follows: RFC 6298, section 5.7,
// RFC 6928, section 2.
func TestAfterLostSYNs(t *testing.T) {
	for _, tt := range []struct {
		lost     int
		segments int
		rto      time.Duration
	}{{0, 10, minRTO}, {1, 10, noSampleRTO}, {2, 1, noSampleRTO}} {
		var pool buffer.Pool
		var c Conn
		p := newPeer(t)
		now := time.Second
		c.Open(now, testFlow, 1, mss)
		for range tt.lost {
			c.Poll(now, &pool, nil)
			now = c.Deadline()
		}
		exchange(&c, p, &pool, &now, perfect, time.Second)
		c.Write(&pool, make([]byte, 20*mss))
		if n := len(c.Poll(now, &pool, nil)); n != tt.segments || c.Deadline() != now+tt.rto {
			t.Errorf("after %d lost SYNs: %d segments, the timer is %v; want %d, %v", tt.lost, n, c.Deadline()-now, tt.segments, tt.rto)
		}
	}
}

// The SYN that follows a RST for a half-open connection is the first to be
// answered by a SYN-ACK: it can be timed, and is no repetition.
func TestSYNBehindAChallengeIsTimed(t *testing.T) {
	var pool buffer.Pool
	var c Conn
	p := newPeer(t)
	now := time.Second
	c.Open(now, testFlow, 500, mss)
	c.Poll(now, &pool, nil)
	c.Receive(now, &pool, &wire.Report{Flags: wire.ACK, Ack: 77})
	exchange(&c, p, &pool, &now, perfect, time.Second)
	if c.State() != Established || c.rtt.smoothed == 0 || c.Retransmits != 0 {
		t.Errorf("state %v, SRTT %v, %d retransmissions", c.State(), c.rtt.smoothed, c.Retransmits)
	}
}

// The RSTs that answer challenges may be lost: the SYNs between go on in their
// time, and another challenge does not use them up at once.
func TestChallengedAgainAndAgain(t *testing.T) {
	var pool buffer.Pool
	var c Conn
	now := time.Second
	c.Open(now, testFlow, 500, mss)
	var syns []time.Duration
	for c.Fate() == Alive {
		for _, s := range c.Poll(now, &pool, nil) {
			if s.Flags == wire.SYN {
				syns = append(syns, now)
				c.Receive(now, &pool, &wire.Report{Flags: wire.ACK, Ack: 77})
			}
		}
		now = c.Deadline()
	}
	if n := len(syns); n != 1+maxSyn || syns[1]-syns[0] != synAgain || syns[n-1]-syns[0] < 7*time.Second || c.Fate() != Unreachable {
		t.Errorf("SYNs at %v, then %v", syns, c.Fate())
	}
}

func TestInitialWindow(t *testing.T) {
	for _, tt := range []struct{ mss, want int }{{536, 5360}, {1460, 14600}, {4000, 14600}, {8960, 17920}} {
		var c Conn
		c.snd.mss = uint16(tt.mss)
		if got := int(c.initialWindow()); got != tt.want {
			t.Errorf("MSS %d: %d octets, want %d (RFC 6928, section 2)", tt.mss, got, tt.want)
		}
	}
}

// RFC 9293, section 3.7.1, MUST-15.
func TestMSSWithoutTheOption(t *testing.T) {
	six := wire.Flow{Src: wire.Endpoint{Addr: wire.Addr{0: 0xfd, 15: 1}, Port: 1}, Dst: wire.Endpoint{Addr: wire.Addr{0: 0xfd, 15: 2}, Port: 3306}}
	for _, tt := range []struct {
		flow wire.Flow
		want uint16
	}{{testFlow, 536}, {six, 1220}} {
		var pool buffer.Pool
		var c Conn
		c.Open(1, tt.flow, 7, 1440)
		c.Poll(1, &pool, nil)
		c.Receive(1, &pool, &wire.Report{Flags: wire.SYN | wire.ACK, Seq: 9, Ack: 8, Window: 1000, RcvNxt: 10})
		if c.snd.mss != tt.want {
			t.Errorf("%v: MSS %d, want %d", tt.flow, c.snd.mss, tt.want)
		}
	}
}

// What comes out of order is answered by an ACK of its own: on data it would be
// no duplicate, and without blocks.
func TestDuplicateACKGoesAlone(t *testing.T) {
	f := inFlight(t, 1, false)
	f.show()
	f.c.Write(&f.pool, make([]byte, mss))
	hole := wire.Report{Flags: wire.ACK, Ack: f.one, Window: f.wnd, RcvNxt: f.nxt, AckNow: true,
		NHeld: 1, Held: [3]wire.Block{{Start: f.nxt.Add(10), End: f.nxt.Add(20)}}}
	f.c.Receive(f.now, &f.pool, &hole)
	segs := f.c.Poll(f.now, &f.pool, nil)
	if len(segs) != 2 || segs[0].Options.NSACK != 1 || len(segs[0].Payload) != 0 || segs[1].Options.NSACK != 0 || len(segs[1].Payload) != mss {
		t.Errorf("sent %+v", segs)
	}
	f.want("once", "")
}

// A keep-alive carries an old number, which any TCP answers; what is in flight
// needs none, and a pause or the handshake allows none.
func TestKeepAlive(t *testing.T) {
	f := inFlight(t, 0, false)
	f.c.KeepAlive()
	segs := f.c.Poll(f.now, &f.pool, nil)
	if len(segs) != 1 || segs[0].Flags != wire.ACK || f.one.To(segs[0].Seq) != -1 || segs[0].Len() != 0 || segs[0].Ack != f.nxt {
		t.Fatalf("sent %+v", segs)
	}
	f.ack(1, 1)
	f.want("the answer is no duplicate", "")
	if f.c.Deadline() != 0 || f.c.snd.dupAcks != 0 {
		t.Errorf("deadline %v, %d duplicates", f.c.Deadline(), f.c.snd.dupAcks)
	}
	f.c.KeepAlive()
	f.c.Write(&f.pool, make([]byte, mss))
	f.want("data shows it as well", "1")
	f.c.KeepAlive()
	f.want("and what is in flight", "")
	f.ack(2, 0)
	f.c.Pause()
	f.c.KeepAlive()
	f.want("paused", "")
	f.c.Resume(f.now)
	f.want("the resumption shows it", "-")

	var pool buffer.Pool
	var c Conn
	c.KeepAlive()
	c.Open(1, testFlow, 7, mss)
	c.KeepAlive()
	if segs := c.Poll(1, &pool, nil); len(segs) != 1 || segs[0].Flags != wire.SYN {
		t.Errorf("sent %+v", segs)
	}
}
