package replay

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/config"
	"mrtecopy/internal/control"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/simulation"
	"mrtecopy/internal/wire"
)

// A bench is a shard in steady state: its clients are logged in, each says the
// same command again and again, and the target answers at once. Frames and
// messages are made in memory, and packets are built and forgotten.
type bench struct {
	s       *shard
	now     time.Duration
	clients []*benchClient

	captured capture.Frame
	report   control.Report
	batch    []byte // of the intercept's messages
}

// A benchClient is one captured connection.
type benchClient struct {
	flow     wire.Flow
	nxt, ack seq.Num // of the client's next segment
	e        *entry
	received seq.Num  // what the intercept has of the target's stream
	frames   [][]byte // the command, as captured
}

// nowhere is a sender without a network. It remembers how far the client of each
// port has sent.
type nowhere struct {
	buf  []byte
	sent int
	ends [1 << 16]seq.Num
}

func (n *nowhere) Commit(p []byte) {
	n.sent++
	n.ends[binary.BigEndian.Uint16(p[20:])] = seq.Num(binary.BigEndian.Uint32(p[24:])).Add(len(p) - headers)
}

func (n *nowhere) Next() []byte         { return n.buf[:0] }
func (n *nowhere) Flush()               {}
func (n *nowhere) MTU() int             { return 1500 }
func (n *nowhere) Source() netip.Addr   { return rigServer.Addr.Netip() }
func (n *nowhere) Refresh() error       { return nil }
func (n *nowhere) Stats() rawsend.Stats { return rawsend.Stats{} }
func (n *nowhere) Close() error         { return nil }

func newSpeedBench(tb testing.TB) *bench {
	tb.Helper()
	credentials, err := config.ParseCredentials([]byte("app:secret\n"))
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{now: time.Second}
	b.s = NewSimulated(Config{
		ServerIPs: []netip.Addr{rigServer.Addr.Netip()}, Port: 3306, Target: rigTarget, Credentials: credentials,
		Policy: policy.Config{Table: policy.Default()}, Drain: time.Second, ResponseTimeout: time.Minute,
		StreamAbove: 1 << 20, MaxMemory: 1 << 30, MaxSessions: 1 << 20, MaxConnects: 1 << 30, Log: slog.New(slog.DiscardHandler),
	}, rigServer.Addr.Netip(), 1500, nil).s
	b.s.sender = &nowhere{buf: make([]byte, 0, 2048)}
	b.s.clock = clock{start: simulatedStart, wall: func() time.Time { return simulatedStart.Add(b.now) }}
	b.s.linkUp(&linkUp{})
	b.s.env.Now = b.now
	return b
}

// turn ends a turn, and begins the next one after d.
func (b *bench) turn(d time.Duration) {
	b.s.handle()
	b.s.flush()
	b.now += d
	b.s.env.Now = b.now
}

// capture has a segment captured that a client sends.
func (b *bench) capture(c *benchClient, flags wire.Flags, payload []byte) {
	g := wire.Segment{Flow: c.flow, Seq: c.nxt, Ack: c.ack, Flags: flags, Window: 1000, Payload: payload}
	c.nxt = g.End()
	b.frame(g.Append(nil))
}

func (b *bench) frame(ip []byte) {
	b.captured = capture.Frame{IP: ip, Size: len(ip), Stamp: simulatedStart.Add(b.now).UnixNano()}
	b.s.frame(&b.captured)
}

// say delivers messages of the intercept.
func (b *bench) say(tb testing.TB, batch []byte) {
	if err := b.s.messages(batch); err != nil {
		tb.Fatal(err)
	}
	b.turn(time.Microsecond)
}

// report is that the target has taken all, and answered n octets more, to the end
// of so many responses.
func (c *benchClient) report(n, ended int) control.Report {
	c.received = c.received.Add(n)
	return control.Report{ID: c.e.id, Ended: uint16(ended), Report: wire.Report{Flags: wire.ACK, Ack: c.e.sess.Conn.Written(), Window: 0xffff, RcvNxt: c.received}}
}

// answer says that the target answered with n octets, and shows their head if it
// is not nil.
func (b *bench) answer(tb testing.TB, c *benchClient, n int, head *control.Head) {
	b.batch = b.batch[:0]
	if head != nil {
		b.batch = control.AppendHead(b.batch, head)
	}
	b.received(c, c.e.sess.Conn.Written(), n, 1)
	b.say(tb, b.batch)
}

