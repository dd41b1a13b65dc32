package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/simulation"
	"mrtecopy/internal/tcpstate"
	"mrtecopy/internal/wire"
)

// A sim is a replay in one process: a captured client, one session, a lossy
// link, a model target and the intercept. It has no clock but its own, so that
// a run is repeated exactly by its seed.
type sim struct {
	tb   testing.TB
	rng  *rand.Rand
	env  Env
	sess Session

	peer  simulation.Peer
	way   intercept
	loss  float64
	delay time.Duration // of a turn

	up         bool // an intercept is connected
	registered bool
	hook       func(m *sim) // called at the beginning of every turn
	cut        func() bool  // whether the report at hand gets lost, and the connection to the intercept with it
	turns      int

	toTarget []wire.Segment
	back     []wire.Segment
	moved    bool // a segment was sent since settle looked
	iss      seq.Num
	refused  []string
	mss      int
}

var testFlow = wire.Flow{
	Src: wire.Endpoint{Addr: wire.Addr{10: 0xff, 11: 0xff, 12: 10, 15: 1}, Port: 40000},
	Dst: wire.Endpoint{Addr: wire.Addr{10: 0xff, 11: 0xff, 12: 10, 15: 2}, Port: 3306},
}

const testStreamAbove = 1 << 20

func newSim(tb testing.TB) *sim {
	m := &sim{tb: tb, rng: rand.New(rand.NewPCG(1, 2)), up: true, delay: 200 * time.Microsecond, iss: 0xfffffff0, mss: 1460}
	m.peer.Server = simulation.NewServer()
	m.env.StreamAbove = testStreamAbove
	m.env.Judge = policy.NewJudge(policy.Config{Table: policy.Default()})
	m.env.Now = time.Minute
	m.env.Credentials = func(user string) (string, string, bool) {
		return "t_" + user, "secret", user != "stranger"
	}
	return m
}

// call makes one call on the session and takes what it brought.
func (m *sim) call(f func(e *Env)) {
	m.tb.Helper()
	m.env.At = m.env.Now
	f(&m.env)
	m.take()
	m.check()
}

// take empties the output, as the engine does after every call.
func (m *sim) take() {
	out := &m.env.Out
	if m.registered {
		if out.InEffect {
			m.way.tracker.SetCapabilities(out.Caps, out.Extended)
		}
		for _, k := range out.Kinds {
			m.way.tracker.Push(mysql.Kind(k))
			m.way.again = true
		}
	}
	out.InEffect, out.Kinds = false, out.Kinds[:0]
	m.moved = m.moved || len(out.Segments) > 0
	for _, s := range out.Segments {
		if len(s.Payload) > m.mss {
			m.tb.Fatalf("a segment of %d octets, the MSS is %d", len(s.Payload), m.mss)
		}
		if m.rng.Float64() >= m.loss {
			s.Payload = slices.Clone(s.Payload)
			m.toTarget = append(m.toTarget, s)
		}
	}
	out.Segments = out.Segments[:0]
	if r := out.Refused; r != nil {
		m.refused = append(m.refused, fmt.Sprintf("%s as %s: %s", r.User, r.Target, r.Text))
		out.Refused = nil
	}
}

// check verifies the ledger.
func (m *sim) check() {
	m.tb.Helper()
	c := m.env.Counts
	c.Commands.Pending = m.sess.Pending()
	if m.sess.Undecided() {
		c.Sessions.Open = 1
	}
	if c.Sessions.Captured == 0 {
		c.Sessions.Open = 0
	}
	if err := c.Balance(); err != nil {
		m.tb.Fatal(err)
	}
	if c.Commands.Stalled > 0 {
		m.tb.Fatal("a command waited although pipelining is allowed")
	}
}

// turn is one turn of the engine, the target and the intercept.
func (m *sim) turn() {
	m.tb.Helper()
	m.env.Now += m.delay
	if m.turns++; m.hook != nil {
		m.hook(m)
	}
	m.register()
	m.call(m.sess.Poll)
	m.target()
	m.wayBack()
}

func (m *sim) register() {
	if !m.up || m.registered || m.sess.Phase() != Queued || m.sess.stopped {
		return
	}
	m.registered = true
	m.iss += 0x10000
	m.way = intercept{}
	for _, k := range m.sess.Unanswered(nil) {
		m.way.tracker.Push(mysql.Kind(k))
	}
	m.call(func(e *Env) { m.sess.Open(e, testFlow, m.iss, m.mss) })
}

