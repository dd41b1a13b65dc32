//go:build linux

package intercept

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/control"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

const patience = 20 * time.Second

// A field is two hosts on a cable: here are the client and intercept, there is
// the target. The client is a real one, so its own kernel acknowledges; what
// intercept reports is what a forged client would have to know.
type field struct {
	*testing.T
	here, there *netnstest.Namespace
	target      netip.AddrPort
	config      Config
	logged      *safeBuffer
}

func newField(t *testing.T) *field {
	f := &field{T: t, here: netnstest.New(t), logged: new(safeBuffer)}
	f.there = f.here.Another()
	f.here.Veth(f.there, "cable", []string{"10.77.0.1/24", "fd77::1/64"}, []string{"10.77.0.2/24", "fd77::2/64"})
	for _, key := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		f.here.Run("sysctl", "-qw", key+"=0")
	}
	f.target = netip.MustParseAddrPort("10.77.0.2:3306")
	f.config = Config{
		Interfaces: []string{"cable"},
		Listen:     "127.0.0.1:36524",
		OwnerAway:  500 * time.Millisecond,
		Log:        slog.New(slog.NewTextHandler(f.logged, nil)),
		Status:     f.logged,
		Version:    "test",
	}
	return f
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs intercept until the function it returns is called.
func (f *field) start() (stop func() Summary) {
	f.Helper()
	c := f.config
	c.Target, c.Port = f.target.Addr(), f.target.Port()
	ctx, cancel := context.WithCancel(context.Background())
	var s Summary
	var err error
	var running sync.WaitGroup
	running.Go(func() { f.here.Do(func() { s, err = Run(ctx, c) }) })
	var once sync.Once
	stop = func() Summary {
		once.Do(func() {
			cancel()
			running.Wait()
			if err != nil {
				f.Errorf("intercept: %v", err)
			}
		})
		return s
	}
	f.Cleanup(func() {
		stop()
		if f.Failed() {
			f.Log(f.logged)
		}
	})
	return stop
}

// serve has the target answer commands until the test is over.
func (f *field) serve() {
	f.Helper()
	var l net.Listener
	var err error
	f.there.Do(func() { l, err = net.Listen("tcp", f.target.String()) })
	if err != nil {
		f.Fatal(err)
	}
	var talking sync.WaitGroup
	talking.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talking.Go(func() { answer(c) })
		}
	})
	f.Cleanup(func() {
		l.Close()
		talking.Wait()
	})
}

