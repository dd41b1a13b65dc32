package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Tests over TCP on the loopback interface wait as long as something takes, up
// to this.
const patience = 30 * time.Second

// noGoroutineLeft fails the test if its end leaves a goroutine of this package.
func noGoroutineLeft(t *testing.T) {
	t.Cleanup(func() {
		var left string
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
			b := make([]byte, 1<<20)
			left = ""
			for _, stack := range strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n") {
				if strings.Contains(stack, "internal/control.") && !strings.Contains(stack, "testing.tRunner") {
					left += stack + "\n\n"
				}
			}
			if left == "" {
				return
			}
		}
		t.Errorf("goroutines left:\n%s", left)
	})
}

// A testServer is a Server that runs until the test ends.
type testServer struct {
	*Server
	addr    string
	conns   chan *Conn // those handed over
	refused chan error // the first few
	stop    func()
}

func serve(t *testing.T, c ServerConfig) *testServer {
	t.Helper()
	noGoroutineLeft(t)
	s := &testServer{conns: make(chan *Conn, 1024), refused: make(chan error, 1024)}
	if c.Admit == nil {
		c.Admit = func(Hello) (Welcome, error) { return Welcome{}, nil }
	}
	c.Handle = func(c *Conn) { s.conns <- c }
	c.Refused = func(_ netip.AddrPort, err error, _ int) { s.refused <- err }
	var err error
	if s.Server, err = Listen("127.0.0.1:0", c); err != nil {
		t.Fatal(err)
	}
	s.addr = s.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := within(t, served); err != nil {
			t.Errorf("Serve: %v", err)
		}
		close(s.conns)
		for c := range s.conns {
			c.Close()
		}
	})
	t.Cleanup(s.stop)
	return s
}

func within[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing happened")
	}
	return v
}

func (s *testServer) dial(t *testing.T, key *Key) (*Conn, Welcome, error) {
	t.Helper()
	return Dial(t.Context(), []string{s.addr}, Config{Key: key, Hello: testHello})
}

var (
	testKey   = &Key{1, 2, 3}
	testHello = Hello{Owner: [16]byte{9, 8, 7}, Shard: 1, Shards: 2, Target: target}
)

func TestConnections(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")}
	for name, key := range map[string]*Key{"TLS": testKey, "plain": nil} {
		t.Run(name, func(t *testing.T) {
			admitted := make(chan Hello, 1)
			s := serve(t, ServerConfig{Key: key, Admit: func(h Hello) (Welcome, error) {
				admitted <- h
				return Welcome{Addrs: addrs}, nil
			}})
			c, welcome, err := s.dial(t, key)
			if err != nil {
				t.Fatal(err)
			}
			d := within(t, s.conns)
			if fmt.Sprint(welcome.Addrs) != fmt.Sprint(addrs) {
				t.Errorf("welcome %v, want %v", welcome.Addrs, addrs)
			}
			if h := within(t, admitted); h != testHello || d.Hello() != testHello || c.Hello() != testHello {
				t.Errorf("hello %+v and %+v, want %+v", h, d.Hello(), testHello)
			}
			if c.Remote().String() != s.addr || d.Remote().String() != localAddr(t, c) {
				t.Errorf("remote addresses %v and %v", c.Remote(), d.Remote())
			}
			bothWays(t, c, d)
			s.stop() // those handed over go on
			bothWays(t, d, c)
			closing := make(chan struct{})
			go func() { c.Close(); close(closing) }()
			e := ear{c: d}
			e.until(t, func() bool { return d.Err() != nil })
			ended(t, d, io.EOF)
			within(t, closing)
			ended(t, c, net.ErrClosed)
			d.Close()
		})
	}
}

// localAddr is this side's address of c.
func localAddr(t *testing.T, c *Conn) string {
	t.Helper()
	sa, err := unix.Getsockname(c.FD())
	if err != nil {
		t.Fatal(err)
	}
	v4 := sa.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port)).String()
}

// An ear drives a connection and keeps the messages that it hears.
type ear struct {
	c    *Conn
	data []byte
}

// hear takes what has come, and writes what can be.
func (e *ear) hear() {
	e.c.Flush()
	for batch := e.c.Receive(); batch != nil; batch = e.c.Receive() {
		for typ, body, rest := Next(batch); typ != 0; typ, body, rest = Next(rest) { // without pings, which come when they like
			var at int
			e.data, at = begin(e.data, typ)
			e.data = finish(append(e.data, body...), at)
		}
	}
}

// until hears, and has the others hear, until done.
func (e *ear) until(t testing.TB, done func() bool, others ...*ear) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Microsecond) {
		for _, o := range append(others, e) {
			o.hear()
		}
		if done() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nothing happened: %d octets heard; %v", len(e.data), e.c.Err())
		}
	}
}

