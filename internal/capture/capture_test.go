//go:build linux

package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mrtecopy/internal/netnstest"
)

// kinds are the two kinds of ring; most of what they promise is the same.
var kinds = []struct {
	name      string
	immediate bool
}{{"blocks", false}, {"slots", true}}

// A testNet is a host (here) and a server, joined by a cable named v0.
type testNet struct {
	t      *testing.T
	host   *netnstest.Namespace
	server *netnstest.Namespace
}

func newTestNet(t *testing.T) *testNet {
	host := netnstest.New(t)
	n := &testNet{t, host, host.Another()}
	host.Veth(n.server, "v0", []string{"10.1.0.1/24", "fd01::1/64"}, []string{"10.1.0.2/24", "fd01::2/64"})
	return n
}

var serverAddrs = []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("fd01::2")}

// open opens a ring on the server's side.
func (n *testNet) open(c Config) *Ring {
	n.t.Helper()
	if c.Interface == "" {
		c.Interface = "v0"
	}
	var r *Ring
	var err error
	n.server.Do(func() { r, err = Open(c) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { r.Close() })
	return r
}

// serve listens on the server, and does f for every connection.
func (n *testNet) serve(addr string, f func(net.Conn)) net.Listener {
	n.t.Helper()
	var l net.Listener
	var err error
	n.server.Do(func() { l, err = net.Listen("tcp", addr) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return l
}

// A packet is a copy of a Frame, taken apart.
type packet struct {
	Frame
	src, dst netip.AddrPort
	seq      uint32
	payload  []byte
}

// takeApart does as little as the tests need: a TCP segment with whole headers.
func takeApart(t *testing.T, f Frame) (p packet, ok bool) {
	t.Helper()
	f.IP = slices.Clone(f.IP)
	p = packet{Frame: f}
	var src, dst netip.Addr
	var tcp []byte
	switch {
	case f.IP[0]>>4 == 4 && f.IP[9] == unix.IPPROTO_TCP:
		src, dst = netip.AddrFrom4([4]byte(f.IP[12:])), netip.AddrFrom4([4]byte(f.IP[16:]))
		end := min(int(f.IP[2])<<8|int(f.IP[3]), len(f.IP))
		tcp = f.IP[int(f.IP[0]&0xf)*4 : end]
	case f.IP[0]>>4 == 6 && f.IP[6] == unix.IPPROTO_TCP:
		src, dst = netip.AddrFrom16([16]byte(f.IP[8:])), netip.AddrFrom16([16]byte(f.IP[24:]))
		tcp = f.IP[40:]
	default: // such as neighbour discovery
		return p, false
	}
	p.src = netip.AddrPortFrom(src, uint16(tcp[0])<<8|uint16(tcp[1]))
	p.dst = netip.AddrPortFrom(dst, uint16(tcp[2])<<8|uint16(tcp[3]))
	p.seq = binary.BigEndian.Uint32(tcp[4:])
	p.payload = tcp[int(tcp[12]>>4)*4:]
	return p, true
}

// drain reads what is there, until nothing came for a moment.
func drain(t *testing.T, r *Ring) []packet {
	t.Helper()
	var all []packet
	var frames []Frame
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(r.FD()), Events: unix.POLLIN}}, 50)
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		if frames = r.Frames(frames[:0]); n == 0 && err == nil && len(frames) == 0 {
			return all // not by the clock: a busy machine may stop us for longer
		}
		for _, f := range frames {
			if p, ok := takeApart(t, f); ok {
				all = append(all, p)
			}
		}
		r.Release()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// stream sends size octets to the server and returns them.
func stream(t *testing.T, addr string, size int) []byte {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, c)
	return b
}

func discardAll(c net.Conn) { io.Copy(io.Discard, c) }