// open has the nth client connect and log in.
func (b *bench) open(tb testing.TB, n int) *benchClient {
	src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(n >> 16), byte(1 + n>>15&1)}), uint16(1024+n&0x7fff))
	c := &benchClient{flow: wire.Flow{Src: wire.EndpointFrom(src), Dst: rigServer}, nxt: 5000, ack: 77, received: 9000}
	b.capture(c, wire.SYN, nil)
	login := mysql.Login{Capabilities: simulation.TestLogin.Capabilities, MaxPacket: 1 << 24, Charset: 45, User: "app", AuthResponse: make([]byte, 20), Schema: "shop", Plugin: mysql.PluginNativePassword}
	b.capture(c, wire.ACK|wire.PSH, packet(1, login.Append(nil)))
	c.ack = c.ack.Add(11)
	b.turn(time.Microsecond)
	if c.e = b.s.flows[c.flow]; c.e == nil || c.e.id == 0 {
		tb.Fatalf("client %d is not registered", n)
	}
	b.say(tb, control.AppendRegistered(nil, &control.Registered{ID: c.e.id, Status: control.RegOK}))
	syn := control.Report{ID: c.e.id, Report: wire.Report{Flags: wire.SYN | wire.ACK, Seq: c.received, Ack: c.e.iss.Add(1), Window: 0xffff,
		RcvNxt: c.received.Add(1), Options: wire.Options{MSS: 1460, HasWScale: true, WScale: 7, SACKPermitted: true}}}
	c.received = syn.RcvNxt
	b.say(tb, control.AppendReport(nil, &syn))
	g := mysql.Greeting{Version: "5.5.5-10.11.18-MariaDB", Capabilities: simulation.ModelCaps, Plugin: mysql.PluginNativePassword}
	b.answer(tb, c, 90, &control.Head{ID: c.e.id, Kind: uint8(mysql.KindGreeting), Payload: g.Append(nil)})
	b.answer(tb, c, 11, &control.Head{ID: c.e.id, Kind: uint8(mysql.KindLogin), Sequence: 2, Payload: []byte("\x00\x00\x00\x02\x00\x00\x00")})
	if p := c.e.sess.Phase(); p != session.Ready {
		tb.Fatalf("client %d: phase %d behind the login", n, p)
	}
	return c
}

// prepare has a client prepare a statement, which is the first on both servers.
func (b *bench) prepare(tb testing.TB, c *benchClient) {
	tb.Helper()
	at := c.ack
	b.capture(c, wire.ACK|wire.PSH, packet(0, []byte("\x16SELECT c FROM sbtest1 WHERE id=?")))
	ok := simulation.PrepareOK(1, 1, 1)
	g := wire.Segment{Flow: c.flow.Reverse(), Seq: at, Ack: c.nxt, Flags: wire.ACK | wire.PSH, Window: 1000, Payload: ok}
	b.frame(g.Append(nil))
	c.ack = c.ack.Add(100)
	b.turn(time.Microsecond)
	b.answer(tb, c, 100, &control.Head{ID: c.e.id, Kind: uint8(mysql.ComStmtPrepare), Sequence: 1, Payload: ok[mysql.HeaderSize:]})
}

// standing makes the frames of a command, which are captured cut as a card's
// driver puts a large one together.
func (c *benchClient) standing(command []byte) {
	const most = 32 << 10
	p := packet(0, command)
	c.frames = nil
	for len(p) > 0 {
		n := min(len(p), most)
		g := wire.Segment{Flow: c.flow, Flags: wire.ACK | wire.PSH, Window: 1000, Payload: p[:n]}
		c.frames = append(c.frames, g.Append(nil))
		p = p[n:]
	}
}

const headers = 40 // of the frames: IPv4, and TCP without options

// command has a client say its command.
func (b *bench) command(c *benchClient) {
	for _, f := range c.frames {
		binary.BigEndian.PutUint32(f[24:], uint32(c.nxt))
		binary.BigEndian.PutUint32(f[28:], uint32(c.ack))
		c.nxt = c.nxt.Add(len(f) - headers)
		b.frame(f)
	}
	c.ack = c.ack.Add(11)
}

// round has every client say its command, as in one block of the ring, and the
// target answer them all.
func (b *bench) round(tb testing.TB) {
	for _, c := range b.clients {
		b.command(c)
	}
	b.turn(time.Microsecond)
	b.batch = b.batch[:0]
	ends := &b.s.sender.(*nowhere).ends
	for _, c := range b.clients { // of a large command the window takes a part at a time
		for end := ends[c.flow.Src.Port]; end != c.e.sess.Conn.Written(); end = ends[c.flow.Src.Port] {
			b.received(c, end, 0, 0)
			b.say(tb, b.batch)
			b.batch = b.batch[:0]
		}
	}
	for _, c := range b.clients {
		b.received(c, c.e.sess.Conn.Written(), 11, 1)
	}
	b.say(tb, b.batch)
}

// received adds a report to the batch.
func (b *bench) received(c *benchClient, ack seq.Num, n, ended int) {
	b.report = c.report(n, ended)
	b.report.Ack = ack
	b.batch = control.AppendReport(b.batch, &b.report)
}

// cpu is what this process has taken. On a machine that is shared, a benchmark's
// own time says more about the others.
func cpu() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The commands that are measured.
var (
	shortSelect = []byte("\x03SELECT c FROM sbtest1 WHERE id=4711")
	execution   = []byte("\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x08\x00\x67\x12\x00\x00\x00\x00\x00\x00")
	largeInsert = []byte("\x03INSERT INTO t VALUES ('" + strings.Repeat("x", 64<<10) + "')")
)

