package intercept

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/tcpstate"
	"mrtecopy/internal/wire"
)

// A socket of the kernel gets all we send, and ends in order, over a link that
// loses and reorders both ways: its SACK blocks are those we have to understand.
func TestLinuxReceivesEverythingOverALossyLink(t *testing.T) {
	for _, sack := range []string{"1", "0"} {
		for _, loss := range []float64{0.01, 0.05} {
			t.Run(fmt.Sprintf("sack=%s/loss=%v", sack, loss), func(t *testing.T) {
				t.Parallel()
				lossyTransfer(t, sack, loss)
			})
		}
	}
}

func lossyTransfer(t *testing.T, sack string, loss float64) {
	ns := netnstest.New(t)
	tun := int(ns.Tun("t0", "10.9.0.1/24").Fd())
	var l net.Listener
	var err error
	ns.Do(func() {
		if err = os.WriteFile("/proc/sys/net/ipv4/tcp_sack", []byte(sack), 0); err == nil {
			l, err = net.Listen("tcp4", "10.9.0.1:3306")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	type result struct {
		data []byte
		err  error
	}
	got := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- result{nil, err}
			return
		}
		defer c.Close()
		data, err := io.ReadAll(c)
		got <- result{data, err}
	}()

	rng := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	start := time.Now()
	o := newOurs(true)
	clock := func() time.Duration { return time.Since(start) + time.Second }
	o.now = clock()
	flow := scriptFlow.Reverse()
	flow.Src.Port, flow.Dst.Port = 40000, 3306
	const iss seq.Num = 0xfffff000
	o.recv.listen(&o.w, iss)
	o.conn.Open(o.now, flow, iss, 1460)
	o.conn.Write(&o.pool, want)
	o.conn.Close()

	var b [1 << 16]byte
	var late []byte // a packet that the next one overtakes
	for o.conn.State() != tcpstate.TimeWait && o.conn.Fate() == tcpstate.Alive {
		if time.Since(start) > time.Minute {
			t.Fatalf("%v after a minute, %d octets are not acknowledged", o.conn.State(), o.conn.Backlog())
		}
		o.now = clock()
		o.poll()
		for i := range o.out {
			p := o.out[i].Append(nil)
			switch r := rng.Float64(); {
			case r < loss:
				continue
			case r < 2*loss && late == nil:
				late = p
				continue
			}
			write(t, tun, p)
			if late != nil {
				write(t, tun, late)
				late = nil
			}
		}
		o.out = o.out[:0]
		timeout := 10 * time.Millisecond
		if d := o.conn.Deadline(); d != 0 {
			timeout = max(0, min(d-clock(), timeout))
		}
		for ready(t, tun, timeout) {
			n, err := unix.Read(tun, b[:])
			if err != nil {
				t.Fatal(err)
			}
			var g wire.Segment
			if wire.Parse(b[:n], n, &g) && g.Flow == flow.Reverse() && rng.Float64() >= loss {
				o.receive(&g)
			}
			timeout = 0
		}
		o.report()
	}
	r := <-got
	if r.err != nil || !bytes.Equal(r.data, want) {
		t.Errorf("it read %d of %d octets, %v; the connection is in %v, fate %v", len(r.data), len(want), r.err, o.conn.State(), o.conn.Fate())
	}
	t.Logf("%v; %d segments were repeated", time.Since(start).Round(time.Millisecond), o.conn.Retransmits)
}

func write(t *testing.T, tun int, p []byte) {
	if _, err := unix.Write(tun, p); err != nil {
		t.Fatalf("write to the tun device: %v", err)
	}
}

// ready reports whether the tun device has a packet within the time.
func ready(t *testing.T, tun int, within time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(tun), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int((within+time.Millisecond-1)/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		t.Fatal(err)
	}
	return n > 0
}