// TestAStreamIsCapturedWhole holds a stream's captured segments, joined, against
// what was sent: nothing missing, nothing twice, giants from segmentation offload
// (larger than the MTU, and than a slot) included.
func TestAStreamIsCapturedWhole(t *testing.T) {
	for _, kind := range kinds {
		for _, addr := range []string{"10.1.0.2:3306", "[fd01::2]:3306"} {
			t.Run(kind.name+" "+addr, func(t *testing.T) {
				n := newTestNet(t)
				r := n.open(Config{
					Immediate: kind.immediate,
					Filter:    must(ServerFilter(serverAddrs, 3306)),
				})
				before := time.Now()
				n.serve(addr, discardAll)
				sent := stream(t, addr, 3<<20)

				got := make([]byte, len(sent))
				total, giants := 0, 0
				all := drain(t, r)
				for _, p := range all { // the first is the SYN
					copy(got[min(len(got), int(p.seq-all[0].seq-1)):], p.payload)
					total += len(p.payload)
					if len(p.IP) > 1500 {
						giants++
					}
				}
				if string(got) != string(sent) {
					t.Error("captured other octets than were sent")
				}
				if total > len(sent)*3/2 { // TCP may repeat a few
					t.Errorf("captured %d octets of %d: some twice", total, len(sent))
				}
				if giants == 0 {
					t.Error("no packet was larger than the MTU: the test proves less than it should")
				}
				for _, p := range all {
					if p.Outgoing { // of this direction only the end
						header := 20
						if p.IP[0]>>4 == 6 {
							header = 40
						}
						if p.IP[header+13]&0x05 == 0 {
							t.Errorf("a packet %v > %v without FIN or RST", p.src, p.dst)
						}
						continue
					}
					if p.dst != netip.MustParseAddrPort(addr) || p.Size != len(p.IP) {
						t.Errorf("a packet %v > %v, outgoing %v, %d of %d octets", p.src, p.dst, p.Outgoing, len(p.IP), p.Size)
					}
					if s := time.Unix(0, p.Stamp); s.Before(before.Add(-time.Second)) || s.After(time.Now().Add(time.Second)) {
						t.Errorf("time stamp %v", s)
					}
				}
				if s := must(r.Stats()); s.Dropped != 0 || s.Cut != 0 || s.Foreign != 0 || s.Received == 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// TestLoopbackFramesComeOnce: on lo each frame passes the packet sockets twice.
func TestLoopbackFramesComeOnce(t *testing.T) {
	for _, kind := range kinds {
		for _, addr := range []string{"127.0.0.1:3306", "[::1]:3306"} {
			t.Run(kind.name+" "+addr, func(t *testing.T) {
				n := newTestNet(t)
				r := n.open(Config{
					Interface: "lo",
					Immediate: kind.immediate,
					Filter:    must(ServerFilter([]netip.Addr{netip.MustParseAddrPort(addr).Addr()}, 3306)),
				})
				n.serve(addr, discardAll)
				var sent []byte
				n.server.Do(func() { sent = stream(t, addr, 1<<20) })
				total := 0
				for _, p := range drain(t, r) {
					if p.Outgoing {
						t.Error("an outgoing frame on lo")
					}
					total += len(p.payload)
				}
				if total < len(sent) || total > len(sent)*3/2 { // TCP may repeat a few
					t.Errorf("captured %d octets of %d", total, len(sent))
				}
			})
		}
	}
}

// TestBothDirectionsMeetInAGroup: every packet is in one of the group's rings,
// and all packets of a connection are in the same.
func TestBothDirectionsMeetInAGroup(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			n := newTestNet(t)
			c := Config{Immediate: kind.immediate, FanoutID: 77}
			rings := []*Ring{n.open(c), n.open(c)}
			n.serve("10.1.0.2:3306", func(c net.Conn) { io.Copy(c, c) })
			const conns = 40
			for i := range conns {
				c, err := net.Dial("tcp", "10.1.0.2:3306")
				if err != nil {
					t.Fatal(err)
				}
				msg := fmt.Sprintf("message %02d", i)
				io.WriteString(c, msg)
				io.ReadFull(c, make([]byte, len(msg)))
				c.Close()
			}
			home := make(map[netip.AddrPort]int) // which ring has this client
			used := make(map[int]int)
			payloads := make(map[string]int)
			for i, r := range rings {
				for _, p := range drain(t, r) {
					client := p.src
					if p.Outgoing {
						client = p.dst
					}
					if at, ok := home[client]; ok && at != i {
						t.Errorf("the packets of %v are in both rings", client)
					}
					home[client] = i
					used[i]++
					if len(p.payload) > 0 {
						payloads[string(p.payload)]++
					}
				}
				if s := must(r.Stats()); s.Dropped != 0 {
					t.Errorf("ring %d: %+v", i, s)
				}
			}
			if len(home) != conns || len(used) != 2 {
				t.Errorf("%d connections of %d in %d rings", len(home), conns, len(used))
			}
			for msg, n := range payloads {
				if n != 2 { // there, and back
					t.Errorf("%q was captured %d times", msg, n)
				}
			}
		})
	}
}

// TestFramesLeftOutDoNotKeepThePollBusy: what is left out is given back.
func TestFramesLeftOutDoNotKeepThePollBusy(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			n := newTestNet(t)
			frame := append(make([]byte, 12), 0x12, 0x34) // a protocol of nobody's
			r := n.open(Config{Immediate: kind.immediate, Filter: must(bpf.Assemble(slices.Concat(
				[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtProto}},
				when(bpf.JumpEqual, 0x1234, pass),
				drop,
			)))})
			foreign := uint64(0)
			for deadline := time.Now().Add(10 * time.Second); foreign < 3; {
				inject(t, n.host, [][]byte{append(frame, make([]byte, 50)...)})
				fds := []unix.PollFd{{Fd: int32(r.FD()), Events: unix.POLLIN}}
				must(unix.Poll(fds, 100))
				if frames := r.Frames(nil); len(frames) != 0 {
					t.Fatalf("%d frames", len(frames))
				}
				if must(unix.Poll(fds, 0)) != 0 {
					t.Fatal("poll reports what Frames says is not there")
				}
				if foreign = must(r.Stats()).Foreign; time.Now().After(deadline) {
					t.Fatalf("%d foreign frames", foreign)
				}
			}
		})
	}
}

