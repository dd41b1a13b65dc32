package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// network raises a lab's network without servers.
func network(t testing.TB) *Lab {
	t.Helper()
	if err := permitted(); err != nil {
		if os.Getenv("NETNS") == "require" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l := &Lab{prefix: fmt.Sprintf("mp%d", os.Getpid()), dir: t.TempDir(), log: io.Discard}
	if err := os.WriteFile(filepath.Join(l.dir, mark), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	if err := l.raiseNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// echo answers whatever comes to a host's port, and returns a way to dial it.
func echo(t testing.TB, from, to *Host) (dial func() net.Conn) {
	t.Helper()
	var listener net.Listener
	err := inside(to.NS, func() (err error) {
		listener, err = net.Listen("tcp4", ":3306")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // not by splice(2): as a server would
				c.(*net.TCPConn).CloseWrite()
			}()
		}
	}()
	return func() (c net.Conn) {
		err := inside(from.NS, func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) // by this thread, unlike net.Dial's
			if err != nil {
				return err
			}
			f := os.NewFile(uintptr(fd), "")
			defer f.Close()
			if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 3306, Addr: to.V4.As4()}); err != nil {
				return err
			}
			c, err = net.FileConn(f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// TCP gets through every fault, and the cables are in the bridge again afterwards.
func TestPatch(t *testing.T) {
	l := network(t)
	ctx := context.Background()
	dial := echo(t, l.Client, l.Production)
	data := make([]byte, 4<<20)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(data); i++ {
		data[i] = byte(r.Uint32())
	}
	transfer := func(what string) {
		t.Helper()
		c := dial()
		defer c.Close()
		started := time.Now()
		go func() {
			c.Write(data)
			c.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(data) {
			t.Fatalf("%s: %d of %d octets came back, right ones %v: %v", what, len(got), len(data), bytes.Equal(got, data), err)
		}
		t.Logf("%s: %v; there %+v, back %+v", what, time.Since(started), l.Faulted(l.Client, l.Production), l.Faulted(l.Production, l.Client))
	}
	transfer("bridge")
	for _, f := range []Faults{
		{},
		{Loss: 0.01},
		{Duplicate: 0.05},
		{Reorder: 0.05},
		{Delay: 5 * time.Millisecond},
		{Loss: 0.01, Duplicate: 0.01, Reorder: 0.01, Delay: time.Millisecond},
	} {
		for _, way := range [][2]*Host{{l.Client, l.Production}, {l.Production, l.Client}} {
			if err := l.Impair(ctx, way[0], way[1], f, 1); err != nil {
				t.Fatal(err)
			}
		}
		transfer(fmt.Sprintf("%+v", f))
	}
	if n := l.Faulted(l.Client, l.Production); n.Frames == 0 || n.Lost == 0 || n.Duplicated == 0 || n.Reordered == 0 {
		t.Errorf("not every fault happened: %+v", n)
	}
	if err := l.Mend(ctx); err != nil {
		t.Error(err)
	}
	transfer("bridge again")
}

// Reports how many round trips of small commands pass a patch without faults.
func BenchmarkPatch(b *testing.B) {
	l := network(b)
	for _, patched := range []bool{false, true} {
		b.Run(map[bool]string{false: "bridge", true: "patch"}[patched], func(b *testing.B) {
			dial := echo(b, l.Client, l.Production)
			if patched {
				if err := l.Impair(b.Context(), l.Client, l.Production, Faults{}, 1); err != nil {
					b.Fatal(err)
				}
			}
			var n atomic.Int64
			n.Store(int64(b.N))
			var all sync.WaitGroup
			for range 16 {
				c := dial()
				all.Go(func() {
					defer c.Close()
					m := make([]byte, 100)
					for n.Add(-1) >= 0 {
						c.Write(m)
						io.ReadFull(c, m)
					}
				})
			}
			all.Wait()
			b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "frames/s")
			if err := l.Mend(b.Context()); err != nil {
				b.Error(err)
			}
		})
	}
}
