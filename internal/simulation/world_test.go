package simulation

import (
	"bytes"
	"cmp"
	"container/heap"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/config"
	"mrtecopy/internal/intercept"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/replay"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// A world is the whole replay in one goroutine: clients and production as they are
// captured, a real shard of mrtecopy, the network, the target, the real engine of
// intercept and the control channel between the two. Its time is its own, and what
// happens is decided by the seed.
//
//	clients → capture → shard → network → host → network → engine → channel → shard
type world struct {
	seed    uint64
	weather weather
	now     time.Duration
	calm    time.Duration // when everything that goes wrong has ended

	stopAt, stoppedAt time.Duration // when mrtecopy is asked to stop, and when it has; 0: it goes on until all is done

	rng *rand.Rand // of what has an order of its own; each flow has others
	err error
	out func(string) // takes the trace; nil: there is none
	sum uint32       // of all that was sent

	queue eventQueue
	nth   uint64 // events so far

	shard     *replay.Simulated
	shardIn   []func()
	shardAt   time.Duration // when it wakes
	frames    []frame
	engine    *intercept.Simulated
	engineIn  []func(*intercept.Simulated)
	engineAt  time.Duration
	replies   []reply
	channel   channel
	host      *host
	hops      map[wire.Endpoint]*hops // by forged client
	clients   []*captured
	bySchema  map[string]*captured
	bare      map[wire.Endpoint]*captured // of whose login nothing is known
	observer  *observer.Observer
	dialect   *session.Dialect   // that it tells
	addresses map[wire.Addr]bool // of clients
	left      int                // frames that were not captured yet
	executed  int

	retire time.Duration // after which the ring hands over what it holds
}

// A captured is one client's connection.
type captured struct {
	*Client
	flow    wire.Flow
	service *service
}

// A frame is a frame of production's host, a reply one that the intercept sees.
type frame struct {
	ip   []byte
	size int
	at   time.Duration
}

type reply struct {
	frame capture.Frame
	path  uint8
}

var (
	host1     = netip.MustParseAddr("10.9.0.1") // where mrtecopy runs
	host2     = netip.MustParseAddr("10.9.0.4")
	host3     = netip.MustParseAddr("10.9.0.5")
	target    = netip.MustParseAddrPort("10.9.0.2:3306")
	blackhole = netip.MustParseAddr("10.9.0.3")
)

const (
	port      = 3306
	memory    = 64 << 20
	held      = 8 << 20
	streaming = 8 << 10
)

// newWorld makes a world up.
func newWorld(seed uint64, w weather) *world {
	m := &world{seed: seed, weather: w, now: time.Second, rng: rand.New(rand.NewPCG(seed, 1)),
		hops: make(map[wire.Endpoint]*hops), bySchema: make(map[string]*captured), bare: make(map[wire.Endpoint]*captured), addresses: make(map[wire.Addr]bool)}
	r := rand.New(rand.NewPCG(seed, 2))
	credentials, err := config.ParseCredentials([]byte("app=t_app:secret\nother=t_other:secret\n"))
	if err != nil {
		panic(err)
	}
	c := replay.Config{
		ServerIPs: []netip.Addr{host1, host2, host3}, Port: port, Target: target, Credentials: credentials,
		Policy: policy.Config{Table: policy.Default()}, Drain: 10 * time.Second, ResponseTimeout: 2 * time.Minute,
		StreamAbove: 80 + r.IntN(streaming), MaxMemory: memory, MaxSessions: 1 << 16, MaxConnects: 1 << 20, Log: quiet,
	}
	if w.has(late | untold) {
		m.observer = observer.New(driver.NewConfig(), 1<<20, quiet)
		c.Adopt, c.Observer, c.AdoptRules = replay.AdoptObserver, m.observer, []replay.AdoptRule{{From: netip.MustParsePrefix("10.8.0.0/24"), User: "app"}}
	}
	m.shard = replay.NewSimulated(c, host1, 576+r.IntN(925), m.toTarget)
	m.newEngine()
	m.host = newHost(m, r)
	m.channel.w = m
	m.retire = []time.Duration{0, time.Millisecond, 5 * time.Millisecond}[r.IntN(3)]
	m.populate(r)
	m.misfortune(r)
	m.after(m.between(0, 5*time.Millisecond), m.channel.dial)
	return m
}

func (w *world) newEngine() {
	var err error
	w.engine, err = intercept.NewSimulated(intercept.Config{Target: target.Addr(), Port: target.Port(), MaxHeld: held, Log: quiet},
		[]netip.Addr{blackhole}, w.toTarget)
	if err != nil {
		panic(err)
	}
	w.engineAt = w.now
}

// populate has clients connect, some of them again from the same port.
func (w *world) populate(r *rand.Rand) {
	short := r.IntN(4) > 0
	for i := range 1 + r.IntN(4) {
		at := w.now + time.Duration(r.IntN(2000))*time.Millisecond
		src := wire.EndpointFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(1 + i/2)}), uint16(40000+i)))
		w.addresses[src.Addr] = true
		for n := range 1 + r.IntN(2) {
			c := new(captured)
			schema := fmt.Sprintf("schema%d", len(w.clients))
			c.Client = RandomClient(r, Habits{Resets: w.weather.has(clientRST), Schema: schema, Short: short})
			c.flow = wire.Flow{Src: src, Dst: productionOf(c.Greeting)}
			w.clients = append(w.clients, c)
			w.bySchema["t_app/"+schema] = c
			how := Capture{Gaps: w.weather.has(gaps), Cuts: w.weather.has(cutFrames)}
			how.Late = w.weather.has(late|untold) && n == 0 && r.IntN(3) > 0 && w.openBefore(r, c, at)
			segs := OnTheWire(r, c.Client, c.flow, how)
			pace := []int{0, 100, 2000, 20_000}[r.IntN(4)]
			for k := range segs {
				s := &segs[k]
				shift(s, c.flow, seq.Num(n)*0x10203040)
				at += time.Duration(r.IntN(pace+1)) * time.Microsecond
				w.capture(s, at)
			}
			at += time.Duration(r.IntN(300)) * time.Millisecond
		}
		w.calm = max(w.calm, at)
	}
}

