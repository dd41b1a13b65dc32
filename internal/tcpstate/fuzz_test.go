package tcpstate

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A plan is octets that say what happens; when it is over it says 0.
type plan []byte

func (p *plan) next() int {
	if len(*p) == 0 {
		return 0
	}
	b := (*p)[0]
	*p = (*p)[1:]
	return int(b)
}

// A suspect is a connection to which anything may happen, and what must hold
// whatever does.
type suspect struct {
	t    *testing.T
	c    Conn
	pool buffer.Pool
	now  time.Duration
	iss  seq.Num
}

// octet is what is written at n octets from the beginning.
func octet(n int) byte { return byte(n*7 + n>>8) }

func (s *suspect) write(n int) {
	if s.c.state == Closed || s.c.finWrite || s.c.fate != Alive {
		return
	}
	at := s.iss.Add(1).To(s.c.Written())
	data := make([]byte, n)
	for i := range data {
		data[i] = octet(at + i)
	}
	s.c.Write(&s.pool, data)
}

// likely is a report that a target may cause, absurd any.
func (s *suspect) likely(p *plan) {
	c := &s.c
	part := func() seq.Num { return c.snd.una.Add(int(c.flight()) * (p.next() % 17) / 16) }
	r := wire.Report{Flags: wire.ACK, Ack: c.snd.una, Window: 0xffff, RcvNxt: c.rcv.nxt, DupAcks: uint8(p.next() % 4)}
	switch p.next() % 8 {
	case 0, 1, 2:
		r.Ack = part()
	case 3:
		r.Window = [...]uint16{0, 0, 1, 10, 100, 1000}[p.next()%6]
	case 4:
		r.RcvNxt, r.AckNow = r.RcvNxt.Add(p.next()*20), p.next()&1 != 0
	case 5:
		r.AckNow, r.NHeld = true, 1
		r.Held[0] = wire.Block{Start: r.RcvNxt.Add(10), End: r.RcvNxt.Add(20)}
	case 6:
		if p.next()&7 == 0 {
			r.Flags |= wire.FIN
			r.RcvNxt = r.RcvNxt.Add(1)
		}
	}
	r.Options.NSACK = uint8(p.next() & 3)
	for i := range r.Options.NSACK {
		r.Options.SACK[i] = wire.Block{Start: part(), End: part()}
	}
	c.Receive(s.now, &s.pool, &r)
	s.check()
}

func (s *suspect) absurd(p *plan) {
	c := &s.c
	near := func(base seq.Num, scale int) seq.Num { return base.Add(int(int8(p.next())) * scale) }
	r := wire.Report{
		Flags: wire.Flags(p.next()), Seq: near(c.rcv.nxt, 1), Ack: near(c.snd.una, 300), RcvNxt: near(c.rcv.nxt, 50),
		Window: uint16(p.next()), DupAcks: uint8(p.next()), AckNow: p.next()&1 != 0, NHeld: uint8(p.next() & 3),
		Options: wire.Options{MSS: uint16(p.next()), SACKPermitted: p.next()&1 != 0, WScale: uint8(p.next() & 15), NSACK: uint8(p.next() & 3)},
	}
	r.Options.HasWScale = r.Options.WScale != 0
	for i := range r.Options.NSACK {
		r.Options.SACK[i] = wire.Block{Start: near(c.snd.una, 300), End: near(c.snd.una, 300)}
	}
	c.Receive(s.now, &s.pool, &r)
	s.check()
}

// poll sends, and looks at what is sent.
func (s *suspect) poll() {
	c := &s.c
	for {
		dead, paused := c.fate != Alive || c.state == Closed, c.paused
		out := c.Poll(s.now, &s.pool, nil)
		if (dead || paused) && len(out) > 0 {
			s.t.Fatalf("dead %v, paused %v: it sends %+v", dead, paused, out)
		}
		if len(out) > maxBurst+3 {
			s.t.Fatalf("%d segments at once", len(out))
		}
		for i := range out {
			s.segment(&out[i])
		}
		s.check()
		if !c.More() {
			break
		}
		if len(out) == 0 {
			s.t.Fatal("there is more, but nothing is sent")
		}
	}
	if c.recovery && c.snd.nxt != c.snd.max {
		s.t.Fatalf("in recovery SND.NXT is %v, SND.MAX %v", c.snd.nxt, c.snd.max)
	}
	// Whatever waits for the target has a timer.
	if c.fate == Alive && c.Synchronized() && !c.paused && c.pending() && c.Deadline() == 0 {
		s.t.Fatalf("%v: %d octets, %d in flight, window %d, and no timer", c.state, c.out.Len(), c.flight(), c.snd.wnd)
	}
}

