package replay

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/control"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// A rig is a shard without rings, whose frames, time and intercept the test
// makes up. What it sends goes to a network where nobody is.
type rig struct {
	tb  testing.TB
	rng *rand.Rand
	s   *shard
	now time.Duration

	mute    bool // the intercept says nothing of its own
	refuse  int  // one of so many registrations is refused; 0: none
	clients map[wire.Endpoint]*rigClient
	known   map[uint32]*rigSession // the intercept's
}

type rigClient struct {
	flow     wire.Flow
	nxt, ack seq.Num
	begun    bool // logged in
	over     bool
}

type rigSession struct {
	client   wire.Endpoint
	sent     seq.Num // SND.UNA as the target has it
	received seq.Num
	pending  []byte // kinds
	stale    bool   // not registered since the connection was made
}

var (
	rigServer = wire.EndpointFrom(netip.MustParseAddrPort("10.9.0.1:3306"))
	rigTarget = netip.MustParseAddrPort("10.9.0.2:3306")
)

// rigSender sends to a network where nobody listens.
func rigSender(tb testing.TB) *rawsend.Sender {
	n := netnstest.New(tb)
	n.Veth(n.Another(), "v0", []string{"10.9.0.1/24"}, nil)
	n.IP("neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0")
	sender, err := rawsend.Open(rawsend.Config{Target: rigTarget.Addr()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { sender.Close() })
	return sender
}

func newRig(tb testing.TB, sender *rawsend.Sender, seed uint64, budget int) *rig {
	r := &rig{tb: tb, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Minute, refuse: 8,
		clients: make(map[wire.Endpoint]*rigClient), known: make(map[uint32]*rigSession)}
	r.s = &shard{
		port: 3306, servers: map[wire.Addr]struct{}{rigServer.Addr: {}}, target: wire.EndpointFrom(rigTarget),
		budget: budget, sessionBudget: budget, roster: &roster{limit: 1 << 16}, log: slog.New(slog.DiscardHandler), drain: time.Second,
		opens: newBucket(1 << 20), guard: guard{bucket: newBucket(1 << 20)}, abort: func(err error) { tb.Fatal(err) },
		clock: newClock(), flows: make(map[wire.Flow]*entry), ids: make(map[uint32]*entry),
		sources: make(map[wire.Endpoint]*entry), entries: make(map[*entry]struct{}), said: make(map[string]struct{}),
		dialects: make(map[wire.Addr]*session.Dialect),
		sender:   sender, mss: 1460,
	}
	var err error
	if r.s.inbox, err = newInbox(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.s.inbox.close)
	r.s.link = &link{inbox: &r.s.inbox, log: r.s.log}
	r.s.env.Config = session.Config{StreamAbove: 1 << 10, Credentials: func(user string) (string, string, bool) {
		return "t", "p", user != "stranger"
	}}
	r.s.env.Judge = policy.NewJudge(policy.Config{Table: policy.Default()})
	r.s.env.Now = r.now
	return r
}

// turn is one turn of the shard's loop, without its waits and rings, and a look
// at everything it holds.
func (r *rig) turn(d time.Duration) {
	r.tb.Helper()
	s := r.s
	r.now += d
	s.env.Now = r.now
	s.readInbox()
	s.handle()
	said := slices.Clone(s.control)
	s.flush()
	r.check()
	if !r.mute {
		r.obey(said)
	}
}

// balance checks the account.
func (r *rig) balance() {
	r.tb.Helper()
	var sum ledger.Counts
	r.s.count(&sum)
	if err := sum.Balance(); err != nil {
		r.tb.Fatalf("at %v: %v", r.now, err)
	}
}

func (r *rig) check() {
	r.tb.Helper()
	if err := r.s.check(); err != nil {
		r.tb.Fatalf("at %v: %v", r.now, err)
	}
}

// obey is the intercept's side of what the shard sends.
func (r *rig) obey(batch []byte) {
	r.tb.Helper()
	for t, body, rest := control.Next(batch); t != 0; t, body, rest = control.Next(rest) {
		switch t {
		case control.TypeRegister:
			m, ok := control.ParseRegister(body)
			if !ok {
				r.tb.Fatal("malformed Register")
			}
			for id, o := range r.known {
				switch {
				case o.client != m.Client || id == m.ID:
				case o.stale:
					delete(r.known, id)
				default:
					r.tb.Fatalf("%v is registered by %d and by %d", m.Client, id, m.ID)
				}
			}
			o := r.known[m.ID]
			if o == nil {
				o = &rigSession{client: m.Client, sent: m.SndUna, received: 1000}
				r.known[m.ID] = o
			}
			o.stale = false
			o.pending = append(o.pending[:0], m.Kinds...)
			if m.Resume {
				o.sent, o.received = m.SndUna, m.RcvNxt
			}
			status := control.RegOK
			if r.refuse > 0 && r.rng.IntN(r.refuse) == 0 {
				status = control.RegStatus(1 + r.rng.IntN(4))
			}
			if status != control.RegOK {
				delete(r.known, m.ID)
			}
			r.say(control.AppendRegistered(nil, &control.Registered{ID: m.ID, Status: status}))
		case control.TypeKinds:
			m, ok := control.ParseKinds(body)
			if o := r.known[m.ID]; ok && o != nil {
				o.pending = append(o.pending, m.Kinds...)
			}
		case control.TypeUnregister:
			m, _ := control.ParseUnregister(body)
			delete(r.known, m.ID)
		}
	}
}

// say delivers a message of the intercept, if one is connected.
func (r *rig) say(b []byte) {
	r.tb.Helper()
	if !r.s.up {
		return
	}
	if err := r.s.messages(b); err != nil {
		r.tb.Fatal(err)
	}
}

// progress has the target answer on one of the sessions: what it may in order,
// or with nonsense anything.
func (r *rig) progress(nonsense bool) {
	r.tb.Helper()
	for id, o := range r.known {
		e := r.s.ids[id]
		if e == nil || e.reg != registered || r.rng.IntN(3) == 0 {
			continue
		}
		if nonsense {
			r.say(r.nonsense(id))
			return
		}
		m := control.Report{ID: id, Report: wire.Report{Flags: wire.ACK, Window: 0xffff}}
		var out []byte
		if e.sess.Conn.State() == 1 { // SYN-SENT
			if r.rng.IntN(6) == 0 {
				m.Flags |= wire.RST
			}
			m.Flags |= wire.SYN
			m.Seq = o.received
			o.sent = e.iss.Add(1)
			m.Options = wire.Options{MSS: 1460, HasWScale: true, WScale: 7}
			o.received = o.received.Add(1)
		} else {
			o.sent = e.sess.Conn.Written()
			if fin := e.sess.Conn.State(); fin >= 3 && fin != 5 {
				o.sent = o.sent.Add(1)
			}
			for len(o.pending) > 0 && r.rng.IntN(3) > 0 {
				k := mysql.Kind(o.pending[0])
				o.pending = o.pending[1:]
				m.Ended++
				o.received = o.received.Add(20)
				switch k {
				case mysql.KindGreeting:
					g := mysql.Greeting{Version: "8.0.1", Capabilities: ^mysql.ClientSSL & 0xffffff, Plugin: "mysql_native_password"}
					out = control.AppendHead(out, &control.Head{ID: id, Kind: uint8(k), Payload: g.Append(nil)})
				case mysql.KindLogin:
					payload := []byte{0, 0, 0, 2, 0, 0, 0}
					if r.rng.IntN(5) == 0 {
						payload = append([]byte{0xff, 0x15, 4}, "#28000denied"...)
					}
					out = control.AppendHead(out, &control.Head{ID: id, Kind: uint8(k), Sequence: 2, Payload: payload})
				}
			}
			switch r.rng.IntN(12) {
			case 0:
				m.Flags |= wire.FIN
				o.received = o.received.Add(1)
			case 1:
				m.Flags |= wire.RST
				m.Seq = o.received
			}
		}
		m.Ack, m.RcvNxt = o.sent, o.received
		r.say(control.AppendReport(out, &m))
		return
	}
}

// nonsense is a message that no intercept of ours sends.
func (r *rig) nonsense(id uint32) []byte {
	kinds := []uint8{uint8(mysql.KindGreeting), uint8(mysql.KindLogin), uint8(mysql.ComChangeUser), uint8(mysql.ComStmtPrepare), uint8(mysql.ComQuery), 0xfe}
	n := func() seq.Num { return seq.Num(r.rng.Uint32()) }
	switch r.rng.IntN(5) {
	case 0:
		return control.AppendRegistered(nil, &control.Registered{ID: id, Status: control.RegStatus(1 + r.rng.IntN(4))})
	case 1, 2:
		payload := make([]byte, r.rng.IntN(80))
		for i := range payload {
			payload[i] = byte(r.rng.Uint32())
		}
		if len(payload) > 0 && r.rng.IntN(3) > 0 {
			payload[0] = []byte{0, 10, 0xfb, 0xfe, 0xff}[r.rng.IntN(5)]
		}
		if r.rng.IntN(4) == 0 {
			payload = (&mysql.Greeting{Version: "x", Capabilities: mysql.Capabilities(r.rng.Uint32())}).Append(nil)
		}
		return control.AppendHead(nil, &control.Head{ID: id, Kind: kinds[r.rng.IntN(len(kinds))], Sequence: uint8(r.rng.Uint32()), Payload: payload})
	case 3:
		return control.AppendLost(nil, &control.Lost{ID: id, Reason: control.LostFraming})
	}
	m := control.Report{ID: id, Ended: uint16(r.rng.Uint32())}
	m.Report = wire.Report{Flags: wire.Flags(r.rng.Uint32()), Seq: n(), Ack: n(), Window: uint16(n()), RcvNxt: n(), DupAcks: uint8(n()), NHeld: 3,
		Held: [3]wire.Block{{Start: n(), End: n()}, {Start: n(), End: n()}, {Start: n(), End: n()}}}
	if e := r.s.ids[id]; e != nil && r.rng.IntN(2) == 0 {
		m.Ack, m.RcvNxt = e.sess.Conn.Written(), e.sess.Conn.RcvNxt().Add(r.rng.IntN(100)-50)
	}
	return control.AppendReport(nil, &m)
}

// capture delivers a segment of a client.
func (r *rig) capture(g *wire.Segment) {
	b := g.Append(nil)
	r.s.frame(&capture.Frame{IP: b, Size: len(b), Stamp: time.Now().UnixNano()})
}

func packet(sequence uint8, payload []byte) []byte {
	return append(mysql.AppendHeader(nil, len(payload), sequence), payload...)
}

// client does something as one of few clients, which use their ports again.
func (r *rig) client() {
	at := wire.Endpoint{Addr: wire.AddrFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(r.rng.IntN(2))})), Port: uint16(40000 + r.rng.IntN(6))}
	c := r.clients[at]
	g := wire.Segment{Flow: wire.Flow{Src: at, Dst: rigServer}, Flags: wire.ACK, Window: 1000}
	if c == nil || c.over || r.rng.IntN(40) == 0 {
		c = &rigClient{flow: g.Flow, nxt: seq.Num(r.rng.Uint32()), ack: 77}
		r.clients[at] = c
		g.Seq, g.Flags = c.nxt, wire.SYN
		c.nxt = c.nxt.Add(1)
		r.capture(&g)
		return
	}
	g.Seq, g.Ack = c.nxt, c.ack
	switch n := r.rng.IntN(20); {
	case !c.begun:
		l := mysql.Login{Capabilities: mysql.ClientProtocol41 | mysql.ClientSecureConnection | mysql.ClientPluginAuth, User: "u", Plugin: "mysql_native_password"}
		if r.rng.IntN(6) == 0 {
			l.User = "stranger"
		}
		g.Payload = packet(1, l.Append(nil))
		c.begun = true
	case n == 0:
		g.Flags |= wire.FIN
		c.over = true
	case n == 1:
		g.Flags |= wire.RST
		c.over = true
	case n == 2: // not captured
		c.nxt = c.nxt.Add(r.rng.IntN(5000))
		return
	case n == 3: // larger than --stream-above, and nothing but its beginning
		g.Payload = append(mysql.AppendHeader(nil, 1<<23, 0), 3, 'S', 'E', 'L', 'E', 'C', 'T')
	case n == 4:
		g.Payload = packet(0, []byte{1})
	case n == 5:
		id := binary.LittleEndian.AppendUint32([]byte{0x17}, 1)
		g.Payload = packet(0, append(id, 0, 1, 0, 0, 0))
	case n == 6:
		g.Payload = packet(0, append([]byte{0x11}, "u\x00\x00db\x00!\x00mysql_native_password\x00"...))
	case n == 7:
		g.Payload = mysql.AppendHeader(nil, r.rng.IntN(1<<24), uint8(r.rng.IntN(4)))
		for range r.rng.IntN(100) {
			g.Payload = append(g.Payload, byte(r.rng.Uint32()))
		}
	default:
		for range 1 + r.rng.IntN(3) {
			g.Payload = append(g.Payload, packet(0, append([]byte{3}, "select 1"...))...)
		}
	}
	c.ack = c.ack.Add(r.rng.IntN(2) * 30)
	c.nxt = c.nxt.Add(g.Len())
	r.capture(&g)
	if r.rng.IntN(5) == 0 {
		r.capture(&g) // once more, as over a second interface
	}
}