// productionOf returns the server that greets so: each has an address.
func productionOf(g *mysql.Greeting) wire.Endpoint {
	at := host1
	switch {
	case g.Capabilities.Has(mysql.ClientQueryAttributes):
		at = host2
	case !mysql.ParseVersion(g.Version).MariaDB:
		at = host3
	}
	return wire.EndpointFrom(netip.AddrPortFrom(at, port))
}

// shift gives a client's next connection other sequence numbers.
func shift(s *wire.Segment, f wire.Flow, by seq.Num) {
	mine, theirs := by, by/3
	if s.Flow != f {
		mine, theirs = theirs, mine
	}
	s.Seq += mine
	if s.Flags.Has(wire.ACK) {
		s.Ack += theirs
	}
}

// capture has a frame captured at a time.
func (w *world) capture(s *wire.Segment, at time.Duration) {
	whole := *s
	whole.Payload = append(s.Payload[:len(s.Payload):len(s.Payload)], make([]byte, s.Missing)...)
	b := whole.Append(nil)
	f := frame{ip: b[:len(b)-s.Missing], size: len(b), at: at}
	w.left++
	ready := at
	if w.retire > 0 {
		ready = (at + w.retire - 1) / w.retire * w.retire
	}
	seg := *s
	w.after(ready-w.now, func() {
		w.left--
		w.traceCaptured(&seg)
		w.frames = append(w.frames, f)
	})
}

// misfortune plans what goes wrong, and when that ends.
func (w *world) misfortune(r *rand.Rand) {
	from, span := w.now, w.calm-w.now+100*time.Millisecond
	some := func(what weather, most int, f func()) {
		if !w.weather.has(what) {
			return
		}
		for range 1 + r.IntN(most) {
			w.after(time.Duration(r.Int64N(int64(span))), f)
		}
	}
	lasts := func(d time.Duration) { w.calm = max(w.calm, w.now+d) }
	away := func() time.Duration {
		d := w.between(0, 2*time.Second)
		if w.weather.has(absence) && w.rng.IntN(2) == 0 {
			d = w.between(5*time.Second, time.Minute)
		}
		lasts(d + 3*time.Second)
		return d
	}
	some(stalls, 5, func() {
		w.channel.until = w.now + w.between(0, 3*time.Second)
		w.trace("the control channel stalls until %v", w.channel.until)
		lasts(w.channel.until - w.now)
	})
	some(breaks|absence, 5, func() {
		d := away()
		if w.rng.IntN(2) == 0 {
			w.channel.breaks(d)
		} else {
			w.channel.doomed = func() { w.channel.breaks(d) }
		}
	})
	some(restarts, 3, func() { w.channel.restart(away()) })
	some(stuck, 4, func() {
		if w.host.stuck {
			return
		}
		d := w.between(0, 8*time.Second)
		lasts(d)
		w.host.stick(true)
		w.after(d, func() { w.host.stick(false) })
	})
	some(leaves, 3, func() {
		if p := w.host.someone(); p != nil {
			w.trace("the target leaves %v", p.flow.Src)
			w.host.say(p.Leave(w.now))
		}
	})
	some(resets, 3, func() {
		if p := w.host.someone(); p != nil {
			w.trace("the target resets %v", p.flow.Src)
			w.host.say(p.Reset())
		}
	})
	w.calm = max(w.calm, from+span) + 2*time.Second
}

