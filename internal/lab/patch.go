package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A patch is a small switch of our own between some hosts' cables and the
// bridge, which can lose, duplicate, reorder and delay. The kernel's means for it
// (netem, NFQUEUE) are missing on many machines; a patch needs packet sockets
// only. Frames pass it as the kernel has them: with what is left to offloading
// (GSO, checksums) described in front, in a virtio_net_hdr.
type patch struct {
	ports []*port // the uplink to the bridge first
	done  sync.WaitGroup
	wake  chan struct{} // a frame is due earlier than what the clock waits for
	ended chan struct{}
	start time.Time

	mu      sync.Mutex // guards all below, and is held while writing: so frames stay in order
	paths   map[way]*path
	flights flights
}

// A way is from one host to another, as a frame begins: destination, source.
type way [12]byte

func wayOf(from, to *Host) (w way) {
	a, b := to.mac(), from.mac()
	copy(w[:6], a[:])
	copy(w[6:], b[:])
	return w
}

// A port is a cable that leads into the patch.
type port struct {
	host   *Host // nil: the bridge, with all hosts that are not patched
	mac    [6]byte
	socket *os.File
}

const (
	virtioHeader = 10       // octets of a struct virtio_net_hdr
	maxFrame     = 1 << 17  // of the largest GSO frame, with room
	portBuffer   = 32 << 20 // octets that may wait to be read: enough, or faults would be added
	uplink       = "uplink" // the patch's own cable into the bridge
)

// Impair makes the way between two hosts faulty from now on, in one direction;
// the zero Faults leave it as it was. The seed decides which frames suffer.
// There is no need to Mend before Down.
func (l *Lab) Impair(ctx context.Context, from, to *Host, f Faults, seed uint64) error {
	// Production has most traffic, so it keeps its place at the bridge.
	via := from
	if from == l.Production {
		via = to
	}
	if l.patch == nil {
		if err := l.openPatch(ctx); err != nil {
			return err
		}
	}
	p := l.patch
	p.mu.Lock()
	patched := p.port(from.mac()) != p.ports[0] || p.port(to.mac()) != p.ports[0]
	p.mu.Unlock()
	if !patched {
		if err := l.plug(ctx, via); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paths[wayOf(from, to)] = newPath(f, seed)
	return nil
}

// Faulted returns what the way between two hosts did since it was impaired.
func (l *Lab) Faulted(from, to *Host) PathCount {
	if l.patch == nil {
		return PathCount{}
	}
	l.patch.mu.Lock()
	defer l.patch.mu.Unlock()
	if path := l.patch.paths[wayOf(from, to)]; path != nil {
		return path.seen
	}
	return PathCount{}
}

// Mend puts every cable back into the bridge. It is an error if the patch could
// not keep up, for then it did more harm than it was asked to.
func (l *Lab) Mend(ctx context.Context) error {
	p := l.patch
	if p == nil {
		return nil
	}
	l.patch = nil
	err := p.close()
	sw := l.prefix + "-switch"
	for _, port := range p.ports[1:] {
		_, e := run(ctx, "ip", "-n", sw, "link", "set", port.host.Name, "master", "br0")
		err = errors.Join(err, e)
	}
	_, e := run(ctx, "ip", "-n", sw, "link", "del", uplink) // with it goes what the bridge has learnt of it
	return errors.Join(err, e)
}

// openPatch makes a patch that is connected to the bridge only.
func (l *Lab) openPatch(ctx context.Context) error {
	sw := l.prefix + "-switch"
	for _, args := range [][]string{
		{"-n", sw, "link", "add", uplink, "type", "veth", "peer", "name", uplink + "-br"},
		{"-n", sw, "link", "set", uplink + "-br", "master", "br0", "up"},
		{"-n", sw, "link", "set", uplink, "up"},
	} {
		if _, err := run(ctx, "ip", args...); err != nil {
			return fmt.Errorf("patch: %w", err)
		}
	}
	p := &patch{start: time.Now(), wake: make(chan struct{}, 1), ended: make(chan struct{}), paths: make(map[way]*path)}
	first, err := openPort(sw, uplink)
	if err != nil {
		return err
	}
	p.ports = []*port{first}
	p.done.Go(func() { p.forward(first) })
	p.done.Go(p.clock)
	l.patch = p
	return nil
}

// plug takes a host's cable out of the bridge and puts it into the patch.
func (l *Lab) plug(ctx context.Context, h *Host) error {
	sw := l.prefix + "-switch"
	n, err := openPort(sw, h.Name)
	if err != nil {
		return err
	}
	n.host, n.mac = h, h.mac()
	if _, err := run(ctx, "ip", "-n", sw, "link", "set", h.Name, "nomaster"); err != nil {
		return errors.Join(fmt.Errorf("patch: %w", err), n.socket.Close())
	}
	p := l.patch
	p.mu.Lock()
	p.ports = append(p.ports, n)
	p.mu.Unlock()
	p.done.Go(func() { p.forward(n) })
	return nil
}

func (h *Host) mac() (a [6]byte) {
	m, err := net.ParseMAC(h.MAC)
	if err != nil {
		panic("lab: " + err.Error()) // it is ours
	}
	copy(a[:], m)
	return a
}

// openPort opens a packet socket on an interface of a namespace.
func openPort(ns, name string) (*port, error) {
	var fd int
	if err := inside(ns, func() (err error) { fd, err = openSocket(name); return err }); err != nil {
		return nil, fmt.Errorf("patch %s: %w", name, err)
	}
	return &port{socket: os.NewFile(uintptr(fd), name)}, nil
}

func openSocket(name string) (fd int, err error) {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // in network order
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, portBuffer),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, portBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: nic.Index}))
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// inside calls f on a thread that is in a namespace. Sockets that f opens stay
// there.
func inside(ns string, f func() error) error {
	there, err := os.Open("/run/netns/" + ns)
	if err != nil {
		return err
	}
	defer there.Close()
	runtime.LockOSThread()
	// Not left to the thread's end: if it is the process's first it does not end,
	// and the whole process counts as one of that namespace, to be killed with it.
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer back.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if e := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); e != nil {
		return errors.Join(err, e) // the thread stays locked: it is of no use to others
	}
	runtime.UnlockOSThread()
	return err
}

