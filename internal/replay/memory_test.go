package replay

import (
	"bytes"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// A talker is a client whose login was captured, and which says more. No
// intercept is there, so what it says waits.
type talker struct {
	r   *rig
	seg wire.Segment
}

// talk begins a connection of the client with that port.
func (r *rig) talk(port uint16) *talker {
	segs := connection(port, "u", 0)[:3] // the SYN, the login, a command
	for i := range segs {
		r.capture(&segs[i])
	}
	last := segs[2]
	last.Seq = last.End()
	return &talker{r, last}
}

// say sends a COM_QUERY of size octets in segments that fit a frame.
func (c *talker) say(size int) {
	b := packet(0, append([]byte{3}, "select '"+strings.Repeat("x", size)+"'"...))
	for len(b) > 0 {
		n := min(len(b), 32<<10)
		c.seg.Payload = b[:n]
		c.r.capture(&c.seg)
		c.seg.Seq = c.seg.Seq.Add(n)
		b = b[n:]
	}
}

// skip leaves a hole in what is captured.
func (c *talker) skip(n int) { c.seg.Seq = c.seg.Seq.Add(n) }

func (c *talker) entry() *entry { return c.r.s.flows[c.seg.Flow] }

// logged makes the rig keep its log.
func (r *rig) logged() *bytes.Buffer {
	b := new(bytes.Buffer)
	r.s.log = slog.New(slog.NewTextHandler(b, nil))
	return b
}

func (r *rig) lost(why ledger.Reason) uint64    { return r.s.env.Counts.Sessions.Lost[why] }
func (r *rig) skipped(why ledger.Reason) uint64 { return r.s.env.Counts.Sessions.Skipped[why] }

// count fails the test unless the log has n lines that hold text.
func count(t *testing.T, log *bytes.Buffer, text string, n int) {
	t.Helper()
	if got := strings.Count(log.String(), text); got != n {
		t.Errorf("%q is logged %d times, want %d:\n%s", text, got, n, log)
	}
}

// Beyond --max-sessions a client is skipped, counted and told of once; there is
// room again when others are gone.
func TestSessionLimit(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	log := r.logged()
	r.s.roster.limit = 3
	for port := range uint16(5) {
		r.talk(40000 + port)
	}
	if n := r.skipped(ledger.SessionLimit); n != 2 || len(r.s.entries) != 3 {
		t.Fatalf("%d sessions are skipped, %d known, want 2 and 3", n, len(r.s.entries))
	}
	count(t, log, "raise --max-sessions", 1)
	r.turn(time.Millisecond)

	// One of them ends: nothing is expected of it any more.
	g := connection(40000, "u", wire.FIN)[4]
	r.capture(&g)
	r.turn(interceptPatience)
	r.turn(lateFrames)
	if r.talk(41000); r.skipped(ledger.SessionLimit) != 2 || r.s.flows[connection(41000, "u", 0)[0].Flow] == nil {
		t.Error("there is no room for another one")
	}
	// One that is not replayed makes room for one that may be.
	for _, g := range connection(42000, "stranger", 0) {
		r.capture(&g)
	}
	r.s.roster.limit = int64(len(r.s.entries))
	r.turn(time.Millisecond)
	if r.talk(43000); r.s.flows[connection(43000, "u", 0)[0].Flow] == nil {
		t.Error("a session that is not replayed keeps out one that may be")
	}
}

// Under --max-memory the sessions that hold most are given up, the others are
// not, and the log tells of them in one line.
func TestTheCostliestIsShed(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 8<<20)
	log := r.logged()
	var small []*talker
	for port := range uint16(10) {
		c := r.talk(40000 + port)
		c.say(100 << 10)
		small = append(small, c)
	}
	large := []*talker{r.talk(41000), r.talk(41001), r.talk(41002)}
	for range 20 {
		for _, c := range large {
			c.say(200 << 10)
		}
	}
	if n := r.lost(ledger.Memory); n == 0 || n > 3 {
		t.Errorf("%d sessions are lost, want one to three", n)
	}
	for _, c := range small {
		if !c.entry().sess.Undecided() {
			t.Errorf("a small session is given up")
		}
	}
	if n := r.s.memory(); n > 8<<20 {
		t.Errorf("%d octets are held", n)
	}
	count(t, log, "raise --max-memory", 1)
	r.turn(time.Millisecond)
}

// What lies behind a hole counts, and makes a session the costliest.
func TestHeldBehindAHole(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 2<<20)
	small := r.talk(40000)
	small.say(100 << 10)
	c := r.talk(40001)
	c.skip(100)
	for range 20 {
		c.say(100 << 10)
	}
	if n := r.lost(ledger.Memory); n != 1 || c.entry().sess.Undecided() || !small.entry().sess.Undecided() {
		t.Fatalf("%d sessions are lost", n)
	}
	if n := r.s.memory(); n > 2<<20 {
		t.Errorf("%d octets are held", n)
	}
	// Its commands are counted further on, and their storage stays bounded.
	for range 100 {
		c.say(100 << 10)
		if n := r.s.memory(); n > 2<<20+128<<10 {
			t.Fatalf("%d octets are held", n)
		}
	}
	before := r.s.env.Counts.Commands.Lost[ledger.Memory]
	r.turn(2 * time.Second)
	c.say(100)
	r.turn(2 * time.Second)
	c.seg.Ack = c.seg.Ack.Add(100)
	c.say(100)
	if r.s.env.Counts.Commands.Lost[ledger.Memory] == before {
		t.Error("its commands are not counted any more")
	}
	r.turn(time.Millisecond)
	r.check()
}