// incomplete reports whether commands may get lost.
func (w *world) incomplete() bool { return w.weather.has(fatal) }

// rest is how long after everything has calmed down a replay may take to end: a
// response timeout, or a connection's last repetitions.
const rest = 6 * time.Minute

// run lets time pass until nothing is left to do.
func (w *world) run() error {
	for w.err == nil && !w.over() {
		next := w.wakes()
		if next > w.calm+rest {
			w.fail("no rest after %v; left: %s", rest, strings.Join(w.shard.Describe(), "; "))
			break
		}
		w.now = max(w.now, next)
		for len(w.queue) > 0 && w.queue[0].at <= w.now && w.err == nil {
			heap.Pop(&w.queue).(*event).do()
		}
		w.turn()
	}
	switch {
	case w.err != nil:
	case w.stopAt != 0:
		w.stopped()
	default:
		w.account()
	}
	return w.err
}

// over reports whether the replay has come to its end.
func (w *world) over() bool {
	return w.left == 0 && len(w.frames)+len(w.shardIn)+len(w.engineIn)+len(w.replies)+len(w.queue) == 0 &&
		(w.shard.Stopped() || w.stopAt == 0 && w.shard.Sessions() == 0) && w.engine.Summary().Sessions.Open == 0 && (w.weather.has(lossy) || w.host.deadline() == 0)
}

// wakes returns when something happens next.
func (w *world) wakes() time.Duration {
	next := w.shardAt
	if w.shard.Stopped() {
		next = w.calm + rest + 1
	}
	if !w.channel.engineGone {
		next = min(next, w.engineAt)
	}
	if d := w.host.deadline(); d != 0 {
		next = min(next, d)
	}
	if len(w.queue) > 0 {
		next = min(next, w.queue[0].at)
	}
	return next
}

// step is the least time that a component sleeps.
const step = 10 * time.Microsecond

// turn gives whoever has something to do a turn.
func (w *world) turn() {
	switch {
	case w.shard.Stopped():
		w.frames, w.shardIn = nil, nil
	case len(w.frames)+len(w.shardIn) > 0 || w.shardAt <= w.now:
		w.shard.Begin(w.now)
		for _, f := range w.frames {
			w.shard.Frame(f.ip, f.size, f.at)
		}
		for _, f := range w.shardIn {
			f()
		}
		clear(w.shardIn)
		w.frames, w.shardIn = w.frames[:0], w.shardIn[:0]
		w.channel.toTheEngine(w.shard.EndTurn())
		w.shardAt = w.now + max(w.shard.Wait(w.now), step)
		w.check(w.shard.Check())
		w.answered()
		if w.shard.Stopped() {
			w.stoppedAt = w.now
		}
	}
	if !w.channel.engineGone && (len(w.replies)+len(w.engineIn) > 0 || w.engineAt <= w.now) {
		for _, f := range w.engineIn {
			f(w.engine)
		}
		for i := range w.replies {
			w.engine.Frame(w.now, &w.replies[i].frame, w.replies[i].path)
		}
		clear(w.engineIn)
		w.engineIn = w.engineIn[:0]
		out, err := w.engine.EndTurn(w.now)
		w.check(err)
		w.channel.toTheShard(out)
		w.engineAt = w.now + max(w.engine.Wait(w.now), step)
		w.check(w.engine.Check())
	}
	w.replies = w.replies[:0]
	w.host.tick()
	w.executed += w.host.verify()
}