// answer is a MySQL server as far as framing goes.
func answer(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(packet(0, "\x0a9.9 a greeting")); err != nil {
		return
	}
	var header [mysql.HeaderSize]byte
	for login := true; ; login = false {
		if _, err := io.ReadFull(c, header[:]); err != nil {
			return
		}
		h, _ := mysql.ParseHeader(header[:])
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(c, p); err != nil {
			return
		}
		var out []byte
		switch {
		case login:
			out = packet(h.Sequence+1, "\x00\x00\x00\x02\x00\x00\x00")
		case mysql.Command(p[0]) == mysql.ComQuit:
			return
		case mysql.Command(p[0]) == mysql.ComStmtPrepare:
			out = packet(1, "\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		case string(p[1:]) == "fail":
			out = errPacket
		case string(p[1:]) == "rows":
			out = result(strings.Repeat("x", 100_000), "y")
		default:
			out = okPacket
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// A peer is a mrtecopy as far as the control channel goes.
type peer struct {
	f     *field
	conn  *control.Conn
	hello control.Hello
	rest  []byte
}

// connect connects a shard of a mrtecopy process.
func (f *field) connect(owner [16]byte, shard uint16) *peer {
	f.Helper()
	h := control.Hello{Owner: owner, Shard: shard, Shards: shard + 1, Target: wire.EndpointFrom(f.target)}
	p := &peer{f: f, hello: h}
	var err error
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		p.conn, _, err = control.Dial(context.Background(), []string{f.config.Listen}, control.Config{Key: f.config.Key, Hello: h})
		if err == nil {
			break
		}
		if !errors.Is(err, unix.ECONNREFUSED) || time.Now().After(deadline) {
			f.Fatal(err)
		}
	}
	f.Cleanup(p.conn.Close)
	return p
}

func (p *peer) send(b []byte) {
	p.f.Helper()
	if err := p.conn.Send(b); err != nil {
		p.f.Fatal(err)
	}
}

// next returns the next message.
func (p *peer) next() (control.Type, []byte) {
	p.f.Helper()
	for deadline := time.Now().Add(patience); ; {
		t, body, rest := control.Next(p.rest)
		if p.rest = rest; t != 0 {
			return t, body
		}
		if p.rest = p.conn.Receive(); p.rest != nil {
			continue
		}
		if p.conn.Err() != nil {
			p.f.Fatalf("the control connection ended: %v", p.conn.Err())
		}
		p.wait(deadline)
	}
}

// wait waits until intercept says something.
func (p *peer) wait(deadline time.Time) {
	p.f.Helper()
	fds := [1]unix.PollFd{{Fd: int32(p.conn.FD()), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds[:], int(time.Until(deadline).Milliseconds())); n == 0 && err == nil {
		p.f.Fatal("intercept says nothing")
	}
}

// ended waits until intercept has ended the connection.
func (p *peer) ended() {
	p.f.Helper()
	for deadline := time.Now().Add(patience); p.conn.Err() == nil; p.conn.Receive() {
		p.wait(deadline)
	}
}

// register registers a connection and returns what became of it.
func (p *peer) register(m control.Register) control.RegStatus {
	p.f.Helper()
	m.Target = wire.EndpointFrom(p.f.target)
	p.send(control.AppendRegister(nil, &m))
	for {
		if t, body := p.next(); t == control.TypeRegistered {
			r, ok := control.ParseRegistered(body)
			if !ok || r.ID != m.ID {
				p.f.Fatalf("registration of %d answered by %v", m.ID, r)
			}
			return r.Status
		}
	}
}

// A story is what a connection's messages amount to.
type story struct {
	control.Report // the last one, with the flags of all
	heads          []string
	ended, errors  int
}

// until reads what comes until done says that it is enough.
func (p *peer) until(s *story, done func() bool) {
	p.f.Helper()
	for !done() {
		t, body := p.next()
		switch t {
		case control.TypeReport:
			r, ok := control.ParseReport(body)
			if !ok {
				p.f.Fatalf("malformed report %x", body)
			}
			flags := s.Flags
			s.Report = r
			s.Flags |= flags
			s.ended += int(r.Ended)
			s.errors += int(r.Errors)
		case control.TypeHead:
			h, _ := control.ParseHead(body)
			s.heads = append(s.heads, fmt.Sprintf("%v #%d %.9q", mysql.Kind(h.Kind), h.Sequence, h.Payload))
		case control.TypeLost:
			p.f.Fatal("intercept gave the connection up")
		}
	}
}

// A client is a connection to the target whose replies intercept sees.
type client struct {
	*net.TCPConn
	end wire.Endpoint
}

// dial opens a connection from a port that is known before.
func (f *field) dial(port uint16) *client {
	f.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(f.clientAddr(port)), Timeout: patience}
	c, err := d.Dial("tcp", f.target.String())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close() })
	return &client{c.(*net.TCPConn), wire.EndpointFrom(f.clientAddr(port))}
}

func (f *field) clientAddr(port uint16) netip.AddrPort {
	a := netip.MustParseAddr("10.77.0.1")
	if f.target.Addr().Is6() {
		a = netip.MustParseAddr("fd77::1")
	}
	return netip.AddrPortFrom(a, port)
}

func (c *client) say(t *testing.T, sequence uint8, payload string) {
	t.Helper()
	if _, err := c.Write(packet(sequence, payload)); err != nil {
		t.Fatal(err)
	}
}

func connectionKinds() []byte { return []byte{byte(mysql.KindGreeting), byte(mysql.KindLogin)} }

func newOwner() (o [16]byte) {
	_, _ = rand.Read(o[:])
	return o
}

func TestRepliesAreReported(t *testing.T) {
	for _, target := range []string{"10.77.0.2:3306", "[fd77::2]:3306"} {
		t.Run(target, func(t *testing.T) {
			f := newField(t)
			f.target = netip.MustParseAddrPort(target)
			f.config.Key = &control.Key{1, 2, 3}
			f.config.StatusEvery = 50 * time.Millisecond
			f.serve()
			stop := f.start()
			p := f.connect(newOwner(), 0)
			if got := p.register(control.Register{ID: 7, Client: wire.EndpointFrom(f.clientAddr(40000)), Kinds: connectionKinds()}); got != control.RegOK {
				t.Fatalf("registration: %v", got)
			}
			c := f.dial(40000)
			var s story
			p.until(&s, func() bool { return s.ended == 1 })
			if s.ID != 7 || !s.Flags.Has(wire.SYN|wire.ACK) || len(s.heads) != 1 || s.heads[0] != `greeting #0 "\n9.9 a gr"` {
				t.Fatalf("after the greeting: %+v", s)
			}
			c.say(t, 1, "a login")
			p.until(&s, func() bool { return s.ended == 2 })

			p.send(control.AppendKinds(nil, &control.Kinds{ID: 7, Kinds: []byte{byte(query), byte(prepare), byte(query), byte(query)}}))
			c.say(t, 0, "\x03ok")
			c.say(t, 0, "\x16ok")
			c.say(t, 0, "\x03fail")
			c.say(t, 0, "\x03rows")
			p.until(&s, func() bool { return s.ended == 6 })
			c.say(t, 0, "\x01")
			p.until(&s, func() bool { return s.Flags.Has(wire.FIN) })

			want := []string{`greeting #0 "\n9.9 a gr"`, `greeting #2 "\x00\x00\x00\x02\x00\x00\x00"`}
			want[1] = mysql.KindLogin.String() + want[1][len("greeting"):]
			want = append(want, `COM_STMT_PREPARE #1 "\x00\a\x00\x00\x00\x00\x00\x00\x00"`, `COM_QUERY #1 "\xff\x19\x04#42000"`)
			if fmt.Sprint(s.heads) != fmt.Sprint(want) {
				t.Errorf("heads:\n%q\nwant:\n%q", s.heads, want)
			}
			if s.errors != 1 {
				t.Errorf("%d errors, want 1", s.errors)
			}
			sum := stop()
			if sum.Responses.Ended != 6 || sum.Responses.Errors != 1 || sum.Sessions.Open != 1 || sum.Sessions.Registered != 1 || sum.Held.Bytes != 0 {
				t.Errorf("summary: %+v", sum)
			}
			if got := f.logged.String(); !strings.Contains(got, "segments/s") {
				t.Errorf("no status lines in\n%s", got)
			}
		})
	}
}

// The registration may be slower than the target's SYN-ACK.
func TestALateRegistrationFindsItsSynAck(t *testing.T) {
	f := newField(t)
	f.serve()
	stop := f.start()
	p := f.connect(newOwner(), 0)
	f.dial(40000)
	if got := p.register(control.Register{ID: 1, Client: wire.EndpointFrom(f.clientAddr(40000)), Kinds: connectionKinds()}); got != control.RegOK {
		t.Fatalf("registration: %v", got)
	}
	var s story
	p.until(&s, func() bool { return s.Flags.Has(wire.SYN) })
	if s.Options.MSS == 0 || !s.Options.HasWScale {
		t.Errorf("the SYN-ACK's options: %+v", s.Options)
	}
	if sum := stop(); sum.Segments.Received == 0 {
		t.Errorf("summary: %+v", sum)
	}
}

func TestRegistrationsThatAreRejected(t *testing.T) {
	f := newField(t)
	f.config.MaxSessions = 2
	f.start()
	p, q := f.connect(newOwner(), 0), f.connect(newOwner(), 0)
	end := func(port uint16) wire.Endpoint { return wire.EndpointFrom(f.clientAddr(port)) }
	steps := []struct {
		why  string
		by   *peer
		m    control.Register
		want control.RegStatus
	}{
		{"the first", p, control.Register{ID: 1, Client: end(1)}, control.RegOK},
		{"of another", q, control.Register{ID: 1, Client: end(1)}, control.RegDuplicate},
		{"again by the same", p, control.Register{ID: 1, Client: end(1)}, control.RegOK},
		{"again by another name", p, control.Register{ID: 2, Client: end(1)}, control.RegOK},
		{"of another family", q, control.Register{ID: 2, Client: wire.EndpointFrom(netip.MustParseAddrPort("[fd77::1]:5"))}, control.RegMismatch},
		{"another's own", q, control.Register{ID: 2, Client: end(2)}, control.RegOK},
		{"one too many", q, control.Register{ID: 3, Client: end(3)}, control.RegLimit},
		{"a name used again", q, control.Register{ID: 2, Client: end(2)}, control.RegOK},
	}
	for _, s := range steps {
		if got := s.by.register(s.m); got != s.want {
			t.Errorf("%s: %v, want %v", s.why, got, s.want)
		}
	}
	p.send(control.AppendUnregister(nil, &control.Unregister{ID: 2}))
	// The two connections are not read in a given order.
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if got := q.register(control.Register{ID: 4, Client: end(1)}); got == control.RegOK {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("after it was unregistered: %v", got)
		}
	}
}