// Empty segments beyond a hole cost memory, too.
func TestPiecesBehindAHoleCount(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	c := r.talk(40000)
	before := r.s.memory()
	c.skip(100)
	for i := range 1000 {
		g := c.seg
		g.Payload, g.Flags, g.Seq = nil, wire.ACK|wire.FIN, c.seg.Seq.Add(2*i)
		r.capture(&g)
	}
	if n := r.s.memory() - before; n < 1000*48 {
		t.Errorf("a thousand pieces count %d octets", n)
	}
	r.turn(2 * time.Second) // the hole is given up
	r.turn(2 * time.Second)
	if e := c.entry(); e != nil && e.stream.Storage() != 0 {
		t.Errorf("%d octets are held still", e.stream.Storage())
	}
}

// One session that holds more than --max-session-memory ends, whatever room
// there is.
func TestSessionMemory(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 1<<30)
	log := r.logged()
	r.s.sessionBudget = 1 << 20
	other := r.talk(40000)
	other.say(200 << 10)
	for port := range uint16(2) {
		c := r.talk(41000 + port)
		for range 20 {
			c.say(100 << 10)
		}
		if c.entry().sess.Undecided() || c.entry().cost() > 1<<20 {
			t.Errorf("undecided %v, %d octets", c.entry().sess.Undecided(), c.entry().cost())
		}
	}
	if n := r.lost(ledger.SessionMemory); n != 2 || !other.entry().sess.Undecided() {
		t.Errorf("%d sessions are lost", n)
	}
	count(t, log, "raise --max-session-memory", 1)
	r.turn(time.Millisecond)
	r.check()
}

// Logins that wait for an intercept hold what they said.
func TestLoginsCount(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 64<<20)
	for port := range uint16(100) {
		segs := connection(40000+port, "u", 0)
		l := mysql.Login{Capabilities: mysql.ClientProtocol41 | mysql.ClientSecureConnection | mysql.ClientPluginAuth | mysql.ClientConnectAttrs,
			User: "u", Plugin: "mysql_native_password", Attributes: bytes.Repeat([]byte("\x04name\x05value"), 1000)}
		segs[1].Payload = packet(1, l.Append(nil))
		r.capture(&segs[0])
		r.capture(&segs[1])
		if r.s.flows[segs[0].Flow].sess.Phase() != session.Queued {
			t.Fatal("the login was not read")
		}
	}
	if n := r.s.memory(); n < 100*11000 {
		t.Errorf("a hundred logins of 11,000 octets count %d", n)
	}
	r.turn(time.Millisecond)
}

// The records of commands count as they come, not at the end of the turn: one
// block of the ring may hold hundreds of thousands.
func TestCommandsOfOneTurnCount(t *testing.T) {
	r := newRig(t, rigSender(t), 1, 4<<20)
	r.s.sessionBudget = 1 << 30
	c := r.talk(40000)
	pings := bytes.Repeat(packet(0, []byte{0x0e}), 6000)
	for range 20 {
		c.seg.Payload = pings
		r.capture(&c.seg)
		c.seg.Seq = c.seg.Seq.Add(len(pings))
	}
	if r.lost(ledger.Memory) != 1 || r.s.memory() > 4<<20 {
		t.Errorf("120,000 records in %d octets; %d sessions shed", r.s.memory(), r.lost(ledger.Memory))
	}
	r.turn(time.Millisecond)
}

// heap returns the octets that objects take, without garbage.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// entryCost is what an idle session really takes, tables included.
func TestEntryCost(t *testing.T) {
	const sessions = 20000
	r := newRig(t, rigSender(t), 1, 1<<30)
	r.s.up = true
	before := heap()
	for i := range sessions {
		src := wire.EndpointFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(i >> 8), byte(i)}), 40000))
		g := wire.Segment{Flow: wire.Flow{Src: src, Dst: rigServer}, Seq: seq.Num(i), Flags: wire.SYN, Window: 1000}
		r.capture(&g)
		g.Flags, g.Seq, g.Ack = wire.ACK, g.Seq.Add(1), 77
		l := mysql.Login{Capabilities: mysql.ClientProtocol41 | mysql.ClientSecureConnection, User: "u"}
		g.Payload = packet(1, l.Append(nil))
		r.capture(&g)
	}
	r.s.settle()
	r.s.openQueued()
	r.s.control = nil
	counted := uint64(r.s.memory())
	real := heap() - before
	if len(r.s.ids) != sessions {
		t.Fatalf("%d sessions are registered", len(r.s.ids))
	}
	t.Logf("a session takes %d octets and counts %d", real/sessions, counted/sessions)
	if real > counted {
		t.Errorf("%d sessions take %d octets and count %d", sessions, real, counted)
	}
	runtime.KeepAlive(r)
}

// A session that is logged in and idle takes a kilobyte at most, and counts what
// it takes, however full the tables are: they have just grown for 7,600 sessions,
// and are well filled with 10,000.
func TestAnIdleSessionIsSmall(t *testing.T) {
	for _, sessions := range []int{7600, 10000} {
		b := newSpeedBench(t)
		before := heap()
		for i := range sessions {
			b.open(t, i)
		}
		b.turn(time.Second)
		b.turn(time.Second)
		counted := b.s.memory() / sessions
		real := int(heap()-before) / sessions
		t.Logf("%d sessions take %d octets each and count %d", sessions, real, counted)
		if real > 1024 || real > counted {
			t.Errorf("%d idle sessions take %d octets each and count %d", sessions, real, counted)
		}
		runtime.KeepAlive(b)
	}
}

// An entry is to fit into 704 octets, a size that Go's runtime has, with the 8
// that the runtime puts before what has pointers and more than 512 octets; the
// next is 768. What only few sessions need is behind a pointer, or in a table.
func TestAnEntryIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n > 704-8 {
		t.Errorf("an entry takes %d octets", n)
	}
}
