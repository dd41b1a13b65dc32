package replay

import (
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// Clients have left, production has closed their connections, and the target is
// more than endPatience behind: the sessions wait for it, and do nothing else.
func TestSessionsOfALateTargetRest(t *testing.T) {
	const n = 100
	b := newSpeedBench(t)
	for i := range n {
		c := b.open(t, i)
		b.capture(c, wire.ACK|wire.PSH, packet(0, shortSelect))
		b.capture(c, wire.ACK|wire.PSH, packet(0, []byte{byte(mysql.ComQuit)}))
		b.capture(c, wire.ACK|wire.FIN, nil)
		g := wire.Segment{Flow: c.flow.Reverse(), Seq: c.ack, Ack: c.nxt, Flags: wire.ACK | wire.FIN, Window: 1000}
		b.frame(g.Append(nil))
		b.turn(time.Microsecond)
		b.received(c, c.e.sess.Conn.Written(), 0, 0) // the target has it, and does not answer yet
		b.say(t, b.batch)
		b.batch = b.batch[:0]
	}
	b.turn(endPatience + 2*time.Second)
	fired := 0
	for end := b.now + time.Second; b.now < end; {
		b.now += max(b.s.patience(b.now), 50*time.Microsecond)
		b.s.env.Now = b.now
		b.s.handle()
		b.s.flush()
		fired += len(b.s.due)
	}
	if fired > 10*n {
		t.Errorf("%d timers of %d sessions fire in a second", fired, n)
	}
}

// Memory is short when a hole's second is over: shed evicts connections that are
// over, but not those whose timers are due in the same turn.
func TestEvictDuringExpire(t *testing.T) {
	b := newSpeedBench(t)
	s := b.s
	// Connections of strangers that have ended: remembered for two seconds.
	for i := range 200 {
		c := &benchClient{nxt: 5000, ack: 77}
		c.flow = wire.Flow{Src: rigServer, Dst: rigServer}
		c.flow.Src.Addr[15], c.flow.Src.Port = 77, uint16(20000+i)
		b.capture(c, wire.SYN, nil)
		l := mysql.Login{Capabilities: mysql.ClientProtocol41 | mysql.ClientSecureConnection, User: "stranger"}
		b.capture(c, wire.ACK|wire.PSH, packet(1, l.Append(nil)))
		b.capture(c, wire.ACK|wire.FIN, nil)
	}
	// One with a hole, seen a second later.
	a := b.open(t, 1)
	b.turn(900 * time.Millisecond)
	a.nxt = a.nxt.Add(100) // not captured
	b.capture(a, wire.ACK|wire.PSH, make([]byte, 1000))
	b.turn(time.Millisecond)
	s.budget = s.memory() - 20*entryCost // what others hold
	b.turn(1500 * time.Millisecond)      // the clock moves on
	b.turn(time.Millisecond)             // the timers fire
	b.turn(3 * time.Second)
	b.turn(time.Millisecond)
	if err := s.check(); err != nil {
		t.Error(err)
	}
	if got, want := s.roster.n.Load(), int64(len(s.entries)); got != want {
		t.Errorf("%d in the roster, %d entries", got, want)
	}
}

// However slowly connections may be opened, the RSTs of the end go at once.
func TestTheEndIsNotPaced(t *testing.T) {
	b := newSpeedBench(t)
	var all []*benchClient
	for i := range 1000 {
		all = append(all, b.open(t, i))
	}
	for _, c := range all {
		b.capture(c, wire.ACK|wire.PSH, packet(0, shortSelect))
	}
	b.turn(time.Millisecond)
	s := b.s
	s.guard.bucket = newBucket(guardFactor * 10) // of --max-connects 10
	s.drain = 0
	s.stage, s.stopAt = lastFrames, s.env.Now
	began := b.now
	for s.stage != stopped && b.now-began < time.Hour {
		b.turn(5 * time.Millisecond)
	}
	if took := b.now - began; took > closeRest+3*time.Second {
		t.Errorf("the replay ends %v after its drain", took)
	}
}

// After a control connection has broken, the sessions are registered with the next
// one little by little: what waits to be written is bounded.
func TestManySessionsRegisterAgain(t *testing.T) {
	const n, unanswered = 4000, 300
	b := newSpeedBench(t)
	s := b.s
	s.budget, s.sessionBudget = 1<<30, 1<<30
	var pings []byte
	for range unanswered {
		pings = append(pings, packet(0, []byte{byte(mysql.ComPing)})...)
	}
	for i := range n {
		b.capture(b.open(t, i), wire.ACK|wire.PSH, pings)
		b.turn(0)
	}
	s.linkDown()
	s.linkUp(&linkUp{})
	turns := 0
	for ; len(s.control) > 0; turns++ {
		if len(s.control) > registerAtOnce+1000 {
			t.Fatalf("%d octets are said in a turn", len(s.control))
		}
		s.control = s.control[:0]
		s.handle()
	}
	registered := 0
	for e := range s.entries {
		if e.reg != unregistered {
			registered++
		}
	}
	if registered != n || turns < 2 {
		t.Errorf("%d of %d sessions are registered again, in %d turns", registered, n, turns)
	}
}