// answered looks whether no command is answered that was not executed.
func (w *world) answered() {
	w.executed += w.host.verify()
	c := w.shard.Commands()
	// A command without a response need only have come to the target's TCP.
	if c.Answered > uint64(w.executed) && !w.host.stuck && !w.weather.has(leaves) {
		w.fail("%d commands are answered, and %d executed", c.Answered, w.executed)
	}
	if n := w.shard.Memory(); n > memory {
		w.fail("sessions hold %d octets, the limit is %d", n, memory)
	}
}

// account looks at what is left at the end.
func (w *world) account() {
	c := w.shard.Counts()
	var said, leftOut uint64
	for _, o := range w.clients {
		said += o.Commands
		leftOut += o.LeftOut
	}
	switch {
	case w.shard.Memory() != 0:
		w.fail("%d octets are held at the end", w.shard.Memory())
	case w.engine.Summary().Held.Bytes != 0:
		w.fail("the intercept holds %d octets at the end", w.engine.Summary().Held.Bytes)
	case c.Commands.Pending+c.Sessions.Open != 0:
		w.fail("%d commands are pending at the end, %d sessions open", c.Commands.Pending, c.Sessions.Open)
	case c.Sessions.Captured != uint64(len(w.clients)):
		w.fail("%d sessions were captured, there were %d", c.Sessions.Captured, len(w.clients))
	case w.incomplete():
	case c.Commands.Captured != said:
		w.fail("%d commands were captured, the clients sent %d", c.Commands.Captured, said)
	case c.Commands.Answered != said-leftOut, c.Commands.Skipped[ledger.Policy] != leftOut:
		w.fail("of %d commands %d should be left out; %d are answered, skipped %v, lost %v",
			said, leftOut, c.Commands.Answered, c.Commands.Skipped.Map(), c.Commands.Lost.Map())
	case c.Sessions.Replayed != uint64(len(w.clients)):
		w.fail("of %d sessions %d were replayed", len(w.clients), c.Sessions.Replayed)
	default:
		for _, o := range w.clients {
			if n := len(o.Expect); n > 0 && (o.service == nil || o.service.at != n) {
				w.fail("%v: not all of its commands were executed", o.flow.Src)
			}
		}
	}
	if w.err == nil && !w.weather.has(lossy) {
		for _, at := range w.host.order {
			if s := w.host.peers[at].State; s != PeerListen && s != PeerGone {
				w.fail("the target keeps a connection of %v (%d)", at, s)
			}
		}
	}
}

// A hops are the ways of one connection's packets, with chances of their own:
// what becomes of a packet does not depend on others' connections.
type hops struct {
	rng  *rand.Rand
	last [2]time.Duration // when the last packet arrived, there and back
}

func (w *world) hopsOf(client wire.Endpoint) *hops {
	h := w.hops[client]
	if h == nil {
		h = &hops{rng: rand.New(rand.NewPCG(w.seed, uint64(client.Port)<<32|uint64(client.Addr[15])))}
		w.hops[client] = h
	}
	return h
}

// carry brings a packet to the other side, or does not.
func (w *world) carry(client wire.Endpoint, way int, b []byte, arrive func([]byte)) {
	h := w.hopsOf(client)
	r := h.rng
	bad := w.now < w.calm
	if bad && w.weather.has(loss) && r.IntN(15) == 0 {
		w.trace("lost")
		return
	}
	if bad && way == 0 && w.weather.has(cutPackets) && r.IntN(20) == 0 {
		b = b[:r.IntN(len(b))]
	}
	copies := 1
	if bad && w.weather.has(repeats) && r.IntN(10) == 0 {
		copies = 2
	}
	for range copies {
		d := time.Duration(50+r.IntN(100)) * time.Microsecond
		if bad && w.weather.has(delay) {
			d += time.Duration(r.IntN(30_000)) * time.Microsecond
		}
		at := w.now + d
		if !bad || !w.weather.has(disorder) {
			at = max(at, h.last[way])
			h.last[way] = at
		}
		w.after(at-w.now, func() { arrive(b) })
	}
}