// TestWhatTheKernelDropsIsCounted fills a ring that nobody reads.
func TestWhatTheKernelDropsIsCounted(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			n := newTestNet(t)
			whole := n.open(Config{Immediate: kind.immediate})
			tiny := n.open(Config{Immediate: kind.immediate, BlockSize: os.Getpagesize() * 2, Blocks: 2})
			n.serve("10.1.0.2:3306", discardAll)
			for range 20 {
				stream(t, "10.1.0.2:3306", 100)
			}
			total := len(drain(t, whole))
			s := must(tiny.Stats())
			if s.Dropped == 0 || s.Received == 0 {
				t.Fatalf("%+v", s)
			}
			if all := s.Received + s.Dropped; all < uint64(total) {
				t.Errorf("received %d and dropped %d of %d", s.Received, s.Dropped, total)
			}
			if again := must(tiny.Stats()); again != s {
				t.Errorf("asked again: %+v, before %+v", again, s)
			}
			// It goes on once it is read.
			got := uint64(drainQuietly(tiny, nil)) + must(tiny.Stats()).Foreign
			if got < s.Received {
				t.Errorf("%d frames in the ring, want %d", got, s.Received)
			}
			stream(t, "10.1.0.2:3306", 100)
			if len(drain(t, tiny)) == 0 {
				t.Error("nothing comes after an overrun")
			}
		})
	}
}

// TestCutFramesAreCounted: a packet that finds no room is captured in part.
func TestCutFramesAreCounted(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			n := newTestNet(t)
			c := Config{Immediate: kind.immediate, Filter: must(ServerFilter(serverAddrs, 3306))}
			if !kind.immediate {
				c.BlockSize, c.Blocks = 2*os.Getpagesize(), 512
			}
			r := n.open(c)
			if kind.immediate { // a receive queue that has room for nothing
				if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_COPY_THRESH, 0); err != nil {
					t.Fatal(err)
				}
			}
			n.serve("10.1.0.2:3306", discardAll)
			stream(t, "10.1.0.2:3306", 1<<20)
			cut := uint64(0)
			for _, p := range drain(t, r) {
				if len(p.IP) > p.Size {
					t.Errorf("%d octets of %d", len(p.IP), p.Size)
				}
				if len(p.IP) < p.Size {
					cut++
				}
			}
			if s := must(r.Stats()); cut == 0 || s.Cut != cut {
				t.Errorf("%d packets were cut, counted %d", cut, s.Cut)
			}
		})
	}
}