func (s *suspect) segment(g *wire.Segment) {
	c := &s.c
	if g.Flags&(wire.SYN|wire.RST) != 0 {
		return
	}
	if g.Len() == 0 {
		return
	}
	at := s.iss.Add(1).To(g.Seq)
	for i, b := range g.Payload {
		if b != octet(at+i) {
			s.t.Fatalf("octet %d is not what was written", at+i)
		}
	}
	if c.fate != Alive {
		return // it ended with this Poll
	}
	if len(g.Payload) > int(c.snd.mss) {
		s.t.Fatalf("%d octets in a segment, MSS %d", len(g.Payload), c.snd.mss)
	}
	if g.Seq.Before(c.snd.una) || g.End().After(c.snd.max) {
		s.t.Fatalf("%v to %v was sent; SND.UNA %v, SND.MAX %v", g.Seq, g.End(), c.snd.una, c.snd.max)
	}
	if beyond := c.snd.una.Add(int(c.snd.wnd)).To(g.End()); beyond > 0 && !(c.probing && beyond == 1 && g.Len() == 1) {
		s.t.Fatalf("%d octets beyond the window of %d", beyond, c.snd.wnd)
	}
}

func (s *suspect) check() {
	c := &s.c
	if c.fate != Alive {
		if s.pool.InUse() != 0 || c.Deadline() != 0 || c.state != Closed {
			s.t.Fatalf("%v at its end: %d octets held, deadline %v", c.state, s.pool.InUse(), c.Deadline())
		}
		return
	}
	if c.state == Closed {
		return
	}
	end := c.Written()
	if c.finSent() {
		end = end.Add(1)
		if c.finAcked() {
			end = c.snd.una
		}
	}
	if c.snd.nxt.Before(c.snd.una) || c.snd.max.Before(c.snd.nxt) || c.snd.max.After(end) {
		s.t.Fatalf("%v: SND.UNA %v, SND.NXT %v, SND.MAX %v, written to %v", c.state, c.snd.una, c.snd.nxt, c.snd.max, end)
	}
	if c.pipe() < 0 || c.cong.wnd > 1<<30 || c.Synchronized() && c.cong.wnd < uint32(c.snd.mss) && c.cong.wnd < minMSS {
		s.t.Fatalf("pipe %d, cwnd %d", c.pipe(), c.cong.wnd)
	}
	last := c.snd.una
	for _, b := range c.board.blocks {
		if !b.Start.After(last) || !b.Start.Before(b.End) || b.End.After(c.snd.max) {
			s.t.Fatalf("the scoreboard is %v, SND.UNA %v, SND.MAX %v", c.board.blocks, c.snd.una, c.snd.max)
		}
		last = b.End
	}
}

// play does what the plan says, then ends the connection.
func (s *suspect) play(p plan) {
	s.now, s.iss = time.Second, seq.Num(p.next()<<24|0xfff000)
	s.c.Open(s.now, testFlow, s.iss, 500+4*p.next())
	s.poll()
	if p.next()&7 != 0 { // else anything may answer the SYN
		r := wire.Report{Flags: wire.SYN | wire.ACK, Seq: 5000, RcvNxt: 5001, Ack: s.iss.Add(1), Window: 0xffff,
			Options: wire.Options{MSS: 1460, HasWScale: true, WScale: 4, SACKPermitted: p.next()&3 != 0}}
		s.c.Receive(s.now, &s.pool, &r)
		s.poll()
	}
	for len(p) > 0 && s.c.fate == Alive {
		switch p.next() % 16 {
		case 0, 1, 2, 3, 4:
			s.likely(&p)
		case 5:
			if p.next()&3 == 0 {
				s.absurd(&p)
			}
		case 6, 7:
			s.write(p.next() * p.next() / 4)
		case 8:
			s.write(p.next())
		case 9, 10:
			if d := s.c.Deadline(); d != 0 {
				s.now = max(s.now, d)
			}
		case 11:
			s.now += time.Duration(p.next()) * time.Millisecond
		case 12:
			if p.next()&3 == 0 {
				s.c.Close()
			}
		case 13:
			s.c.KeepAlive()
		case 14:
			s.c.SetMSS(p.next() * 8)
		case 15:
			if s.c.paused {
				s.c.Resume(s.now)
			} else if p.next()&3 == 0 {
				s.c.Pause()
			}
		}
		if s.c.out.Len() < 1<<20 { // else the plan is only about memory
			s.poll()
		}
	}
	if out := s.c.Abort(&s.pool, nil); len(out) > 2 {
		s.t.Fatalf("it ends with %d segments", len(out))
	}
	s.check()
	if out := s.c.Poll(s.now+time.Hour, &s.pool, nil); len(out) > 0 {
		s.t.Fatalf("at its end it sends %+v", out)
	}
}

// FuzzConn has anything happen to a connection: reports of all kinds, likely and
// absurd, between writes, timers, pauses and the close.
func FuzzConn(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 240, 1, 1, 6, 200, 100, 0, 0, 0, 200, 3, 1, 0, 12, 40, 9, 9, 12, 0})
	f.Add(bytes.Repeat([]byte{6, 255, 60, 0, 1, 3, 255, 0, 2, 16, 20, 30, 12, 9}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &suspect{t: t}
		s.play(plan(b[:min(len(b), 1000)]))
	})
}

// TestAnythingMayHappen is the same by chance, for where nobody fuzzes.
func TestAnythingMayHappen(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		p := make(plan, rng.IntN(1500))
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		s := &suspect{t: t}
		s.play(p)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
