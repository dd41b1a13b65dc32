package tcpstate

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/wire"
)

func TestHandshakeDataAndClose(t *testing.T) {
	var pool buffer.Pool
	var c Conn
	p := newPeer(t)
	now := time.Second
	c.Open(now, testFlow, 0xffffffff, 1460) // the data begins at the wrap
	exchange(&c, p, &pool, &now, perfect, time.Second)
	if c.State() != Established {
		t.Fatalf("state %v after the handshake", c.State())
	}
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	c.Write(&pool, data)
	if c.Acked(c.Written()) {
		t.Error("acknowledged before it was sent")
	}
	exchange(&c, p, &pool, &now, perfect, 10*time.Second)
	if !bytes.Equal(p.got, data) || !c.Acked(c.Written()) || c.Backlog() != 0 {
		t.Fatalf("the peer has %d of %d octets, backlog %d", len(p.got), len(data), c.Backlog())
	}
	if c.Retransmits != 0 {
		t.Errorf("%d retransmissions on a perfect link", c.Retransmits)
	}
	c.Close()
	exchange(&c, p, &pool, &now, perfect, time.Second)
	if !p.finSeen || c.State() != FinWait2 {
		t.Fatalf("FIN seen %v, state %v", p.finSeen, c.State())
	}
	p.fin()
	exchange(&c, p, &pool, &now, perfect, 5*time.Second)
	if c.Fate() != Done || pool.InUse() != 0 {
		t.Errorf("fate %v, pool holds %d", c.Fate(), pool.InUse())
	}
}

func TestSYNIsRepeatedThenGivenUp(t *testing.T) {
	var pool buffer.Pool
	var c Conn
	c.Open(0, testFlow, 100, 1460)
	var at []time.Duration
	for now := time.Duration(1); c.Fate() == Alive; {
		if segs := c.Poll(now, &pool, nil); len(segs) > 0 {
			if len(segs) != 1 || segs[0].Flags != wire.SYN || segs[0].Seq != 100 {
				t.Fatalf("sent %+v", segs)
			}
			at = append(at, now.Round(time.Second))
		}
		now = max(now, c.Deadline())
	}
	want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}
	if fmt.Sprint(at) != fmt.Sprint(want) || c.Fate() != Unreachable {
		t.Errorf("SYNs at %v, want %v; fate %v", at, want, c.Fate())
	}
}

func opened(t *testing.T, pool *buffer.Pool) (*Conn, *peer, time.Duration) {
	t.Helper()
	c, p, now := new(Conn), newPeer(t), time.Second
	c.Open(now, testFlow, 1000, 1460)
	exchange(c, p, pool, &now, perfect, time.Second)
	if c.State() != Established {
		t.Fatalf("state %v", c.State())
	}
	return c, p, now
}

func TestResets(t *testing.T) {
	tests := []struct {
		name   string
		report func(c *Conn) wire.Report
		fate   Fate
		ack    bool // a challenge ACK
	}{
		{"at RCV.NXT", func(c *Conn) wire.Report { return wire.Report{Flags: wire.RST, Seq: c.rcv.nxt, RcvNxt: c.rcv.nxt} }, Reset, false},
		{"inside the window", func(c *Conn) wire.Report {
			return wire.Report{Flags: wire.RST, Seq: c.rcv.nxt.Add(5), RcvNxt: c.rcv.nxt}
		}, Alive, true},
		{"outside the window", func(c *Conn) wire.Report {
			return wire.Report{Flags: wire.RST, Seq: c.rcv.nxt.Add(-5), RcvNxt: c.rcv.nxt}
		}, Alive, false},
		{"behind data of the same report", func(c *Conn) wire.Report {
			return wire.Report{Flags: wire.RST, Seq: c.rcv.nxt.Add(9), RcvNxt: c.rcv.nxt.Add(9)}
		}, Reset, false},
		{"SYN on an open connection", func(c *Conn) wire.Report {
			return wire.Report{Flags: wire.SYN, Seq: c.rcv.nxt.Add(1), RcvNxt: c.rcv.nxt}
		}, Alive, true},
		{"ACK of what was never sent", func(c *Conn) wire.Report {
			return wire.Report{Flags: wire.ACK, Ack: c.snd.max.Add(1), RcvNxt: c.rcv.nxt}
		}, Alive, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var pool buffer.Pool
			c, _, now := opened(t, &pool)
			r := tt.report(c)
			c.Receive(now, &pool, &r)
			segs := c.Poll(now, &pool, nil)
			if c.Fate() != tt.fate || (len(segs) == 1 && segs[0].Flags == wire.ACK) != tt.ack || len(segs) > 1 {
				t.Errorf("fate %v, sent %+v", c.Fate(), segs)
			}
		})
	}
}