func TestAnotherTargetIsRefused(t *testing.T) {
	f := newField(t)
	f.start()
	f.connect(newOwner(), 0)
	h := control.Hello{Shards: 1, Target: wire.EndpointFrom(netip.MustParseAddrPort("10.77.0.9:3306"))}
	_, _, err := control.Dial(context.Background(), []string{f.config.Listen}, control.Config{Hello: h})
	if err == nil || !strings.Contains(err.Error(), "10.77.0.2:3306") {
		t.Errorf("error %v, want one that names the target that is watched", err)
	}
}

// logIn opens a connection up to the login's OK.
func (f *field) logIn(p *peer, id uint32, port uint16) (*client, *story) {
	f.Helper()
	if got := p.register(control.Register{ID: id, Client: wire.EndpointFrom(f.clientAddr(port)), Kinds: connectionKinds()}); got != control.RegOK {
		f.Fatalf("registration: %v", got)
	}
	c := f.dial(port)
	s := new(story)
	p.until(s, func() bool { return s.ended == 1 })
	c.say(f.T, 1, "a login")
	p.until(s, func() bool { return s.ended == 2 })
	return c, s
}

// ended reports whether the target has lost its end of the connection: it
// answers what comes with a RST.
func (f *field) ended(c *client) bool {
	f.Helper()
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := c.Write(packet(0, "\x03ok")); err != nil {
		return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
	}
	for {
		if _, err := c.Read(make([]byte, 1000)); err != nil {
			return errors.Is(err, unix.ECONNRESET)
		}
	}
}

