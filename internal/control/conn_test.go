package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A pipe is one end of a connection in a synctest bubble, where the five and
// fifteen seconds of the protocol take no time. It holds no data: each write
// waits for its reader.
type pipe struct{ net.Conn }

// CloseWrite closes both ways, as a pipe cannot be half closed.
func (p pipe) CloseWrite() error { return p.Close() }

// An inbox is a receiver of batches, as an engine has one.
type inbox struct {
	mu      sync.Mutex
	batches [][]byte
	ends    int
	late    bool // a batch came behind the end
}

func (in *inbox) deliver(_ *Conn, batch []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.late = in.late || in.ends > 0
	if batch == nil {
		in.ends++
		return
	}
	in.batches = append(in.batches, batch)
}

// take returns what came since the last call.
func (in *inbox) take() [][]byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	b := in.batches
	in.batches = nil
	return b
}

// ended checks that c ended because of want, and that in was told once.
func (in *inbox) ended(t *testing.T, c *Conn, want error) {
	t.Helper()
	select {
	case <-c.Done():
	default:
		t.Fatal("the connection lives")
	}
	if err := c.Err(); !errors.Is(err, want) {
		t.Errorf("ended with %v, want %v", err, want)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ends != 1 || in.late {
		t.Errorf("%d notifications of the end; a batch behind it: %v", in.ends, in.late)
	}
}

func pipes() (a, b *Conn) {
	p, q := net.Pipe()
	return newConn(p, pipe{p}, "b", Hello{}), newConn(q, pipe{q}, "a", Hello{})
}

func TestIdleConnectionsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipes()
		var inA, inB inbox
		a.Start(inA.deliver)
		b.Start(inB.deliver)
		time.Sleep(time.Hour)
		synctest.Wait()
		if a.Err() != nil || b.Err() != nil {
			t.Fatalf("ended: %v; %v", a.Err(), b.Err())
		}
		if inA.take() != nil || inB.take() != nil {
			t.Error("pings were delivered")
		}
		a.Close()
		synctest.Wait()
		inA.ended(t, a, net.ErrClosed)
		inB.ended(t, b, io.EOF)
	})
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := net.Pipe()
		c := newConn(p, pipe{p}, "intercept X", Hello{})
		var in inbox
		start := time.Now()
		c.Start(in.deliver)
		pings, _ := io.ReadAll(q) // it hears, and says nothing
		if got := time.Since(start); got != deadAfter {
			t.Errorf("given up after %v, want %v", got, deadAfter)
		}
		if want := bytes.Repeat(ping[:], 2); !bytes.HasPrefix(pings, want) {
			t.Errorf("heard % x, want pings", pings)
		}
		synctest.Wait()
		in.ended(t, c, os.ErrDeadlineExceeded)
		if want := "control connection with intercept X: nothing heard for 15s"; !strings.Contains(c.Err().Error(), want) {
			t.Errorf("error %q, want %q in it", c.Err(), want)
		}
	})
}

func TestPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := net.Pipe()
		c := newConn(p, pipe{p}, "X", Hello{})
		var in inbox
		c.Start(in.deliver)
		for c.Err() == nil { // it pings on
			_, _ = q.Write(ping[:])
			time.Sleep(pingEvery)
		}
		synctest.Wait()
		in.ended(t, c, os.ErrDeadlineExceeded)
		if want := "took nothing for 15s"; !strings.Contains(c.Err().Error(), want) {
			t.Errorf("error %q, want %q in it", c.Err(), want)
		}
	})
}

// A peer that is alive may be slow, and pings in the middle of a frame's time are
// not needed.
func TestSlowFrameArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := net.Pipe()
		c := newConn(p, pipe{p}, "X", Hello{})
		var in inbox
		c.Start(in.deliver)
		go func() { _, _ = io.Copy(io.Discard, q) }()
		frame := AppendHead(nil, &Head{ID: 4, Payload: []byte("greeting")})
		for _, octet := range frame {
			time.Sleep(deadAfter - time.Second)
			if _, err := q.Write([]byte{octet}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		got := in.take()
		if len(got) != 1 || !bytes.Equal(got[0], frame) {
			t.Errorf("got % x", got)
		}
		c.Close()
		in.ended(t, c, net.ErrClosed)
		q.Close()
	})
}

func TestReaderWaitsForItsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipes()
		var inA, inB inbox
		a.Start(inA.deliver)
		b.Start(inB.deliver)
		const count = 10 * maxBatches
		payload := make([]byte, batchSize/2)
		for i := range count {
			binary.BigEndian.PutUint32(payload, uint32(i))
			if err := a.Send(AppendHead(nil, &Head{ID: uint32(i), Payload: payload})); err != nil {
				t.Fatal(err)
			}
		}
		next := uint32(0)
		for next < count {
			synctest.Wait() // until nothing moves
			batches := inB.take()
			if len(batches) > maxBatches {
				t.Fatalf("%d batches are out, at most %d may be", len(batches), maxBatches)
			}
			if len(batches) == 0 {
				t.Fatalf("message %d of %d never came: %v, %v", next, count, a.Err(), b.Err())
			}
			for _, batch := range batches {
				for typ, body, rest := Next(batch); typ != 0; typ, body, rest = Next(rest) {
					m, ok := ParseHead(body)
					if !ok || m.ID != next || binary.BigEndian.Uint32(m.Payload) != next {
						t.Fatalf("got message %d, %v, want %d", m.ID, ok, next)
					}
					next++
				}
				b.Release(batch)
			}
		}
		a.Close()
		b.Close()
	})
}