// expect waits for want.
func (e *ear) expect(t testing.TB, want []byte, others ...*ear) {
	t.Helper()
	e.until(t, func() bool { return len(e.data) >= len(want) || e.c.Err() != nil }, others...)
	if !bytes.Equal(e.data, want) {
		t.Fatalf("got %d octets, want %d; %v", len(e.data), len(want), e.c.Err())
	}
}

// bothWays sends messages of all sizes over a connection whose ends are a and z.
func bothWays(t *testing.T, a, z *Conn) {
	t.Helper()
	var out []byte
	for i := range 300 {
		out = AppendHead(out, &Head{ID: uint32(i), Payload: make([]byte, i*i)})
		out = AppendReport(out, &report)
	}
	for b := out; len(b) > 0; {
		_, _, rest := Next(b)
		for _, c := range []*Conn{a, z} {
			if err := c.Send(b[:len(b)-len(rest)]); err != nil {
				t.Fatal(err)
			}
		}
		b = rest
	}
	ends := [2]*ear{{c: a}, {c: z}}
	ends[0].expect(t, out, ends[1])
	ends[1].expect(t, out, ends[0])
}

// A steady state costs no allocation but the one, of 32 octets, that crypto/tls
// makes for each record it reads.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	for name, key := range map[string]*Key{"TLS": testKey, "plain": nil} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ServerConfig{Key: key})
			c, _, err := s.dial(t, key)
			if err != nil {
				t.Fatal(err)
			}
			d := within(t, s.conns)
			out := AppendKinds(nil, &Kinds{1, []byte{3, 3, 3}})
			for range 500 {
				out = AppendReport(out, &report)
			}
			turn := func() {
				if err := c.Send(out); err != nil {
					t.Fatal(err)
				}
				for n := 0; n < len(out); {
					c.Flush()
					n += len(d.Receive())
				}
			}
			for range 20 {
				turn() // the buffers grow to what is needed
			}
			want := 0
			if key != nil {
				const record = 16 << 10
				want = (len(out) + record - 1) / record
			}
			if n := testing.AllocsPerRun(500, turn); n >= float64(want+1) {
				t.Errorf("a turn allocates %v times, want %d", n, want)
			}
			c.Close()
			d.Close()
		})
	}
}

// mismatch checks that err is a MismatchError that says want.
func mismatch(t *testing.T, err error, want ...string) {
	t.Helper()
	var m *MismatchError
	if !errors.As(err, &m) {
		t.Errorf("error %v, want a MismatchError", err)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q, want %q in it", err, w)
		}
	}
}

func TestWrongKey(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	_, _, err := s.dial(t, &Key{1, 2, 4})
	mismatch(t, err, "intercept "+s.addr, "the key does not match the intercept's", "same --key-file")
	mismatch(t, within(t, s.refused), "the key does not match the mrtecopy's")
	if _, _, err := s.dial(t, testKey); err != nil {
		t.Errorf("the right key behind the wrong one: %v", err)
	}
}

func TestModesMustAgree(t *testing.T) {
	t.Run("only intercept has a key", func(t *testing.T) {
		s := serve(t, ServerConfig{Key: testKey})
		_, _, err := s.dial(t, nil)
		mismatch(t, err, "intercept runs with a key (--key-file), this mrtecopy without a key (--insecure)", "both the same --key-file, or both --insecure")
		mismatch(t, within(t, s.refused), "mrtecopy runs without a key (--insecure), this intercept with a key (--key-file)")
	})
	t.Run("only mrtecopy has a key", func(t *testing.T) {
		s := serve(t, ServerConfig{})
		_, _, err := s.dial(t, testKey)
		mismatch(t, err, "intercept runs without a key (--insecure), this mrtecopy with a key (--key-file)")
		mismatch(t, within(t, s.refused), "mrtecopy runs with a key (--key-file), this intercept without a key (--insecure)")
	})
}

// tcp connects as a stranger does.
func tcp(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// impostor listens, and plays one connection by what it is given.
func impostor(t *testing.T, play func(c *net.TCPConn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	t.Cleanup(playing.Wait)
	t.Cleanup(func() { ln.Close() })
	playing.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		play(c.(*net.TCPConn))
	})
	return ln.Addr().String()
}