// toTarget takes what the shard, or the intercept, sends: packets for the target
// from a client's address, and no others.
func (w *world) toTarget(packet []byte) {
	b := bytes.Clone(packet)
	w.note(b)
	var s wire.Segment
	switch {
	case !wire.Parse(b, len(b), &s):
		w.fail("not a packet: %x", b)
		return
	case s.Dst != wire.EndpointFrom(target) || !w.addresses[s.Src.Addr]:
		w.fail("a packet from %v to %v", s.Src, s.Dst)
		return
	case !bytes.Equal(b, s.Append(nil)):
		w.fail("a packet's checksums, or what else is in its headers, are wrong: %x", b)
		return
	}
	w.traceSegment(">", s.Src, &s)
	w.carry(s.Src, 0, b, w.host.receive)
}

// fromTarget takes what the target sends. The intercept sees it, on one interface
// or two.
func (w *world) fromTarget(s *wire.Segment) {
	b := s.Append(nil)
	w.note(b)
	w.traceSegment("<", s.Dst, s)
	paths := 1
	if w.weather.has(twoPaths) {
		paths = 2
	}
	w.carry(s.Dst, 1, b, func(b []byte) {
		r := w.hopsOf(s.Dst).rng
		for path := range paths {
			f := capture.Frame{IP: b, Size: len(b)}
			const headers = 80
			if w.now < w.calm && w.weather.has(cutPackets) && len(b) > headers && r.IntN(20) == 0 {
				f.IP = b[:headers+r.IntN(len(b)-headers)]
			}
			w.replies = append(w.replies, reply{f, uint8(path)})
		}
	})
}

// messages gives the shard a batch of the intercept's.
func (w *world) messages(batch []byte) {
	if w.channel.shardUp {
		w.check(w.shard.Messages(batch))
	}
}

func (w *world) shardNews(f func()) { w.shardIn = append(w.shardIn, f) }

func (w *world) engineNews(f func(*intercept.Simulated)) {
	if !w.channel.engineGone {
		w.engineIn = append(w.engineIn, f)
	}
}

// between returns a time between two.
func (w *world) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.rng.Int64N(int64(to-from)))
}

// after has f called later.
func (w *world) after(d time.Duration, f func()) {
	w.nth++
	heap.Push(&w.queue, &event{at: w.now + max(d, 0), nth: w.nth, do: f})
}

// check fails on an error.
func (w *world) check(err error) {
	if err != nil {
		w.fail("%v", err)
	}
}

// fail ends the run with the first failure.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("at %v: "+format, append([]any{w.now}, args...)...)
		w.trace("FAILURE %v", w.err)
	}
}

// note adds what was sent to the run's sum.
func (w *world) note(b []byte) { w.sum = crc32.Update(w.sum, crc32.IEEETable, b) }

func (w *world) trace(format string, args ...any) {
	if w.out != nil {
		w.out(fmt.Sprintf("%12v  ", w.now) + fmt.Sprintf(format, args...))
	}
}

func (w *world) traceSegment(way string, client wire.Endpoint, s *wire.Segment) {
	if w.out == nil {
		return
	}
	text := fmt.Sprintf("%v %s %v seq=%d ack=%d win=%d", client.Port, way, s.Flags, s.Seq, s.Ack, s.Window)
	if n := len(s.Payload); n > 0 {
		text += fmt.Sprintf(" %d octets %.40q", n, s.Payload)
	}
	for _, b := range s.Options.SACK[:s.Options.NSACK] {
		text += fmt.Sprintf(" sack=%d-%d", b.Start, b.End)
	}
	w.trace("%s", text)
}

func (w *world) traceCaptured(s *wire.Segment) {
	if w.out == nil {
		return
	}
	who, way := s.Src, "captured >"
	if s.Src.Port == port {
		who, way = s.Dst, "captured <"
	}
	w.traceSegment(way, who, s)
	if s.Missing > 0 {
		w.trace("the end of %d octets is cut off", s.Missing)
	}
}

// An event is what happens at a time.
type event struct {
	at  time.Duration
	nth uint64
	do  func()
}

// An eventQueue is a heap.
type eventQueue []*event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].at, q[j].at), cmp.Compare(q[i].nth, q[j].nth)) < 0
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(e any)   { *q = append(*q, e.(*event)) }
func (q *eventQueue) Pop() any {
	n := len(*q) - 1
	e := (*q)[n]
	(*q)[n] = nil
	*q = (*q)[:n]
	return e
}