func TestSessionsOfOneWhoStaysAwayAreReset(t *testing.T) {
	for _, target := range []string{"10.77.0.2:3306", "[fd77::2]:3306"} {
		t.Run(target, func(t *testing.T) {
			f := newField(t)
			f.target = netip.MustParseAddrPort(target)
			f.serve()
			stop := f.start()
			gone, there := f.connect(newOwner(), 0), f.connect(newOwner(), 0)
			a, _ := f.logIn(gone, 1, 40001)
			b, _ := f.logIn(gone, 2, 40002)
			c, _ := f.logIn(there, 1, 40003)
			// The ACK number that counts is the last one, though nobody is told.
			gone.conn.Close()
			a.say(t, 0, "\x03ok")
			time.Sleep(2 * f.config.OwnerAway)
			for deadline := time.Now().Add(patience); !f.ended(a) || !f.ended(b); {
				if time.Now().After(deadline) {
					t.Fatal("the sessions of the one who went go on")
				}
			}
			if f.ended(c) {
				t.Error("the session of the other one was reset")
			}
			sum := stop()
			if sum.Resets.Sent != 2 || sum.Resets.Failed != 0 || sum.Sessions.Open != 1 {
				t.Errorf("summary: %+v", sum)
			}
		})
	}
}

func TestOneWhoComesBackGoesOn(t *testing.T) {
	f := newField(t)
	f.config.OwnerAway = 3 * time.Second
	f.serve()
	stop := f.start()
	owner := newOwner()
	p := f.connect(owner, 3)
	kept, s := f.logIn(p, 1, 40001)
	left, _ := f.logIn(p, 2, 40002)
	if p.hello.Shard != 3 {
		t.Fatal(p.hello)
	}
	p.conn.Close()

	// Meanwhile a response comes that nobody is told of.
	kept.say(t, 0, "\x03fail")
	if _, err := io.ReadFull(kept, make([]byte, 18+11+len(errPacket))); err != nil {
		t.Fatal(err)
	}
	p = f.connect(owner, 3)
	m := control.Register{ID: 9, Client: kept.end, Resume: true, RcvNxt: s.RcvNxt, SndUna: s.Ack, Frame: s.Frame, Kinds: []byte{byte(query), byte(query)}}
	if got := p.register(m); got != control.RegOK {
		t.Fatalf("registration: %v", got)
	}
	// The real client has acknowledged the missed response, so the target does
	// not send it again as it would to a forged one: it is made up here.
	f.mirror(p, 9, s.RcvNxt, s.Ack.Add(4+5), kept)
	kept.say(t, 0, "\x03ok")
	again := new(story)
	p.until(again, func() bool { return again.ended == 2 })
	if again.errors != 1 || len(again.heads) != 1 {
		t.Errorf("after the return: %+v", again)
	}
	if f.ended(kept) {
		t.Error("the session that was registered again was reset")
	}
	for deadline := time.Now().Add(patience); !f.ended(left); {
		if time.Now().After(deadline) {
			t.Fatal("the session that was not registered again goes on")
		}
	}
	if sum := stop(); sum.Resets.Sent != 1 || sum.Sessions.Registered != 3 {
		t.Errorf("summary: %+v", sum)
	}
}