// target lets the target take what arrived.
func (m *sim) target() {
	in := m.toTarget
	m.toTarget = nil
	out := m.peer.Tick(m.env.Now)
	for i := range in {
		out = append(out, m.peer.Receive(m.env.Now, &in[i])...)
	}
	m.reply(out)
}

func (m *sim) reply(out []wire.Segment) {
	m.moved = m.moved || len(out) > 0
	for _, s := range out {
		// Nobody repeats a lost RST, and our end has no keep-alive.
		if s.Flags.Has(wire.RST) || m.rng.Float64() >= m.loss {
			m.back = append(m.back, s)
		}
	}
}

// wayBack lets the intercept take what the target sent, and reports it.
func (m *sim) wayBack() {
	m.tb.Helper()
	in := m.back
	m.back = nil
	if !m.registered || !m.up {
		return // nobody listens
	}
	w := &m.way
	var rep turnReport
	for i := range in {
		w.receive(&in[i], &rep)
	}
	if w.again {
		w.again, rep.any = false, true
		w.frame(&rep)
	}
	if w.tracker.Broken() {
		m.tb.Fatal("the target's stream cannot be framed")
	}
	for _, h := range rep.heads {
		m.call(func(e *Env) { m.sess.Head(e, h.kind, h.sequence, h.payload) })
	}
	if !rep.any || !m.registered {
		return
	}
	if m.cut != nil && m.cut() {
		m.linkDown()
		return
	}
	r := w.report(&rep)
	m.call(func(e *Env) { m.sess.Report(e, &r, rep.ended, rep.errors, w.tracker.Snapshot().Encode()) })
}

// linkDown ends the connection to the intercept.
func (m *sim) linkDown() {
	m.up = false
	if m.registered {
		m.registered = false
		m.call(m.sess.Pause)
	}
}

// linkUp connects to another intercept, which knows nothing.
func (m *sim) linkUp() {
	m.up = true
	if p := m.sess.Phase(); p < Ready || p == Over {
		return
	}
	m.registered = true
	m.way = intercept{synced: true, begun: true, nxt: m.sess.Conn.RcvNxt(), una: m.sess.Conn.SndUna()}
	m.way.tracker.SetCapabilities(m.sess.InEffect())
	for _, k := range m.sess.Unanswered(nil) {
		m.way.tracker.Push(mysql.Kind(k))
	}
	m.way.tracker.Restore(mysql.DecodeSnapshot(m.sess.Frame()))
	m.call(m.sess.Resume)
}

// settle turns until nothing moves any more, or for as long as limit.
func (m *sim) settle(limit time.Duration) {
	m.tb.Helper()
	until := m.env.Now + limit
	for n := 0; m.env.Now < until; n++ {
		if n > 100_000 {
			m.tb.Fatalf("no rest after %d turns", n)
		}
		m.moved = false
		if m.turn(); m.moved || !m.up && m.hook != nil {
			continue
		}
		next := m.sess.Deadline()
		if d := m.peer.Deadline(); d != 0 && (next == 0 || d < next) {
			next = d
		}
		if next == 0 || next > until {
			return
		}
		m.env.Now = max(m.env.Now, next-m.delay)
	}
}

// feed gives the session one captured item.
func (m *sim) feed(it *simulation.Item) {
	m.tb.Helper()
	switch it.Kind {
	case simulation.ItemData:
		b := slices.Clone(it.B)
		m.call(func(e *Env) { m.sess.Data(e, b, it.Ack, it.End) })
		clear(b) // the frame is gone
	case simulation.ItemGap:
		m.call(func(e *Env) { m.sess.Gap(e, len(it.B), it.End) })
	case simulation.ItemPrepared:
		seg := wire.Segment{Flow: testFlow.Reverse(), Seq: it.At, Ack: it.Ack, Flags: wire.ACK, Payload: it.B}
		m.call(func(e *Env) { m.sess.ProductionHead(e, &seg) })
	case simulation.ItemFIN:
		m.call(m.sess.ClientClosed)
	case simulation.ItemRST:
		m.call(m.sess.ClientReset)
	case simulation.ItemDo:
		it.Do.(func(*sim))(m)
	}
}

