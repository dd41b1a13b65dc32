package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pipe is a stream of a handshake in a synctest bubble, where its five seconds
// take no time.
type pipe struct{ net.Conn }

// CloseWrite closes both ways, as a pipe cannot be half closed.
func (p pipe) CloseWrite() error { return p.Close() }

// half returns a connection to peer, which is not one of ours.
func half(t *testing.T) (c *Conn, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer = tcp(t, l.Addr().String())
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := newSocket(other.(*net.TCPConn))
	if c, err = newConn(s, s, "X", Hello{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Abort(net.ErrClosed) })
	return c, peer
}

// whole returns both ends of a connection.
func whole(t *testing.T) (a, b *Conn) {
	t.Helper()
	a, peer := half(t)
	s := newSocket(peer)
	b, err := newConn(s, s, "a", Hello{})
	if err != nil {
		t.Fatal(err)
	}
	a.peer = "b"
	t.Cleanup(func() { b.Abort(net.ErrClosed) })
	return a, b
}

// ended checks that c ended because of want.
func ended(t *testing.T, c *Conn, want error) {
	t.Helper()
	select {
	case <-c.Done():
	default:
		t.Fatal("the connection lives")
	}
	if err := c.Err(); !errors.Is(err, want) {
		t.Errorf("ended with %v, want %v", err, want)
	}
	if c.FD() != -1 || c.Receive() != nil || c.More() {
		t.Error("something is left of it")
	}
}

// ticks tells c the time, a second after the other, until it has ended, or for n
// seconds; it returns how many that were. meanwhile is done each second.
func ticks(c *Conn, n int, meanwhile func()) (seconds int) {
	for ; seconds < n && c.Err() == nil; seconds++ {
		c.Tick(time.Duration(1+seconds) * time.Second)
		if meanwhile != nil {
			meanwhile()
		}
	}
	return seconds
}

// readable waits until there is something to receive.
func readable(t *testing.T, c *Conn) {
	t.Helper()
	if !c.await(unix.POLLIN, time.Now().Add(patience)) {
		t.Fatal("nothing comes")
	}
}

func TestIdleConnectionsLive(t *testing.T) {
	a, b := whole(t)
	pings := 0
	for second := time.Second; second < 10*time.Minute; second += time.Second {
		for _, c := range [][2]*Conn{{a, b}, {b, a}} {
			c[0].Tick(second)
			if c[0].said {
				pings++
				readable(t, c[1])
			}
			if c[1].Receive() != nil {
				t.Fatal("a ping was delivered")
			}
		}
	}
	if a.Err() != nil || b.Err() != nil {
		t.Fatalf("ended: %v; %v", a.Err(), b.Err())
	}
	if most := 2 * 10 * 60 / 5; pings > most || pings < most*3/4 {
		t.Errorf("%d pings, want %d or a few less", pings, most)
	}
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	c, peer := half(t)
	if n := ticks(c, 100, nil); n != 16 {
		t.Errorf("given up after %d seconds", n-1)
	}
	if err := c.Err(); err == nil || err.Error() != "control connection with X: nothing heard for 15s" {
		t.Errorf("ended with %v", err)
	}
	if pings, _ := io.ReadAll(peer); !bytes.Equal(pings, bytes.Repeat(ping[:], 2)) {
		t.Errorf("heard % x, want two pings", pings)
	}
}

func TestPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	c, peer := half(t)
	if err := c.Send(make([]byte, 16<<20)); err != nil { // more than the kernel takes
		t.Fatal(err)
	}
	n := ticks(c, 100, func() { // it pings on
		if _, err := peer.Write(ping[:]); err == nil && c.Err() == nil {
			readable(t, c)
			c.Receive()
		}
	})
	if n < 16 { // the kernel takes some more at times
		t.Errorf("given up after %d seconds", n-1)
	}
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "took nothing for 15s") {
		t.Errorf("ended with %v", err)
	}
}

// Who was stopped himself has heard nothing, and must not blame the peer.
func TestOwnPauseIsNotThePeersSilence(t *testing.T) {
	c, _ := half(t)
	for i := range 4 {
		c.Tick(time.Duration(1+i) * time.Hour)
	}
	if c.Err() != nil {
		t.Errorf("ended: %v", c.Err())
	}
	ticks(c, 100, nil)
	if c.Err() == nil {
		t.Error("the peer is silent for ever")
	}
}