func TestReceiverThatGivesNothingBack(t *testing.T) {
	fill := func() (a, b *Conn, inA, inB *inbox) {
		a, b = pipes()
		inA, inB = new(inbox), new(inbox)
		a.Start(inA.deliver)
		b.Start(inB.deliver)
		for range 4 * maxBatches {
			if err := a.Send(AppendHead(nil, &Head{Payload: make([]byte, batchSize)})); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(inB.take()); n != maxBatches {
			t.Fatalf("%d batches, want %d", n, maxBatches)
		}
		return a, b, inA, inB
	}
	t.Run("is as good as dead", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, inA, _ := fill()
			<-a.Done()
			synctest.Wait()
			inA.ended(t, a, os.ErrDeadlineExceeded)
			b.Close()
		})
	})
	t.Run("may close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, _, inB := fill()
			b.Close() // while its reader waits
			inB.ended(t, b, net.ErrClosed)
			a.Close()
		})
	})
}

func TestSendIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := net.Pipe()
		c := newConn(p, pipe{p}, "X", Hello{})
		var in inbox
		c.Start(in.deliver)
		const piece = 1 << 20
		b := make([]byte, piece)
		sent := 0
		for c.Send(b) == nil {
			sent += piece
			synctest.Wait() // the writer has taken what it could, and waits
		}
		if sent != MaxPending {
			t.Errorf("%d octets were taken, want %d", sent, MaxPending)
		}
		synctest.Wait()
		in.ended(t, c, errPending)
		if err := c.Send(ping[:]); !errors.Is(err, errPending) {
			t.Errorf("sending again: %v", err)
		}
		q.Close()
	})
}

// What was written does not count against the bound.
func TestSendOfTheBoundAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := net.Pipe()
		c := newConn(p, pipe{p}, "X", Hello{})
		var in inbox
		c.Start(in.deliver)
		go func() { _, _ = io.Copy(io.Discard, q) }()
		b := make([]byte, MaxPending)
		for range 3 {
			if err := c.Send(b); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		c.Close()
		in.ended(t, c, net.ErrClosed)
		q.Close()
	})
}

func TestCloseWritesWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipes()
		var inA, inB inbox
		if err := a.Send(AppendUnregister(nil, &Unregister{1})); err != nil { // before the start
			t.Fatal(err)
		}
		a.Start(inA.deliver)
		b.Start(inB.deliver)
		if err := a.Send(AppendUnregister(nil, &Unregister{2})); err != nil {
			t.Fatal(err)
		}
		a.Close()
		a.Close() // again is nothing
		synctest.Wait()
		got := bytes.Join(inB.take(), nil)
		if want := AppendUnregister(AppendUnregister(nil, &Unregister{1}), &Unregister{2}); !bytes.Equal(got, want) {
			t.Errorf("got % x, want % x", got, want)
		}
		inA.ended(t, a, net.ErrClosed)
		inB.ended(t, b, io.EOF)
		if err := a.Send(ping[:]); !errors.Is(err, net.ErrClosed) {
			t.Errorf("sending behind the end: %v", err)
		}
	})
}

func TestCloseDoesNotWaitForADeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := net.Pipe()
		c := newConn(p, pipe{p}, "X", Hello{})
		var in inbox
		c.Start(in.deliver)
		if err := c.Send(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.Close()
		if got := time.Since(start); got != linger {
			t.Errorf("Close took %v, want %v", got, linger)
		}
		in.ended(t, c, net.ErrClosed)
		q.Close()
	})
}

func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipes()
		var inA, inB inbox
		a.Start(inA.deliver)
		b.Start(inB.deliver)
		why := Malformed(TypeLost)
		a.Abort(why)
		a.Abort(io.ErrNoProgress) // the first counts
		synctest.Wait()
		inA.ended(t, a, why)
		inB.ended(t, b, io.EOF)
		if want := "control connection with b: malformed or unexpected Lost message"; a.Err().Error() != want {
			t.Errorf("error %q, want %q", a.Err(), want)
		}
	})
}

// What ends before it starts is told all the same, and leaves nothing behind.
func TestEndBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipes()
		a.Close()
		if !errors.Is(a.Err(), net.ErrClosed) {
			t.Errorf("ended with %v", a.Err())
		}
		var inA, inB inbox
		a.Start(inA.deliver)
		b.Start(inB.deliver)
		synctest.Wait()
		inA.ended(t, a, net.ErrClosed)
		inB.ended(t, b, io.EOF)
	})
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

// A receiver that mixes up its slices costs memory, no more.
func TestReleaseOfAnotherSlice(t *testing.T) {
	c := newConn(nil, nil, "X", Hello{})
	for range 2 * maxBatches {
		c.Release(make([]byte, 10))
	}
	r := reader{c: c}
	if !r.get() || len(r.buf) != batchSize {
		t.Errorf("got a buffer of %d", len(r.buf))
	}
}
