package replay

import (
	"net/netip"
	"testing"
	"time"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

func TestBucket(t *testing.T) {
	b := newBucket(100)
	now := time.Minute
	taken := func() (n int) {
		for b.take(now) {
			n++
		}
		return n
	}
	if n := taken(); n != 101 {
		t.Errorf("%d at once, want a second's worth and one", n)
	}
	for range 10 {
		now += 50 * time.Millisecond
		if n := taken(); n != 5 {
			t.Errorf("%d in 50 ms, want 5", n)
		}
	}
	now += time.Hour
	if n := taken(); n != 101 {
		t.Errorf("%d after an hour", n)
	}
}

// storm has n clients connect and log in at once.
func storm(r *rig, n int) {
	for i := range n {
		src := wire.EndpointFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(i >> 8), byte(i)}), 40000))
		for _, g := range connection(0, "u", 0)[:3] {
			g.Src = src
			r.capture(&g)
		}
	}
}

// opened counts the sessions that have a connection.
func opened(r *rig) (n int) {
	for e := range r.s.entries {
		if e.sess.Phase() >= session.Opening {
			n++
		}
	}
	return n
}

// A storm of clients connects to the target at --max-connects, all of them in
// the end, and none is given up for having waited.
func TestAStormIsPaced(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	r.refuse = 0
	log := r.logged()
	r.s.opens = newBucket(100)
	r.s.linkUp(&linkUp{})
	storm(r, 1500)
	before := r.s.env.Counts.Send.Segments
	r.turn(time.Millisecond)
	r.turn(time.Millisecond)
	if n := opened(r); n < 100 || n > 102 {
		t.Errorf("%d connections are opened at once", n)
	}
	if n := r.s.env.Counts.Send.Segments - before; n > 110 {
		t.Errorf("%d segments are sent", n)
	}
	if n := r.s.env.Counts.Sessions.Delayed; n < 1398 || n > 1400 {
		t.Errorf("%d sessions are delayed", n)
	}
	for range 1400 {
		r.turn(10 * time.Millisecond)
		r.answerSYNs()
	}
	r.turn(time.Millisecond)
	if n := opened(r); n != 1500 {
		t.Errorf("%d connections are opened in the end", n)
	}
	count(t, log, "see --max-connects", 2) // in fourteen seconds
	r.check()
}

// answerSYNs has the target answer every SYN.
func (r *rig) answerSYNs() {
	for e := range r.s.entries {
		if e.sess.Phase() == session.Opening && e.sess.Conn.State() == 1 {
			e.sess.Report(&r.s.env, &wire.Report{Flags: wire.SYN | wire.ACK, Seq: 999, Ack: e.iss.Add(1), RcvNxt: 1000, Window: 0xffff}, 0, 0, [16]byte{})
			r.s.take(e)
			r.s.touch(e)
		}
	}
}

// Whatever makes SYNs and RSTs, no more than the guard lets pass go out; RSTs
// come later, SYNs by TCP's timers.
func TestNoFlood(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	r.refuse = 0
	log := r.logged()
	r.s.guard.bucket = newBucket(200)
	r.s.linkUp(&linkUp{})
	storm(r, 300)
	r.turn(time.Millisecond)
	r.turn(time.Millisecond)
	sent := func() uint64 { return r.s.env.Counts.Send.Segments }
	if n, held := sent(), r.s.env.Counts.Send.HeldBack; n < 200 || n > 202 || n+held != 300 {
		t.Fatalf("%d SYNs are sent and %d held back", n, held)
	}
	r.turn(10 * time.Second)
	r.turn(time.Millisecond)
	if n := sent(); n < 400 || n > 402 { // the first repetitions
		t.Errorf("%d segments are sent", n)
	}
	count(t, log, "more SYNs and RSTs", 2)
	r.answerSYNs()
	r.turn(20 * time.Second)

	// The end of the program resets all of them: those that exist.
	established := 0
	for e := range r.s.entries {
		if e.sess.Conn.Synchronized() {
			established++
		}
	}
	if established < 200 {
		t.Fatalf("%d connections", established)
	}
	r.s.drain = 0
	r.s.stage, r.s.stopAt = lastFrames, r.now
	before, turns := sent(), 0
	for ; r.s.stage != stopped; turns++ {
		if turns > 10000 {
			t.Fatalf("it does not stop: %d wait", len(r.s.guard.held))
		}
		r.turn(10 * time.Millisecond)
	}
	resets := sent() - before
	if resets < uint64(established) || resets > uint64(turns)*resetsAtEnd/100+2 {
		t.Errorf("%d connections were reset by %d segments in %d turns of 10 ms", established, resets, turns)
	}
}

// The RSTs that wait are bounded.
func TestHeldResetsAreBounded(t *testing.T) {
	g := guard{bucket: newBucket(1)}
	for i := range maxHeldResets + 1000 {
		g.passes(time.Minute, &wire.Segment{Seq: seq.Num(i), Flags: wire.RST})
	}
	if len(g.held) != maxHeldResets {
		t.Errorf("%d are held", len(g.held))
	}
	if !g.passes(time.Minute, &wire.Segment{Flags: wire.ACK}) {
		t.Error("other segments wait, too")
	}
}

// What is sent to the target, and what the target answers, may pass the
// interfaces captured on: forged packets leave by production's own, and a mirror
// port may carry both servers. With the same port on both servers.
func TestOwnPacketsAreNotCaptured(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	target := wire.EndpointFrom(rigTarget)
	for _, g := range connection(40000, "u", wire.FIN) {
		g.Dst = target
		r.capture(&g)
		back := wire.Segment{Flow: g.Flow.Reverse(), Seq: 77, Ack: g.End(), Flags: wire.ACK, Payload: []byte("x")}
		r.capture(&back)
	}
	// A client on production itself is forged from production's own address, which
	// may even have the server's port.
	g := connection(3306, "u", 0)[1]
	g.Src, g.Dst = rigServer, target
	r.capture(&g)
	if c := r.s.env.Counts; c.Sessions.Captured != 0 || len(r.s.entries) != 0 || c.Capture.Frames == 0 {
		t.Errorf("%d sessions of %d frames", c.Sessions.Captured, c.Capture.Frames)
	}
}

// A SYN of ours that arrives at production ends the replay. The client's own, and
// its next connection, do not.
func TestALoopEndsTheReplay(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	r.refuse = 0
	var why error
	r.s.abort = func(err error) { why = err }
	r.s.linkUp(&linkUp{})
	segs := connection(40000, "u", 0)
	for _, g := range segs[:3] {
		r.capture(&g)
	}
	r.turn(time.Millisecond)
	r.turn(time.Millisecond)
	e := r.s.flows[segs[0].Flow]
	if e.sess.Phase() != session.Opening {
		t.Fatalf("phase %d", e.sess.Phase())
	}
	r.capture(&segs[0]) // repeated
	if why != nil {
		t.Fatal(why)
	}
	ours := segs[0]
	ours.Seq = e.iss
	r.capture(&ours)
	if why != errLoop || r.s.env.Counts.Sessions.Captured != 1 {
		t.Fatalf("error %v, %d sessions", why, r.s.env.Counts.Sessions.Captured)
	}
	why = nil
	next := segs[0]
	next.Seq = 1 << 30
	r.capture(&next)
	if why != nil || r.s.env.Counts.Sessions.Captured != 2 {
		t.Errorf("the client's next connection: %v", why)
	}
}