func TestRefusedAndHalfOpen(t *testing.T) {
	var pool buffer.Pool
	var c Conn
	c.Open(1, testFlow, 500, 1460)
	c.Poll(1, &pool, nil)
	// An older connection of the 4-tuple challenges the SYN (RFC 9293, figure 9).
	c.Receive(2, &pool, &wire.Report{Flags: wire.ACK, Ack: 77})
	segs := c.Poll(2, &pool, nil)
	if len(segs) != 1 || segs[0].Flags != wire.RST || segs[0].Seq != 77 {
		t.Fatalf("a challenge is answered by %+v", segs)
	}
	segs = c.Poll(c.Deadline(), &pool, nil)
	if len(segs) != 1 || segs[0].Flags != wire.SYN || segs[0].Seq != 500 {
		t.Fatalf("after the RST: %+v", segs)
	}
	// A RST that does not acknowledge the SYN is nothing.
	c.Receive(3, &pool, &wire.Report{Flags: wire.RST | wire.ACK, Ack: 77})
	if c.Fate() != Alive {
		t.Fatalf("fate %v", c.Fate())
	}
	c.Receive(3, &pool, &wire.Report{Flags: wire.RST | wire.ACK, Ack: 501})
	if c.Fate() != Refused || len(c.Poll(4, &pool, nil)) != 0 {
		t.Errorf("fate %v", c.Fate())
	}
}

func TestAckRidesOnACommandOrWaits(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	p.say(100)
	r, _ := p.report()
	c.Receive(now, &pool, &r)
	if segs := c.Poll(now, &pool, nil); len(segs) != 0 {
		t.Fatalf("a small response is acknowledged at once: %+v", segs)
	}
	c.Write(&pool, []byte("next"))
	segs := c.Poll(now+ms, &pool, nil)
	if len(segs) != 1 || segs[0].Ack != p.sndNxt || string(segs[0].Payload) != "next" || !segs[0].Flags.Has(wire.PSH) {
		t.Fatalf("sent %+v", segs)
	}
	for i := range segs {
		p.segment(&segs[i])
	}
	p.say(100)
	r, _ = p.report()
	c.Receive(now+2*ms, &pool, &r)
	if d := c.Deadline(); d != now+2*ms+delayedAck {
		t.Fatalf("deadline %v, want the delayed ACK's", d)
	}
	if segs := c.Poll(c.Deadline(), &pool, nil); len(segs) != 1 || segs[0].Flags != wire.ACK || segs[0].Ack != p.sndNxt {
		t.Fatalf("sent %+v", segs)
	}
	p.say(1 << 20) // much data: at once
	r, _ = p.report()
	c.Receive(now+100*ms, &pool, &r)
	if segs := c.Poll(now+100*ms, &pool, nil); len(segs) != 1 {
		t.Fatalf("sent %+v", segs)
	}
	// Out of order data: at once, with the blocks held.
	c.Receive(now+200*ms, &pool, &wire.Report{Flags: wire.ACK, Ack: p.nxt, Window: p.wnd, RcvNxt: p.sndNxt, AckNow: true,
		NHeld: 1, Held: [3]wire.Block{{Start: p.sndNxt.Add(10), End: p.sndNxt.Add(20)}}})
	if segs := c.Poll(now+200*ms, &pool, nil); len(segs) != 1 || segs[0].Options.NSACK != 1 || segs[0].Options.SACK[0].End != p.sndNxt.Add(20) {
		t.Fatalf("sent %+v", segs)
	}
	// The hole is filled: no block is told any more.
	c.Receive(now+300*ms, &pool, &wire.Report{Flags: wire.ACK, Ack: p.nxt, Window: p.wnd, RcvNxt: p.sndNxt.Add(20), AckNow: true})
	if segs := c.Poll(now+300*ms, &pool, nil); len(segs) != 1 || segs[0].Ack != p.sndNxt.Add(20) || segs[0].Options.NSACK != 0 {
		t.Fatalf("sent %+v", segs)
	}
}