// link brings the connection to the intercept up or down, or crosses two.
func (r *rig) link() {
	switch {
	case !r.s.up, r.rng.IntN(3) == 0:
		if r.rng.IntN(3) == 0 {
			clear(r.known) // it was started anew
		}
		for _, o := range r.known {
			o.stale = true
		}
		r.s.linkUp(&linkUp{})
	default:
		r.s.linkDown()
	}
}

// A shard tells whether an intercept is connected, and whether one ever was.
func TestLinksAreCounted(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	look := func(want ledger.Links) {
		t.Helper()
		var sum ledger.Counts
		if r.s.count(&sum); sum.Links != want {
			t.Errorf("%+v, want %+v", sum.Links, want)
		}
	}
	look(ledger.Links{Shards: 1, Down: 1, Never: 1})
	r.s.linkUp(&linkUp{})
	look(ledger.Links{Shards: 1})
	r.s.linkDown()
	look(ledger.Links{Shards: 1, Down: 1})
}

// Whatever clients, target, intercept and the links do, and in whatever order, a
// shard's tables fit each other, every session has its place in the ledger, and
// when the clients are gone nothing is left.
func TestLifeOfAShard(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 5
	}
	sender := rigSender(t)
	for _, nonsense := range []bool{false, true} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("nonsense=%v/seed=%d", nonsense, seed), func(t *testing.T) {
				budget := 64 << 20
				if seed%3 == 2 {
					budget = 24 << 10 // sessions are shed all the time
				}
				testLife(newRig(t, sender, seed, budget), nonsense, seed%2 == 1)
			})
		}
	}
}

