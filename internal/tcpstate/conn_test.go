package tcpstate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A peer is a target's TCP together with the intercept's view of it: it takes
// our segments and makes the reports.
type peer struct {
	t        *testing.T
	iss      seq.Num
	nxt      seq.Num // our octets it has
	irs      seq.Num
	open     bool
	finSeen  bool
	got      []byte
	ooo      map[seq.Num][]byte
	fins     map[seq.Num]bool
	wnd      uint16
	scale    uint8
	r        wire.Report
	due      bool
	sndNxt   seq.Num // the peer's own next number
	finSent  bool
	rstSeen  int
	noScale  bool
	received int
}

func newPeer(t *testing.T) *peer {
	return &peer{t: t, iss: 0xfffffff0, wnd: 0xffff, scale: 7, ooo: make(map[seq.Num][]byte), fins: make(map[seq.Num]bool)}
}

func (p *peer) segment(s *wire.Segment) {
	p.received++
	if s.Flags.Has(wire.RST) {
		p.rstSeen++
		return
	}
	if s.Flags.Has(wire.SYN) {
		if s.Options.MSS == 0 || !s.Options.HasWScale || !s.Options.SACKPermitted {
			p.t.Errorf("SYN without its options: %+v", s.Options)
		}
		p.irs, p.nxt, p.open = s.Seq, s.Seq.Add(1), true
		p.sndNxt = p.iss.Add(1)
		p.r = wire.Report{Flags: wire.SYN | wire.ACK, Seq: p.iss, Ack: p.nxt, Window: p.wnd, RcvNxt: p.sndNxt,
			Options: wire.Options{MSS: 1460, HasWScale: !p.noScale, WScale: p.scale, SACKPermitted: true}}
		p.due = true
		return
	}
	if !p.open {
		return
	}
	if n := len(s.Payload); n > 0 || s.Flags.Has(wire.FIN) {
		data := bytes.Clone(s.Payload)
		if s.Seq.After(p.nxt) {
			p.r.DupAcks++
		}
		if old := p.ooo[s.Seq]; len(old) <= len(data) {
			p.ooo[s.Seq] = data
			p.fins[s.Seq] = p.fins[s.Seq] || s.Flags.Has(wire.FIN)
		}
		p.drain()
		p.ack()
	}
}

func (p *peer) drain() {
	for again := true; again; {
		again = false
		for at, data := range p.ooo {
			if at.After(p.nxt) {
				continue
			}
			fin := p.fins[at]
			delete(p.ooo, at)
			delete(p.fins, at)
			if n := at.To(p.nxt); n <= len(data) {
				if p.finSeen {
					if n < len(data) {
						p.t.Errorf("data behind the FIN")
					}
					break
				}
				p.got = append(p.got, data[n:]...)
				p.nxt = p.nxt.Add(len(data) - n)
				if fin {
					p.finSeen = true
					p.nxt = p.nxt.Add(1)
				}
			}
			again = true
			break
		}
	}
}

func (p *peer) ack() {
	p.r.Flags |= wire.ACK
	p.r.Ack, p.r.Window, p.r.RcvNxt = p.nxt, p.wnd, p.sndNxt
	p.due = true
}

// say makes the peer send n octets, or a FIN.
func (p *peer) say(n int) { p.sndNxt = p.sndNxt.Add(n); p.ack() }
func (p *peer) fin() {
	p.sndNxt = p.sndNxt.Add(1)
	p.finSent = true
	p.ack()
	p.r.Flags |= wire.FIN
}

func (p *peer) report() (wire.Report, bool) {
	r, due := p.r, p.due
	p.r, p.due = wire.Report{}, false
	return r, due
}

var testFlow = wire.Flow{Src: wire.Endpoint{Port: 4000}, Dst: wire.Endpoint{Port: 3306}}

const ms = time.Millisecond

// exchange runs both ends over a link that loses the given share of what passes
// each way, until nothing happens any more or the time is over.
func exchange(c *Conn, p *peer, pool *buffer.Pool, now *time.Duration, loss float64, rng *rand.Rand, until time.Duration) {
	for end := *now + until; *now < end && c.Fate() == Alive; {
		segs := c.Poll(*now, pool, nil)
		for i := range segs {
			if rng.Float64() >= loss {
				p.segment(&segs[i])
			}
		}
		if r, ok := p.report(); ok {
			*now += ms / 2
			if rng.Float64() >= loss {
				c.Receive(*now, pool, &r)
			}
			continue
		}
		if len(segs) > 0 || c.More() {
			continue
		}
		d := c.Deadline()
		if d == 0 {
			return
		}
		*now = max(d, *now)
	}
}

func TestHandshakeDataAndClose(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var pool buffer.Pool
	var c Conn
	p := newPeer(t)
	now := time.Second
	c.Open(now, testFlow, 0xffffffff, 1460) // the data begins at the wrap
	exchange(&c, p, &pool, &now, 0, rng, time.Second)
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
	exchange(&c, p, &pool, &now, 0, rng, 10*time.Second)
	if !bytes.Equal(p.got, data) || !c.Acked(c.Written()) || c.Backlog() != 0 {
		t.Fatalf("the peer has %d of %d octets, backlog %d", len(p.got), len(data), c.Backlog())
	}
	if c.Retransmits != 0 {
		t.Errorf("%d retransmissions on a perfect link", c.Retransmits)
	}
	c.Close()
	exchange(&c, p, &pool, &now, 0, rng, time.Second)
	if !p.finSeen || c.State() != FinWait2 {
		t.Fatalf("FIN seen %v, state %v", p.finSeen, c.State())
	}
	p.fin()
	exchange(&c, p, &pool, &now, 0, rng, 5*time.Second)
	if c.Fate() != Done || pool.InUse() != 0 {
		t.Errorf("fate %v, pool holds %d", c.Fate(), pool.InUse())
	}
}