// A peer that is alive may be slow, and pings in the middle of a frame's time are
// not needed.
func TestSlowFrameArrives(t *testing.T) {
	c, peer := half(t)
	frame := AppendHead(nil, &Head{ID: 4, Payload: []byte("greeting")})
	now := time.Second
	for i, octet := range frame {
		for range deadAfter/time.Second - 1 {
			now += time.Second
			c.Tick(now)
		}
		if _, err := peer.Write([]byte{octet}); err != nil {
			t.Fatal(err)
		}
		readable(t, c)
		if got := c.Receive(); i < len(frame)-1 && got != nil || i == len(frame)-1 && !bytes.Equal(got, frame) {
			t.Fatalf("after %d octets: got % x; %v", i+1, got, c.Err())
		}
	}
}

func TestMessagesStayInOrder(t *testing.T) {
	a, b := whole(t)
	const count = 500
	payload := make([]byte, batchSize/2)
	for i := range count {
		binary.BigEndian.PutUint32(payload, uint32(i))
		if err := a.Send(AppendHead(nil, &Head{ID: uint32(i), Payload: payload})); err != nil {
			t.Fatal(err)
		}
	}
	if a.Pending() == 0 || a.Events()&unix.POLLOUT == 0 {
		t.Error("the kernel took everything")
	}
	for next := uint32(0); next < count; {
		a.Flush()
		batch := b.Receive()
		if batch == nil && !b.await(unix.POLLIN, time.Now().Add(patience)) {
			t.Fatalf("message %d of %d never came: %v, %v", next, count, a.Err(), b.Err())
		}
		for typ, body, rest := Next(batch); typ != 0; typ, body, rest = Next(rest) {
			m, ok := ParseHead(body)
			if !ok || m.ID != next || binary.BigEndian.Uint32(m.Payload) != next {
				t.Fatalf("got message %d, %v, want %d", m.ID, ok, next)
			}
			next++
		}
	}
	if a.Flush(); a.Pending() != 0 || a.Events() != unix.POLLIN {
		t.Errorf("%d octets are pending", a.Pending())
	}
}

func TestSendIsBounded(t *testing.T) {
	c, _ := half(t)
	const piece = 1 << 20
	b := make([]byte, piece)
	for c.Send(b) == nil {
		if c.Pending() > MaxPending {
			t.Fatalf("%d octets are pending", c.Pending())
		}
	}
	ended(t, c, errPending)
	if err := c.Send(ping[:]); !errors.Is(err, errPending) {
		t.Errorf("sending again: %v", err)
	}
	if c.Pending() != 0 {
		t.Error("they are kept")
	}
}

// What TLS writes by itself is bounded as well.
func TestSocketIsBounded(t *testing.T) {
	c, _ := half(t)
	b := make([]byte, 1<<20)
	var err error
	for n := 0; err == nil; n += len(b) {
		if n > MaxPending {
			t.Fatal("it takes everything")
		}
		_, err = c.socket.Write(b)
	}
	if !errors.Is(err, errPending) {
		t.Error(err)
	}
}

// What was written does not count against the bound.
func TestSendOfTheBoundAgainAndAgain(t *testing.T) {
	c, peer := half(t)
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	b := make([]byte, MaxPending)
	for range 3 {
		if err := c.Send(b); err != nil {
			t.Fatal(err)
		}
		for c.Pending() > 0 && c.Err() == nil {
			if !c.await(unix.POLLOUT, time.Now().Add(patience)) {
				t.Fatal("the kernel takes nothing")
			}
			c.Flush()
		}
	}
	if c.Err() != nil || cap(c.pending.b) > maxKeptBuffer || cap(c.socket.out.b) > maxKeptBuffer {
		t.Errorf("%d and %d octets are kept; %v", cap(c.pending.b), cap(c.socket.out.b), c.Err())
	}
}

func TestCloseWritesWhatWasSent(t *testing.T) {
	a, b := whole(t)
	var want []byte
	for i := range 10_000 { // more than the kernel takes
		want = AppendHead(want, &Head{ID: uint32(i), Payload: make([]byte, 1000)})
	}
	if err := a.Send(want); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		a.Close()
		a.Close() // again is nothing
		close(closed)
	}()
	e := ear{c: b}
	e.until(t, func() bool { return b.Err() != nil })
	if !bytes.Equal(e.data, want) {
		t.Errorf("got %d octets, want %d", len(e.data), len(want))
	}
	ended(t, b, io.EOF)
	within(t, closed)
	ended(t, a, net.ErrClosed)
	if err := a.Send(ping[:]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("sending behind the end: %v", err)
	}
}