func testLife(r *rig, nonsense, stop bool) {
	r.tb.Helper()
	for range 3000 {
		switch n := r.rng.IntN(100); {
		case n < 2:
			r.link()
		case n < 45:
			r.client()
		default:
			r.progress(nonsense && r.rng.IntN(4) == 0)
		}
		d := time.Millisecond
		switch r.rng.IntN(50) {
		case 0:
			d = 2 * time.Second
		case 1:
			d = 15 * time.Second
		}
		if r.rng.IntN(2) == 0 {
			r.turn(d)
		}
	}
	if stop {
		r.s.stage = lastFrames
		r.s.drain = []time.Duration{0, time.Second, time.Minute}[r.rng.IntN(3)]
		for deadline := r.now + r.s.drain + 10*time.Second; r.s.stage != stopped; {
			if r.now > deadline {
				r.tb.Fatal("it does not stop")
			}
			switch n := r.rng.IntN(100); {
			case n < 1:
				r.link()
			case n < 50:
				r.progress(nonsense && n%4 == 0)
			}
			r.turn([]time.Duration{5 * time.Millisecond, time.Second}[r.rng.IntN(20)/19])
		}
		if n := len(r.s.ids); n > 0 {
			r.tb.Errorf("%d sessions are registered at the end", n)
		}
		return
	}
	// Every client leaves, and the target is started anew.
	for _, c := range r.clients {
		if !c.over {
			r.capture(&wire.Segment{Flow: c.flow, Seq: c.nxt, Ack: c.ack, Flags: wire.ACK | wire.FIN})
		}
	}
	if !r.s.up {
		r.link()
	}
	for range 900 {
		for id, o := range r.known {
			if e := r.s.ids[id]; e != nil && e.sess.Conn.Synchronized() {
				r.say(control.AppendReport(nil, &control.Report{ID: id, Report: wire.Report{Flags: wire.RST, Seq: e.sess.Conn.RcvNxt(), RcvNxt: o.received}}))
			}
		}
		r.turn(10 * time.Second)
	}
	s := r.s
	for e := range s.entries {
		r.tb.Errorf("left: phase %d, registration %d, %v, detached %v, deadline %v", e.sess.Phase(), e.reg, e.sess.Conn.State(), e.detached, e.sess.Deadline())
	}
	if len(s.ids)+len(s.sources)+len(s.flows)+len(s.opening)+s.wheel.count > 0 || s.memory() != 0 || s.roster.n.Load() != 0 {
		r.tb.Errorf("left: %d ids, %d sources, %d flows, %d opening, %d timers, %d octets, %d places",
			len(s.ids), len(s.sources), len(s.flows), len(s.opening), s.wheel.count, s.memory(), s.roster.n.Load())
	}
}