// Whatever the link loses, all data arrives in order and both ends close.
func TestEverythingArrivesOverALossyLink(t *testing.T) {
	for seed := range uint64(60) {
		for _, loss := range []float64{0.01, 0.05, 0.2} {
			t.Run(fmt.Sprintf("seed=%d/loss=%v", seed, loss), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 9))
				var pool buffer.Pool
				var c Conn
				p := newPeer(t)
				now := time.Second
				c.Open(now, testFlow, seq.Num(rng.Uint32()), 1000+rng.IntN(500))
				var want []byte
				for range 1 + rng.IntN(20) {
					data := make([]byte, rng.IntN(20000))
					for i := range data {
						data[i] = byte(rng.Uint32())
					}
					c.Write(&pool, data)
					want = append(want, data...)
					exchange(&c, p, &pool, &now, loss, rng, time.Duration(rng.IntN(300))*ms)
				}
				if rng.IntN(2) == 0 {
					p.wnd = 0 // the window closes for a while
					exchange(&c, p, &pool, &now, loss, rng, 20*time.Second)
					p.wnd = 0xffff
				}
				c.Close()
				exchange(&c, p, &pool, &now, loss, rng, 300*time.Second)
				if c.Fate() == TimedOut || c.Fate() == Unreachable {
					if loss < 0.2 {
						t.Fatalf("gave up at %v loss: %v", loss, c.Fate())
					}
					return
				}
				if !bytes.Equal(p.got, want) || !p.finSeen {
					t.Fatalf("the peer has %d of %d octets, FIN %v, state %v, deadline %v at %v", len(p.got), len(want), p.finSeen, c.State(), c.Deadline(), now)
				}
				for i := 0; c.Fate() == Alive && i < 100; i++ {
					p.finSent = false
					p.r.Flags |= wire.FIN
					if i == 0 {
						p.sndNxt = p.sndNxt.Add(1)
					}
					p.ack()
					exchange(&c, p, &pool, &now, loss, rng, 3*time.Second)
				}
				if c.Fate() != Done || pool.InUse() != 0 {
					t.Errorf("fate %v, state %v, pool holds %d", c.Fate(), c.State(), pool.InUse())
				}
			})
		}
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
	exchange(c, p, pool, &now, 0, rand.New(rand.NewPCG(1, 1)), time.Second)
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
}

func TestFastRetransmit(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	c.Write(&pool, make([]byte, 14600))
	segs := c.Poll(now, &pool, nil)
	if len(segs) != 10 {
		t.Fatalf("the initial window is %d segments", len(segs))
	}
	for i := range segs[1:] { // the first is lost
		p.segment(&segs[1+i])
	}
	r, _ := p.report()
	c.Receive(now+ms, &pool, &r)
	segs = c.Poll(now+ms, &pool, nil)
	if len(segs) != 1 || segs[0].Seq != c.SndUna() || c.Retransmits != 1 {
		t.Fatalf("after %d duplicate ACKs: sent %d segments, %d retransmissions", r.DupAcks, len(segs), c.Retransmits)
	}
	p.segment(&segs[0])
	r, _ = p.report()
	c.Receive(now+2*ms, &pool, &r)
	if c.recovery || !c.Acked(c.Written()) {
		t.Errorf("recovery %v, backlog %d", c.recovery, c.Backlog())
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
	exchange(c, p, &pool, &now, 0, rand.New(rand.NewPCG(1, 1)), 10*time.Second)
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
	exchange(c, p, &pool, &now, 0, rand.New(rand.NewPCG(1, 1)), 10*time.Second)
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
	rng := rand.New(rand.NewPCG(1, 1))
	p.fin()
	exchange(c, p, &pool, &now, 0, rng, time.Second)
	if c.State() != CloseWait {
		t.Fatalf("state %v", c.State())
	}
	c.Close()
	exchange(c, p, &pool, &now, 0, rng, time.Second)
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
	exchange(c, p, &pool, &now, 0, rand.New(rand.NewPCG(1, 1)), 5*time.Second)
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

// Whatever is reported, nothing panics and what is sent lies within what was
// written.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0x12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Fuzz(func(t *testing.T, b []byte) {
		var pool buffer.Pool
		c, _, now := opened(t, &pool)
		c.Write(&pool, make([]byte, 5000))
		for len(b) >= 8 {
			r := wire.Report{
				Flags: wire.Flags(b[0]), Seq: c.rcv.nxt.Add(int(int8(b[1]))), Ack: c.snd.una.Add(int(int8(b[2])) * 64),
				Window: uint16(b[3])<<4 | uint16(b[4]), RcvNxt: c.rcv.nxt.Add(int(int8(b[5]))), DupAcks: b[6], AckNow: b[7]&1 != 0,
			}
			c.Receive(now, &pool, &r)
			end := c.Written()
			for _, s := range c.Poll(now, &pool, nil) {
				if s.End().After(end.Add(1)) && !s.Flags.Has(wire.RST) {
					t.Fatalf("sent %v beyond %v", s.End(), end)
				}
			}
			if b[7]&2 != 0 {
				c.Close()
			}
			if d := c.Deadline(); d != 0 && b[7]&4 != 0 {
				now = max(now, d)
			}
			b = b[8:]
		}
		c.Abort(&pool, nil)
		if pool.InUse() != 0 {
			t.Fatalf("%d octets leak", pool.InUse())
		}
	})
}