// mirror sends the ERR again that the target sent at that position, from there.
func (f *field) mirror(p *peer, id uint32, at, ack seq.Num, c *client) {
	f.Helper()
	g := wire.Segment{Flow: wire.Flow{Src: wire.EndpointFrom(f.target), Dst: c.end}, Seq: at, Ack: ack, Flags: wire.ACK | wire.PSH, Window: 500, Payload: errPacket}
	f.there.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		if err != nil {
			f.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Sendto(fd, g.Append(nil), 0, &unix.SockaddrInet4{Addr: c.end.Addr.Netip().As4()}); err != nil {
			f.Fatal(err)
		}
	})
}

// A second connection of the same shard takes the place of the first.
func TestAConnectionIsReplaced(t *testing.T) {
	f := newField(t)
	f.serve()
	f.start()
	owner := newOwner()
	first := f.connect(owner, 0)
	c, s := f.logIn(first, 1, 40001)
	second := f.connect(owner, 0)
	first.ended()
	m := control.Register{ID: 1, Client: c.end, Resume: true, RcvNxt: s.RcvNxt, SndUna: s.Ack, Frame: s.Frame, Kinds: []byte{byte(query)}}
	if got := second.register(m); got != control.RegOK {
		t.Fatalf("registration: %v", got)
	}
	c.say(t, 0, "\x03ok")
	again := new(story)
	second.until(again, func() bool { return again.ended == 1 })
}

func TestNonsenseEndsAConnection(t *testing.T) {
	f := newField(t)
	f.start()
	for _, b := range [][]byte{
		control.AppendReport(nil, &control.Report{}),
		{0, 0, 0, 3, byte(control.TypeRegister), 1, 2},
	} {
		p := f.connect(newOwner(), 0)
		p.send(b)
		p.ended()
	}
}

func TestStartIsRefused(t *testing.T) {
	f := newField(t)
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no target", func(c *Config) { c.Target = netip.Addr{} }, "no target"},
		{"no port", func(c *Config) { c.Port = 0 }, "no port"},
		{"no such interface", func(c *Config) { c.Interfaces = []string{"nix"} }, "interface nix"},
		{"no such address to listen on", func(c *Config) { c.Listen = "10.99.0.1:36524" }, "control channel"},
		{"IP forwarding without the rule", func(*Config) { f.here.Run("sysctl", "-qw", "net.ipv4.ip_forward=1") }, "intercept route blackhole"},
		{"the same, all interfaces", func(c *Config) { c.Interfaces = nil }, "intercept route blackhole"},
	}
	for _, tt := range tests {
		c := f.config
		c.Target, c.Port = f.target.Addr(), f.target.Port()
		tt.change(&c)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := Run(ctx, c)
		cancel()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestAnInterfaceThatGoesAndComesBack(t *testing.T) {
	f := newField(t)
	f.config.Interfaces = nil // all: lo, too
	f.start()
	p := f.connect(newOwner(), 0)
	f.here.IP("link", "del", "cable")
	f.here.Veth(f.there, "cable", []string{"10.77.0.1/24"}, []string{"10.77.0.2/24"})
	f.serve()
	for deadline := time.Now().Add(patience); !strings.Contains(f.logged.String(), "capture goes on"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the interface is not listened on again")
		}
	}
	f.logIn(p, 1, 40001)
}