func TestCloseDoesNotWaitForADeadPeer(t *testing.T) {
	for name, n := range map[string]int{"that reads nothing": 16 << 20, "that says nothing": 0} {
		t.Run(name, func(t *testing.T) {
			c, _ := half(t)
			if err := c.Send(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			c.Close()
			ended(t, c, net.ErrClosed)
		})
	}
}

func TestAbort(t *testing.T) {
	a, b := whole(t)
	why := Malformed(TypeLost)
	a.Abort(why)
	a.Abort(io.ErrNoProgress) // the first counts
	ended(t, a, why)
	readable(t, b)
	b.Receive()
	ended(t, b, io.EOF)
	if want := "control connection with b: malformed or unexpected Lost message"; a.Err().Error() != want {
		t.Errorf("error %q, want %q", a.Err(), want)
	}
}

// A peer that resets the connection ends it, wherever that is noticed.
func TestReset(t *testing.T) {
	for name, notice := range map[string]func(c *Conn){
		"receiving": func(c *Conn) { c.Receive() },
		"sending":   func(c *Conn) { _ = c.Send(ping[:]) },
	} {
		t.Run(name, func(t *testing.T) {
			c, peer := half(t)
			_ = peer.SetLinger(0)
			peer.Close()
			readable(t, c)
			notice(c)
			if err := c.Err(); err == nil || !strings.Contains(err.Error(), "control connection with X: ") {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestImpossibleFramesEndTheConnection(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
	}{
		{"length 0", []byte{0, 0, 0, 0, byte(TypeLost)}},
		{"length over the limit", binary.BigEndian.AppendUint32(nil, MaxFrame+1)},
		{"length of four gigabytes", []byte{0xff, 0xff, 0xff, 0xff}},
		{"type 0", []byte{0, 0, 0, 1, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := AppendLost(nil, &Lost{1, LostFraming})
			got, c := deliveries(t, &script{in: append(good[:len(good):len(good)], good...)})
			if len(got) != 2 || !errors.Is(c.Err(), io.EOF) {
				t.Fatalf("%d messages, then %v", len(got), c.Err())
			}
			_, c = deliveries(t, &script{in: append(good, tt.in...), cuts: []byte{1}})
			if !errors.Is(c.Err(), errFrame) {
				t.Errorf("ended with %v", c.Err())
			}
		})
	}
}

// A long frame's buffer is given back behind it.
func TestBufferShrinks(t *testing.T) {
	a, b := whole(t)
	for _, size := range []int{10, 200 << 10, 10, 10} {
		frame := AppendHead(nil, &Head{Payload: make([]byte, size)})
		if err := a.Send(frame); err != nil {
			t.Fatal(err)
		}
		e := ear{c: b}
		e.expect(t, frame, &ear{c: a})
	}
	if len(b.in) != batchSize {
		t.Errorf("a buffer of %d octets is kept", len(b.in))
	}
}

// Who says next to nothing without end does not keep the owner from other things.
func TestReceiveGivesUpAWhile(t *testing.T) {
	c, peer := half(t)
	c.stream = &script{in: bytes.Repeat(ping[:], 1000), cuts: []byte{1}}
	turns := 0
	for c.Receive() == nil && c.More() {
		turns++
	}
	if want := 1000 * len(ping) / maxReads; turns != want {
		t.Errorf("%d turns, want %d", turns, want)
	}
	ended(t, c, io.EOF)
	peer.Close()
}

// A peer that takes little at a time does not have all of the rest moved each time.
func TestQueue(t *testing.T) {
	var q queue
	all := make([]byte, 1<<20)
	for i := range all {
		all[i] = byte(i >> 3)
	}
	q.add(all)
	moved := 0
	for at := 0; at < len(all); at += 1000 {
		if !bytes.Equal(q.octets(), all[at:]) {
			t.Fatalf("%d octets are left, want %d", q.size(), len(all)-at)
		}
		q.take(min(1000, q.size()))
		if q.taken == 0 {
			moved += q.size()
		}
	}
	if most := 10 * len(all); moved > most {
		t.Errorf("%d octets were moved for %d", moved, len(all))
	}
}