// A closed window is probed one octet at a time; the answers to the probes are
// no sign of a loss, and nothing goes out that is not accounted for.
func TestClosedWindow(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	p.wnd = 0
	p.ack()
	r, _ := p.report()
	c.Receive(now, &pool, &r)
	data := make([]byte, 50_000)
	for i := range data {
		data[i] = byte(i * 3)
	}
	c.Write(&pool, data)
	probes := 0
	for range 20 {
		for _, s := range c.Poll(now, &pool, nil) {
			if len(s.Payload) > 1 || s.Seq != c.SndUna() {
				t.Fatalf("sent %d octets at %v into a closed window at %v", len(s.Payload), s.Seq, c.SndUna())
			}
			probes++
		}
		c.Receive(now, &pool, &wire.Report{Flags: wire.ACK, Ack: p.nxt, RcvNxt: p.sndNxt, DupAcks: 1})
		now = max(now, c.Deadline())
	}
	// An ACK that is due meanwhile must lie inside the window.
	c.Receive(now, &pool, &wire.Report{Flags: wire.ACK, Ack: p.nxt, RcvNxt: p.sndNxt, AckNow: true})
	if segs := c.Poll(now, &pool, nil); len(segs) == 0 || segs[0].Seq != c.SndUna() {
		t.Errorf("an ACK in a closed window: %d segments, SND.UNA %v, %+v", len(segs), c.SndUna(), segs)
	}
	if probes < 10 {
		t.Errorf("%d probes", probes)
	}
	p.wnd = 0xffff
	p.ack()
	exchange(c, p, &pool, &now, perfect, 10*time.Second)
	if !bytes.Equal(p.got, data) || c.Backlog() != 0 {
		t.Errorf("the peer has %d of %d octets", len(p.got), len(data))
	}
}

// A target that dies while its window is closed is given up, as one that dies
// with data in flight is.
func TestDeathInAClosedWindow(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	p.wnd = 0
	p.ack()
	r, _ := p.report()
	c.Receive(now, &pool, &r)
	c.Write(&pool, make([]byte, 50_000))
	start := now
	for c.Fate() == Alive && now < start+time.Hour {
		c.Poll(now, &pool, nil)
		now = max(now, c.Deadline())
	}
	if c.Fate() != TimedOut || now < start+time.Minute {
		t.Errorf("%v after %v", c.Fate(), now-start)
	}
	if pool.InUse() != 0 {
		t.Errorf("%d octets are held", pool.InUse())
	}
}

// A target that takes its window back still gets ACKs that it accepts.
func TestAckInsideAShrunkWindow(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	c.Write(&pool, make([]byte, 6*1460))
	c.Poll(now, &pool, nil)
	for _, tt := range []struct {
		wnd  uint16 // unscaled
		want int    // from SND.UNA
	}{{0, 0}, {10, 1280}, {68, 6 * 1460}, {0xffff, 6 * 1460}} {
		c.Receive(now, &pool, &wire.Report{Flags: wire.ACK, Ack: c.SndUna(), Window: tt.wnd, RcvNxt: p.sndNxt, AckNow: true})
		segs := c.Poll(now, &pool, nil)
		if len(segs) != 1 || len(segs[0].Payload) != 0 || c.SndUna().To(segs[0].Seq) != tt.want {
			t.Errorf("window %d<<7: sent %d segments, want an ACK at SND.UNA+%d", tt.wnd, len(segs), tt.want)
		}
	}
}

// Small commands go at once while the target keeps up, and together when it
// does not.
func TestCommandsGatherBehindASlowTarget(t *testing.T) {
	var pool buffer.Pool
	c, _, now := opened(t, &pool)
	n := 0
	for range 1000 {
		c.Write(&pool, make([]byte, 50))
		n += len(c.Poll(now, &pool, nil))
	}
	if most := 2*1460/50 + 1 + 8; n > most {
		t.Errorf("1000 unacknowledged commands of 50 octets went out in %d segments, want at most %d", n, most)
	}
}