// A pace says how many turns pass between two captured items; -1: until
// nothing moves.
type pace func() int

func atOnce() int   { return 0 }
func lockstep() int { return -1 }

// greeted says what production greeted the client with.
func (m *sim) greeted(c *simulation.Client) {
	if c.Greeting == nil {
		return
	}
	d := DialectOf(c.Greeting)
	m.sess.ProductionGreeted(&d, true)
}

// play replays the client and lets the target catch up.
func (m *sim) play(c *simulation.Client, p pace) {
	m.tb.Helper()
	m.call(func(e *Env) { m.sess.Captured(e, true) })
	m.greeted(c)
	m.playOn(c, p)
}

func (m *sim) playOn(c *simulation.Client, p pace) {
	m.tb.Helper()
	for i := range c.Items {
		m.feed(&c.Items[i])
		switch n := p(); {
		case n < 0:
			m.settle(time.Second / 10)
		default:
			for range n {
				m.turn()
			}
		}
	}
	m.settle(5 * time.Minute)
}

// executed verifies what the target executed.
func (m *sim) executed(want []string) {
	m.tb.Helper()
	v := m.peer.Server
	if v == nil {
		return // nothing listens
	}
	if len(v.Faults) > 0 {
		m.tb.Errorf("the target says: %s", strings.Join(v.Faults, "; "))
	}
	got := v.Executed
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			m.tb.Fatalf("command %d was not executed: %s", i+1, want[i])
		case i >= len(want):
			m.tb.Fatalf("command %d was executed, but should not be: %s", i+1, got[i])
		case got[i] != want[i]:
			m.tb.Fatalf("command %d:\n got %s\nwant %s", i+1, got[i], want[i])
		}
	}
}

// executedPart verifies that what the target executed is in the list, in order;
// the rest of the list got lost.
func (m *sim) executedPart(want []string) {
	m.tb.Helper()
	v := m.peer.Server
	if len(v.Faults) > 0 {
		m.tb.Fatalf("the target says: %s", strings.Join(v.Faults, "; "))
	}
	i := 0
	for n, got := range v.Executed {
		if strings.HasPrefix(got, "FILE") && strings.HasSuffix(got, `: ""`) {
			continue // the file was lost
		}
		from := i
		for i < len(want) && want[i] != got {
			i++
		}
		if i > from && strings.HasPrefix(got, mysql.ComStmtClose.String()+" {") && !strings.Contains(got, "{unknown") {
			i = from // maybe it can be named no more
			continue
		}
		if i == len(want) {
			m.tb.Fatalf("command %d was executed, but should not be (there): %s\nexecuted: %s\nexpected: %s",
				n+1, got, strings.Join(v.Executed, "\n  "), strings.Join(want, "\n  "))
		}
		i++
	}
}

// account writes the ledger.
func (m *sim) account() string {
	c := &m.env.Counts
	var b []string
	add := func(what string, n uint64) {
		if n > 0 {
			b = append(b, fmt.Sprintf("%s=%d", what, n))
		}
	}
	reasons := func(what string, r *ledger.ByReason) {
		for i, n := range r {
			add(what+"."+ledger.Reason(i).String(), n)
		}
	}
	add("answered", c.Commands.Answered)
	reasons("skipped", &c.Commands.Skipped)
	reasons("lost", &c.Commands.Lost)
	add("pending", m.sess.Pending())
	add("errors", c.Commands.Errors)
	s := "session open"
	switch {
	case c.Sessions.Replayed > 0:
		s = "session replayed"
	case c.Sessions.Skipped.Total() > 0:
		s = "session skipped"
	case c.Sessions.Lost.Total() > 0:
		s = "session lost"
	}
	for i := range c.Sessions.Skipped {
		if c.Sessions.Skipped[i]+c.Sessions.Lost[i] > 0 {
			s += " " + ledger.Reason(i).String()
		}
	}
	if c.Sessions.GreetingMissed > 0 {
		s += " greeting missed"
	}
	return strings.Join(append(b, s), " ")
}

