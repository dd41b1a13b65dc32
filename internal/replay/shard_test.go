package replay

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// connection returns all segments of a short connection of a client.
func connection(port uint16, user string, last wire.Flags) (segs []wire.Segment) {
	src := wire.EndpointFrom(netip.AddrPortFrom(netip.MustParseAddr("10.8.0.1"), port))
	next, ack := seq.Num(5000), seq.Num(77)
	add := func(flags wire.Flags, payload []byte) {
		g := wire.Segment{Flow: wire.Flow{Src: src, Dst: rigServer}, Seq: next, Ack: ack, Flags: flags, Window: 1000, Payload: payload}
		segs = append(segs, g)
		next = g.End()
	}
	add(wire.SYN, nil)
	l := mysql.Login{Capabilities: mysql.ClientProtocol41 | mysql.ClientSecureConnection, User: user}
	add(wire.ACK, packet(1, l.Append(nil)))
	ack = ack.Add(11) // production's OK
	add(wire.ACK, packet(0, append([]byte{3}, "select 1"...)))
	add(wire.ACK, packet(0, []byte{1}))
	add(wire.ACK|last, nil)
	return segs
}

// Two interfaces that carry the same connections hand over their blocks at
// different times: what one brought in this turn the other brings in the next.
func TestEveryFrameTwice(t *testing.T) {
	sender := rigSender(t)
	for _, tt := range []struct {
		name string
		user string
		last wire.Flags
	}{
		{"skipped", "stranger", wire.FIN},
		{"skipped, reset", "stranger", wire.RST},
		{"waiting", "u", wire.FIN},
		{"waiting, reset", "u", wire.RST},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, sender, 1, 64<<20)
			for range 3 {
				for _, g := range connection(40000, tt.user, tt.last) {
					r.capture(&g)
				}
				r.turn(5 * time.Millisecond)
			}
			if c := r.s.env.Counts; c.Sessions.Captured != 1 || c.Commands.Captured != 2 {
				t.Errorf("%d sessions, %d commands", c.Sessions.Captured, c.Commands.Captured)
			}
			r.turn(lateFrames)
			r.turn(interceptPatience)
			r.turn(lateFrames)
			if len(r.s.entries) > 0 {
				t.Errorf("%d sessions are kept", len(r.s.entries))
			}
			// The same port again is another connection.
			g := connection(40000, tt.user, tt.last)[0]
			g.Seq = 1 << 30
			r.capture(&g)
			if n := r.s.env.Counts.Sessions.Captured; n != 2 {
				t.Errorf("%d sessions with the port's next one", n)
			}
		})
	}
}

// Production's greeting tells its dialect, and only a greeting does.
func TestGreetingIsHeard(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	g := mysql.Greeting{Version: "5.6.24", Capabilities: 0x807ff7ff, Charset: 8, Plugin: mysql.PluginNativePassword}
	greeting := packet(0, g.Append(nil))
	for i, tt := range []struct {
		name    string
		payload []byte
		after   int // segments of the client
		heard   bool
	}{
		{"nothing", nil, 1, false},
		{"an error", packet(0, []byte("\xff\x6a\x04not allowed")), 1, false},
		{"cut short", greeting[:40], 1, false},
		{"behind the login", greeting, 2, false},
		{"a greeting", greeting, 1, true},
		{"another one", greeting, 1, true},
	} {
		segs := connection(uint16(41000+i), "u", wire.FIN)
		for _, seg := range segs[:tt.after] {
			r.capture(&seg)
		}
		answer := wire.Segment{Flow: segs[0].Flow.Reverse(), Seq: 76, Ack: 5001, Flags: wire.ACK, Payload: tt.payload}
		r.capture(&answer)
		d := r.s.dialects[rigServer.Addr]
		if heard := d != nil; heard != tt.heard {
			t.Errorf("%s: heard %v, want %v", tt.name, heard, tt.heard)
		}
		if d != nil && *d != session.DialectOf(&g) {
			t.Errorf("%s: %+v", tt.name, *d)
		}
	}
}

// A connection that was turned away is counted once, however much it says.
func TestNoRoomForASession(t *testing.T) {
	r := newRig(t, rigSender(t), 1, entryCost-1)
	for range 2 {
		for _, g := range connection(40000, "u", wire.FIN) {
			r.capture(&g)
		}
	}
	if c := r.s.env.Counts.Sessions; c.Captured != 2 || c.Skipped[ledger.Memory] != 2 { // a SYN each
		t.Errorf("%d sessions, %d skipped", c.Captured, c.Skipped[ledger.Memory])
	}
}

// A flood of SYNs, or of data that belongs to no connection, does not keep
// clients out.
func TestRoomDuringAFlood(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 32*entryCost)
	for port := range uint16(64) {
		segs := connection(20000+port, "u", wire.FIN)
		r.capture(&segs[0])
		segs[3].Src.Port += 1000
		r.capture(&segs[3])
	}
	r.turn(2 * time.Second)
	for _, g := range connection(40000, "u", wire.FIN) {
		r.capture(&g)
	}
	r.turn(time.Millisecond)
	if e := r.s.flows[connection(40000, "u", 0)[0].Flow]; e == nil || e.sess.Phase() != session.Queued {
		t.Error("the client is not replayed")
	}
	r.turn(time.Minute)
	if r.turn(10 * time.Second); r.s.env.Counts.Sessions.Skipped[ledger.NoLogin] == 0 {
		t.Error("no SYN was counted")
	}
}