// steadyBench returns a bench whose n clients say this.
func steadyBench(tb testing.TB, n int, command []byte) *bench {
	b := newSpeedBench(tb)
	for i := range n {
		c := b.open(tb, i)
		if command[0] == byte(mysql.ComStmtExecute) {
			b.prepare(tb, c)
		}
		c.standing(command)
		b.clients = append(b.clients, c)
	}
	for range 3 {
		b.round(tb) // until buffers are as large as they get
	}
	return b
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command []byte
	}{{"a SELECT", shortSelect}, {"an execution", execution}, {"an INSERT of 64 KiB", largeInsert}} {
		t.Run(tt.name, func(t *testing.T) {
			const clients, rounds = 4, 200
			b := steadyBench(t, clients, tt.command)
			before := b.s.env.Counts.Commands.Answered
			if n := testing.AllocsPerRun(rounds, func() { b.round(t) }); n != 0 {
				t.Errorf("%v allocations for %d commands, want 0", n, clients)
			}
			if n := b.s.env.Counts.Commands.Answered - before; n != clients*(rounds+1) { // AllocsPerRun runs once more
				t.Errorf("%d commands were answered, want %d", n, clients*(rounds+1))
			}
			if err := b.s.check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkCommand is a command's whole way through a shard, and its answer's way
// back, with 64 clients' in each block of the ring.
func BenchmarkCommand(b *testing.B) {
	for _, bm := range []struct {
		name    string
		command []byte
	}{{"select", shortSelect}, {"execute", execution}, {"insert64k", largeInsert}} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", bm.name, clients), func(b *testing.B) {
				m := steadyBench(b, clients, bm.command)
				sent := m.s.sender.(*nowhere).sent
				b.ReportAllocs()
				n, start := 0, cpu()
				for b.Loop() {
					if n%clients == 0 {
						m.round(b)
					}
					n++
				}
				b.ReportMetric(float64(cpu()-start)/float64(n), "cpu-ns/op")
				b.ReportMetric(float64(m.s.sender.(*nowhere).sent-sent)/float64(n), "packets/op")
			})
		}
	}
}

// BenchmarkStatements is an EXECUTE of the oldest of many statements that a client
// keeps open.
func BenchmarkStatements(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			m := newSpeedBench(b)
			c := m.open(b, 0)
			for i := range n {
				at := c.ack
				m.capture(c, wire.ACK|wire.PSH, packet(0, []byte("\x16SELECT c FROM sbtest1 WHERE id=?")))
				ok := simulation.PrepareOK(uint32(i+1), 1, 1)
				g := wire.Segment{Flow: c.flow.Reverse(), Seq: at, Ack: c.nxt, Flags: wire.ACK | wire.PSH, Window: 1000, Payload: ok}
				m.frame(g.Append(nil))
				c.ack = c.ack.Add(100)
				m.turn(time.Microsecond)
				m.answer(b, c, 100, &control.Head{ID: c.e.id, Kind: uint8(mysql.ComStmtPrepare), Sequence: 1, Payload: ok[mysql.HeaderSize:]})
			}
			execute := slices.Clone(execution)
			binary.LittleEndian.PutUint32(execute[1:], 1)
			b.ReportAllocs()
			for b.Loop() {
				m.capture(c, wire.ACK|wire.PSH, packet(0, execute))
				c.ack = c.ack.Add(11)
				m.turn(time.Microsecond)
				m.answer(b, c, 11, nil)
			}
		})
	}
}

// BenchmarkMillion is a million short SELECTs of 64 clients and their
// answers.
func BenchmarkMillion(b *testing.B) {
	const clients, rounds = 64, 1_000_000 / 64
	for b.Loop() {
		m := steadyBench(b, clients, shortSelect)
		start := cpu()
		for range rounds {
			m.round(b)
		}
		b.ReportMetric(clients*rounds/(cpu()-start).Seconds(), "commands/cpu-s")
	}
}

// BenchmarkSession is a session that logs in, says one command, and leaves.
func BenchmarkSession(b *testing.B) {
	m := newSpeedBench(b)
	b.ReportAllocs()
	n, start := 0, cpu()
	for b.Loop() {
		c := m.open(b, n%(1<<20))
		n++
		c.standing(shortSelect)
		m.command(c)
		m.turn(time.Microsecond)
		m.answer(b, c, 11, nil)
		m.capture(c, wire.ACK|wire.PSH, packet(0, []byte{byte(mysql.ComQuit)}))
		m.capture(c, wire.ACK|wire.FIN, nil)
		m.turn(time.Microsecond)
		left := c.report(1, 0) // the target's FIN, which acknowledges ours
		left.Flags |= wire.FIN
		left.Ack = left.Ack.Add(1)
		m.say(b, control.AppendReport(nil, &left))
		m.turn(10 * time.Millisecond)
	}
	b.ReportMetric(float64(cpu()-start)/float64(n), "cpu-ns/op")
	if got := m.s.env.Counts.Sessions.Replayed; got < uint64(n)-1 {
		b.Fatalf("%d of %d sessions were replayed", got, n)
	}
}