func TestPauseStopsEverything(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	c.Write(&pool, []byte("one"))
	c.Poll(now, &pool, nil) // lost, as nobody sees the reply
	c.Pause()
	c.Write(&pool, []byte("two"))
	if segs := c.Poll(now+time.Hour, &pool, nil); len(segs) != 0 || c.Deadline() != 0 {
		t.Fatalf("paused, it sends %d segments, deadline %v", len(segs), c.Deadline())
	}
	now += 2 * time.Hour
	c.Resume(now)
	c.Resume(now)
	exchange(c, p, &pool, &now, perfect, 10*time.Second)
	if string(p.got) != "onetwo" {
		t.Errorf("the peer has %q", p.got)
	}
}

func TestAbort(t *testing.T) {
	var pool buffer.Pool
	c, _, now := opened(t, &pool)
	c.Write(&pool, []byte("pending"))
	c.Poll(now, &pool, nil)
	segs := c.Abort(&pool, nil)
	if len(segs) != 2 || segs[0].Seq != c.snd.max || segs[1].Seq != c.snd.una || c.Fate() != Aborted || pool.InUse() != 0 {
		t.Errorf("sent %+v, fate %v", segs, c.Fate())
	}
	if segs := c.Abort(&pool, nil); segs != nil {
		t.Errorf("a second abort sends %+v", segs)
	}
	c.Write(&pool, []byte("more"))
	if pool.InUse() != 0 {
		t.Error("a dead connection keeps octets")
	}
	var fresh Conn
	fresh.Open(now, testFlow, 9, 1460)
	if segs := fresh.Abort(&pool, nil); len(segs) != 0 {
		t.Errorf("before the SYN: %+v", segs)
	}
	fresh.Open(now, testFlow, 9, 1460)
	fresh.Poll(now, &pool, nil)
	if segs := fresh.Abort(&pool, nil); len(segs) != 1 || segs[0].Seq != 10 || segs[0].Flags != wire.RST {
		t.Errorf("in SYN-SENT: %+v", segs)
	}
}

func TestTargetClosesFirst(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	p.fin()
	exchange(c, p, &pool, &now, perfect, time.Second)
	if c.State() != CloseWait {
		t.Fatalf("state %v", c.State())
	}
	c.Close()
	exchange(c, p, &pool, &now, perfect, time.Second)
	if c.Fate() != Done || !p.finSeen {
		t.Errorf("fate %v, state %v", c.Fate(), c.State())
	}
}

func TestSimultaneousClose(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	c.Close()
	segs := c.Poll(now, &pool, nil) // our FIN crosses the peer's
	c.Receive(now, &pool, &wire.Report{Flags: wire.ACK | wire.FIN, Ack: p.nxt, Window: p.wnd, RcvNxt: p.sndNxt.Add(1)})
	if c.State() != Closing {
		t.Fatalf("state %v", c.State())
	}
	p.sndNxt = p.sndNxt.Add(1)
	p.segment(&segs[0])
	exchange(c, p, &pool, &now, perfect, 5*time.Second)
	if c.Fate() != Done {
		t.Errorf("fate %v, state %v", c.Fate(), c.State())
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	cmd := make([]byte, 60)
	out := make([]wire.Segment, 0, 4)
	n := testing.AllocsPerRun(1000, func() {
		c.Write(&pool, cmd)
		out = c.Poll(now, &pool, out[:0])
		p.nxt = p.nxt.Add(len(cmd))
		p.sndNxt = p.sndNxt.Add(200)
		r := wire.Report{Flags: wire.ACK, Ack: p.nxt, Window: p.wnd, RcvNxt: p.sndNxt}
		now += ms
		c.Receive(now, &pool, &r)
	})
	if n != 0 || len(out) != 1 || c.Backlog() != 0 {
		t.Errorf("a command allocates %v times; %d segments, backlog %d", n, len(out), c.Backlog())
	}
}