// A stopped session's storage cannot be shed: its outcome stays open.
func TestShedDuringStop(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	for _, g := range connection(40000, "u", wire.FIN) {
		r.capture(&g)
	}
	r.capture(&connection(40001, "u", 0)[0]) // and a client that said nothing
	r.turn(time.Millisecond)
	r.s.stage = draining
	r.turn(2 * time.Second)
	r.s.budget = 1
	r.s.shed() // returns
	r.balance()
	var sum ledger.Counts
	if r.s.count(&sum); sum.Sessions.Open != 2 {
		t.Errorf("%d sessions are open", sum.Sessions.Open)
	}
}

// When the numbers for sessions are used up they begin anew, without 0 and those
// in use.
func TestSessionNumbersWrap(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	old := &entry{id: 1}
	r.s.ids[1] = old
	r.s.lastID = math.MaxUint32
	r.s.up = true
	for _, g := range connection(40000, "u", wire.FIN)[:2] {
		r.capture(&g)
	}
	r.s.settle()
	r.s.openQueued()
	if r.s.ids[1] != old || r.s.ids[2] == nil || r.s.ids[0] != nil {
		t.Errorf("numbers: %v", r.s.ids)
	}
}

// What is missing when nothing is captured any more will not come: what was
// captured behind it does not wait for it.
func TestHolesEndWithTheCapture(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	c := r.talk(40000)
	c.say(10)
	c.skip(1000)
	c.say(20)
	r.turn(time.Millisecond)
	before := r.s.env.Counts.Commands.Captured
	r.s.stage, r.s.stopAt = lastFrames, r.now
	r.turn(time.Millisecond)
	if e := c.entry(); e.stream.Deadline() != 0 || e.stream.Storage() != 0 {
		t.Errorf("a hole waits until %v", e.stream.Deadline())
	}
	if n := r.s.env.Counts.Commands.Captured - before; n == 0 {
		t.Error("nothing was captured behind the hole")
	}
}

// Once nobody reads the rings any more, what the kernel drops is no loss.
func TestRingsCloseBeforeTheDrain(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	tp := &tap{config: capture.Config{Interface: "v0"}}
	if err := tp.open(); err != nil {
		t.Fatal(err)
	}
	defer tp.close()
	r.s.taps = append(r.s.taps, tp)
	r.s.stage, r.s.stopAt = lastFrames, r.now
	r.turn(time.Millisecond)
	if r.s.stage != draining || tp.ring != nil {
		t.Errorf("stage %d, ring open: %v", r.s.stage, tp.ring != nil)
	}
}

// An intercept that does not answer Register does not keep a session waiting for
// ever.
func TestRegisteredNeverComes(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	s := r.s
	for _, g := range connection(40000, "u", wire.FIN) {
		r.capture(&g)
	}
	s.settle()
	s.up = true
	s.openQueued()
	if len(s.control) == 0 {
		t.Fatal("nothing was registered")
	}
	for _, tt := range []struct {
		after time.Duration
		lost  uint64
	}{{registerPatience - time.Second, 0}, {time.Second, 1}} {
		s.env.Now += tt.after
		s.touch(s.flows[wire.Flow{Src: wire.EndpointFrom(netip.MustParseAddrPort("10.8.0.1:40000")), Dst: rigServer}])
		s.settle()
		s.expire()
		if lost := s.env.Counts.Sessions.Lost[ledger.InterceptGone]; lost != tt.lost {
			t.Errorf("lost %d sessions, want %d", lost, tt.lost)
		}
	}
}

// An interface that is removed is taken down before; between the two nobody can
// tell what is to come, and later nothing is heard of it.
func TestAnInterfaceThatIsRemovedSlowly(t *testing.T) {
	n := netnstest.New(t)
	n.Veth(n.Another(), "v0", []string{"10.9.0.1/24"}, nil)
	n.IP("neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0")
	sender, err := rawsend.Open(rawsend.Config{Target: rigTarget.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	r := newRig(t, sender, 1, 64<<20)
	log := r.logged()
	n.IP("link", "add", "d0", "type", "veth", "peer", "name", "d1")
	n.IP("link", "set", "d0", "up")
	tp := &tap{config: capture.Config{Interface: "d0"}}
	if err := tp.open(); err != nil {
		t.Fatal(err)
	}
	defer tp.close()
	r.s.taps = append(r.s.taps, tp)
	n.IP("link", "set", "d0", "down")
	r.s.ringFailed(tp)
	count(t, log, "interface is down", 1)
	n.IP("link", "del", "d0")
	r.turn(2 * checkEvery)
	count(t, log, "an interface is gone", 1)
	n.IP("link", "add", "d0", "type", "veth", "peer", "name", "d1")
	n.IP("link", "set", "d0", "up")
	r.turn(2 * checkEvery)
	count(t, log, "an interface is back", 1)
	if tp.ring == nil {
		t.Error("nothing is captured")
	}
}