// now is the patch's clock.
func (p *patch) now() time.Duration { return time.Since(p.start) }

// forward passes on what comes in at a port, until it is closed.
func (p *patch) forward(in *port) {
	b := make([]byte, maxFrame)
	for {
		n, err := in.socket.Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		} else if err != nil || n < virtioHeader+14 {
			continue // an interface that is down says so once
		}
		p.mu.Lock()
		p.pass(in, b[:n])
		p.mu.Unlock()
	}
}

// pass sends a frame where its destination is.
func (p *patch) pass(in *port, b []byte) {
	frame := b[virtioHeader:]
	if frame[0]&1 != 0 { // multicast
		for _, out := range p.ports {
			if out != in {
				_, _ = out.socket.Write(b)
			}
		}
		return
	}
	out := p.port([6]byte(frame))
	if out == in {
		return // the bridge flooded it; its host is on the other side
	}
	path, connection := p.path(frame)
	if path == nil {
		_, _ = out.socket.Write(b) // what the kernel does not take is lost, as on any wire
		return
	}
	now := p.now()
	path.take(now, b, connection, out, &p.flights)
	p.land(now)
	if len(p.flights.all) > 0 {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// port returns where the host with a MAC address is to be found.
func (p *patch) port(mac [6]byte) *port {
	for _, q := range p.ports[1:] {
		if q.mac == mac {
			return q
		}
	}
	return p.ports[0]
}

// path returns the faulty path that a frame takes, and its connection; nil: it
// takes none.
func (p *patch) path(frame []byte) (*path, uint64) {
	path := p.paths[way(frame)]
	if path == nil || path.faults == (Faults{}) {
		return nil, 0
	}
	key, tcp := connection(frame)
	if !tcp {
		return nil, 0
	}
	return path, key
}

// land writes the frames whose time has come.
func (p *patch) land(now time.Duration) {
	for f := p.flights.arrived(now); f != nil; f = p.flights.arrived(now) {
		_, _ = f.to.socket.Write(f.frame)
	}
}

// clock lands frames that are under way for a while.
func (p *patch) clock() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-p.wake:
		case <-timer.C:
		}
		p.mu.Lock()
		now := p.now()
		p.land(now)
		wait := time.Hour
		if len(p.flights.all) > 0 {
			wait = p.flights.all[0].due - now
		}
		p.mu.Unlock()
		timer.Reset(wait)
	}
}

// close ends the patch's goroutines. The error tells of frames that it lost
// without being asked to.
func (p *patch) close() (err error) {
	close(p.ended)
	for _, port := range p.ports {
		err = errors.Join(err, port.drops(), port.socket.Close())
	}
	p.done.Wait()
	return err
}

// drops says whether the kernel dropped frames since nobody read them.
func (q *port) drops() error {
	raw, err := q.socket.SyscallConn()
	if err != nil {
		return err
	}
	var stats *unix.TpacketStats
	e := raw.Control(func(fd uintptr) {
		stats, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(err, e); err != nil {
		return err
	}
	if stats.Drops > 0 {
		return fmt.Errorf("the patch dropped %d of %d frames at %s", stats.Drops, stats.Packets, q.socket.Name())
	}
	return nil
}