// over verifies that the session has ended and given everything back.
func (m *sim) over() {
	m.tb.Helper()
	if !m.sess.Finished() {
		m.tb.Errorf("the session is in phase %d and not finished (connection %v)", m.sess.Phase(), m.sess.Conn.State())
	}
	if n := m.env.Pool.InUse(); n != 0 {
		m.tb.Errorf("%d octets of storage are still in use", n)
	}
	if f := m.sess.Conn.Fate(); f == tcpstate.Alive && m.sess.Conn.State() != tcpstate.Closed {
		m.tb.Errorf("the connection to the target is in %v", m.sess.Conn.State())
	}
	if m.sess.Busy() {
		m.tb.Error("the session says that it is busy")
	}
}

// An intercept is a model of the one: it keeps order, frames, and reports.
type intercept struct {
	tracker  mysql.Tracker
	synced   bool
	begun    bool // data came: the SYN-ACK was not of an older connection
	closed   bool
	again    bool // the tracker was told more
	nxt, una seq.Num
	wnd      uint16
	rest     []byte // received, not framed
	finAt    seq.Num
	hasFIN   bool
}

// A turnReport is what a turn amounts to.
type turnReport struct {
	any           bool
	flags         wire.Flags
	seq, ack      seq.Num
	dupAcks       uint8
	ackNow        bool
	options       wire.Options
	ended, errors int
	heads         []headSeen
}

type headSeen struct {
	kind     mysql.Kind
	sequence uint8
	payload  []byte
}

func (w *intercept) receive(s *wire.Segment, t *turnReport) {
	t.any = true
	switch {
	case s.Flags.Has(wire.SYN):
		t.flags |= s.Flags
		t.seq, t.ack, t.options = s.Seq, s.Ack, s.Options
		if w.synced && (w.begun || s.Ack == w.una) {
			t.ackNow = true
			t.flags &^= wire.SYN
			return
		}
		w.synced = true
		w.nxt, w.una, w.wnd = s.Seq.Add(1), s.Ack, s.Window
		return
	case s.Flags.Has(wire.RST):
		t.flags |= s.Flags & (wire.RST | wire.ACK)
		t.seq, t.ack = s.Seq, s.Ack
		return
	case !w.synced:
		t.flags |= s.Flags & wire.ACK
		t.ack = s.Ack
		return
	}
	if d := w.una.To(s.Ack); d > 0 {
		w.una = s.Ack
		t.dupAcks = 0
	} else if d == 0 && s.Len() == 0 && t.dupAcks < 255 {
		t.dupAcks++
	}
	w.wnd = s.Window
	if s.Len() == 0 {
		return
	}
	w.begun = true
	received := w.nxt.Add(len(w.rest))
	switch d := s.Seq.To(received); {
	case d < 0:
		t.ackNow = true
		return
	case d < len(s.Payload):
		w.rest = append(w.rest, s.Payload[d:]...)
	case d > 0 || len(s.Payload) > 0:
		t.ackNow = true
	}
	if s.Flags.Has(wire.FIN) {
		w.finAt, w.hasFIN = s.Seq.Add(len(s.Payload)), true
	}
	w.frame(t)
}

// frame gives the tracker what was received.
func (w *intercept) frame(t *turnReport) {
	n, events := w.tracker.Feed(w.rest, nil)
	for _, e := range events {
		switch e.Type {
		case mysql.Head:
			t.heads = append(t.heads, headSeen{e.Kind, e.Sequence, slices.Clone(e.Payload)})
		case mysql.End:
			t.ended++
			if e.Err {
				t.errors++
			}
		}
	}
	w.nxt, w.rest = w.nxt.Add(n), w.rest[n:]
	if p, ok := w.tracker.Unsolicited(w.rest); ok && w.rest[3] == 0 {
		t.heads = append(t.heads, headSeen{0xfe, 0, slices.Clone(p)})
		n := mysql.HeaderSize + len(p)
		w.nxt, w.rest = w.nxt.Add(n), w.rest[n:]
	}
	if w.hasFIN && !w.closed && w.nxt == w.finAt {
		w.closed = true
		w.nxt = w.nxt.Add(1)
		t.flags |= wire.FIN
	}
}

func (w *intercept) report(t *turnReport) wire.Report {
	r := wire.Report{Flags: t.flags, Seq: t.seq, Ack: t.ack, Window: w.wnd, DupAcks: t.dupAcks, AckNow: t.ackNow, Options: t.options}
	if w.synced {
		r.Flags |= wire.ACK
		r.Ack, r.RcvNxt = w.una, w.nxt
	}
	return r
}