func TestVersionsMustAgree(t *testing.T) {
	other := prefaceOf(modeTLS)
	other[len(magic)] = 200
	t.Run("a newer mrtecopy", func(t *testing.T) {
		s := serve(t, ServerConfig{Key: testKey})
		c := tcp(t, s.addr)
		if _, err := c.Write(other[:]); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if want := prefaceOf(modeTLS); err != nil || !bytes.Equal(answer, want[:]) {
			t.Errorf("answer %q, %v, want the preface and the end", answer, err)
		}
		mismatch(t, within(t, s.refused), "mrtecopy speaks version 200", "this intercept version 1", "same release")
	})
	t.Run("a newer intercept", func(t *testing.T) {
		noGoroutineLeft(t)
		addr := impostor(t, func(c *net.TCPConn) {
			_, _ = io.ReadFull(c, make([]byte, prefaceSize))
			_, _ = c.Write(other[:])
		})
		_, _, err := Dial(t.Context(), []string{addr}, Config{Key: testKey, Hello: testHello})
		mismatch(t, err, "intercept speaks version 200", "this mrtecopy version 1", "same release")
	})
}

func TestRefusalOfTheProgram(t *testing.T) {
	for name, key := range map[string]*Key{"TLS": testKey, "plain": nil} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ServerConfig{Key: key, Admit: func(h Hello) (Welcome, error) {
				return Welcome{}, fmt.Errorf("target %v is not watched here\x1b[2J", h.Target)
			}})
			_, _, err := s.dial(t, key)
			mismatch(t, err, "refused: target [2001:db8::6]:3306 is not watched here\ufffd[2J")
			if err := within(t, s.refused); !strings.Contains(err.Error(), "not watched") {
				t.Errorf("reported %v", err)
			}
		})
	}
}

func TestDialTriesInOrder(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	mysql := impostor(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("J\x00\x00\x00\x0a9.7.0\x00salt and so on"))
		_, _ = io.Copy(io.Discard, c)
	})
	closes := impostor(t, func(c *net.TCPConn) { _, _ = io.ReadFull(c, make([]byte, prefaceSize)) })
	wrong := serve(t, ServerConfig{})
	config := Config{Key: testKey, Hello: testHello}

	c, _, err := Dial(t.Context(), []string{nobody, mysql, closes, wrong.addr, s.addr}, config)
	if err != nil {
		t.Fatal(err)
	}
	if c.Remote().String() != s.addr {
		t.Errorf("connected to %v", c.Remote())
	}
	c.Close()

	_, _, err = Dial(t.Context(), []string{nobody, wrong.addr}, config)
	mismatch(t, err, "intercept "+nobody+": ", "connection refused: is intercept running there?; intercept "+wrong.addr+": ")
	if _, _, err := Dial(t.Context(), nil, config); err == nil {
		t.Error("connected to nothing")
	}
	for addr, want := range map[string]string{
		impostor(t, func(c *net.TCPConn) {
			_, _ = c.Write([]byte("J\x00\x00\x00\x0a9.7.0"))
			_, _ = io.Copy(io.Discard, c)
		}): `no intercept listens there: the answer began with "J\x00\x00\x00\n9.7.`,
		impostor(t, func(c *net.TCPConn) { _, _ = io.ReadFull(c, make([]byte, prefaceSize)) }): "closed without an answer",
		"127.0.0.1:nonsense": "intercept 127.0.0.1:nonsense: ",
		"nobody.invalid:1":   "a name that this host can resolve",
	} {
		if _, _, err := Dial(t.Context(), []string{addr}, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestDialIsCancelled(t *testing.T) {
	noGoroutineLeft(t)
	ctx, cancel := context.WithCancel(t.Context())
	addr := impostor(t, func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, prefaceSize))
		cancel() // in the middle of the handshake
		_, _ = io.Copy(io.Discard, c)
	})
	_, _, err := Dial(ctx, []string{addr, addr}, Config{Hello: testHello})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	const count = 40
	var dialing sync.WaitGroup
	conns := make(chan *Conn, count)
	for range count {
		dialing.Go(func() {
			c, _, err := s.dial(t, testKey)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Send(AppendUnregister(nil, &Unregister{5})); err != nil {
				t.Error(err)
			}
			conns <- c
		})
	}
	dialing.Wait()
	for range len(conns) {
		e := ear{c: within(t, s.conns)}
		e.expect(t, AppendUnregister(nil, &Unregister{5}))
		e.c.Abort(io.EOF) // so that the other side need not wait
	}
	close(conns)
	for c := range conns {
		c.Close()
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	s := serve(t, ServerConfig{})
	_, err := Listen(s.addr, ServerConfig{})
	if err == nil || !strings.Contains(err.Error(), "control channel: listen tcp "+s.addr) {
		t.Errorf("error %v", err)
	}
	other, err := Listen("127.0.0.1:0", ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := other.Serve(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serving a closed listener: %v", err)
	}
}