// TestItGoesOnAfterTheInterfaceWasDown, and says when it is no use to wait.
func TestItGoesOnAfterTheInterfaceWasDown(t *testing.T) {
	for _, kind := range kinds {
		for _, fanout := range []uint16{0, 9} {
			t.Run(fmt.Sprintf("%s, group %d", kind.name, fanout), func(t *testing.T) {
				n := newTestNet(t)
				r := n.open(Config{Immediate: kind.immediate, FanoutID: fanout, Filter: must(ServerFilter(serverAddrs, 3306))})
				n.serve("10.1.0.2:3306", discardAll)
				stream(t, "10.1.0.2:3306", 100)
				drain(t, r)
				if err := r.Err(); err != nil {
					t.Fatal(err)
				}

				n.server.IP("link", "set", "v0", "down")
				if !failed(t, r) {
					t.Fatal("poll does not report the interface down")
				}
				if err := r.Err(); !errors.Is(err, ErrDown) {
					t.Fatal(err)
				}
				if failed(t, r) {
					t.Fatal("poll still reports the error that was read")
				}
				n.server.IP("link", "set", "v0", "up")
				stream(t, "10.1.0.2:3306", 100)
				if len(drain(t, r)) == 0 {
					t.Error("nothing was captured after the interface came up again")
				}

				n.server.IP("link", "del", "v0")
				if !failed(t, r) {
					t.Fatal("poll does not report the interface removed")
				}
				if err := r.Err(); !errors.Is(err, ErrGone) {
					t.Fatal(err)
				}
				if err := r.Err(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// failed reports whether poll(2) reports an error.
func failed(t *testing.T, r *Ring) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(r.FD()), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil {
		t.Fatal(err)
	}
	return fds[0].Revents&unix.POLLERR != 0
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	ns := netnstest.New(t)
	check := func(c Config, want string) {
		t.Helper()
		r, err := Open(c)
		if err == nil {
			r.Close()
			t.Fatalf("opened %+v", c)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	check(Config{Interface: "eth9"}, "capture eth9: no such network interface")
	check(Config{Interface: "lo", BlockSize: 1000, Blocks: 1}, "set up a ring of 1 blocks")
	check(Config{Interface: "lo", Filter: []bpf.RawInstruction{}}, "filter")

	ns.Veth(ns.Another(), "d0", nil, nil)
	defer must(Open(Config{Interface: "d0", FanoutID: 5})).Close()
	check(Config{Interface: "lo", FanoutID: 5}, "join fanout group 5")

	ns.IP("link", "set", "d0", "down")
	check(Config{Interface: "d0"}, "interface is down (ip link set d0 up)")

	// Capabilities belong to the thread, and this one dies with the test.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
		t.Fatal(errno)
	}
	check(Config{Interface: "lo"}, "operation not permitted (it takes root, or the capability CAP_NET_RAW)")
}

func TestInterfacesAndAddresses(t *testing.T) {
	ns := netnstest.New(t)
	other := ns.Another()
	ns.Veth(other, "d0", nil, nil)
	ns.Veth(other, "d1", []string{"10.2.0.1/24"}, nil)
	ns.IP("link", "set", "d0", "down")
	if names := must(UpInterfaces()); !slices.Equal(names, []string{"lo", "d1"}) {
		t.Errorf("up: %v", names)
	}
	addrs := must(LocalAddrs())
	for _, want := range []string{"127.0.0.1", "::1", "10.2.0.1"} {
		if !slices.Contains(addrs, netip.MustParseAddr(want)) {
			t.Errorf("%v lacks %s", addrs, want)
		}
	}
}

// TestReadingAllocatesNothing in the steady state, giants included.
func TestReadingAllocatesNothing(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			n := newTestNet(t)
			r := n.open(Config{Immediate: kind.immediate, Filter: must(ServerFilter(serverAddrs, 3306))})
			n.serve("10.1.0.2:3306", discardAll)
			frames := make([]Frame, 0, 4096)
			for range 64 { // every buffer has been used
				stream(t, "10.1.0.2:3306", 100<<10)
				drainQuietly(r, frames)
			}
			seen := 0
			allocs := 0.0
			for range 20 {
				stream(t, "10.1.0.2:3306", 100<<10)
				allocs += testing.AllocsPerRun(1, func() { seen += drainQuietly(r, frames) })
			}
			if allocs != 0 || seen == 0 {
				t.Errorf("reading %d frames allocates %v times, want 0", seen, allocs)
			}
		})
	}
}

func drainQuietly(r *Ring, frames []Frame) (n int) {
	for range 64 {
		frames = r.Frames(frames[:0])
		n += len(frames)
		r.Release()
	}
	return n
}
