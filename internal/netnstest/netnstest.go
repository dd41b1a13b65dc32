//go:build linux

// Package netnstest gives a test a network of its own: Linux network
// namespaces, entered by the test's goroutine. It needs root.
package netnstest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace with lo up. It lives until the test that
// made it has ended and its last socket is closed.
type Namespace struct {
	tb     testing.TB
	fd     int
	cables int // laid from here
}

// New moves the calling goroutine into a new namespace, for good: its thread is
// locked and dies with it. Sockets the goroutine opens and commands it starts
// are inside; other goroutines, those of subtests included, are not (see Do).
//
// Where namespaces cannot be made the test is skipped, or fails when NETNS is
// "require" in the environment, so that it cannot pass by skipping.
func New(tb testing.TB) *Namespace {
	tb.Helper()
	runtime.LockOSThread() // never unlocked
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("NETNS") == "require" {
			tb.Fatalf("new network namespace: %v", err)
		}
		tb.Skipf("no network namespace: %v", err)
	}
	n := &Namespace{tb: tb, fd: current(tb)}
	n.setUp()
	return n
}

func (n *Namespace) setUp() {
	n.tb.Helper()
	n.tb.Cleanup(func() { unix.Close(n.fd) })
	n.IP("link", "set", "lo", "up")
	// Else an IPv6 address is of no use for the first second or two, while the
	// kernel looks for duplicates.
	n.Do(func() {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0); err != nil {
			n.tb.Fatal(err)
		}
	})
}

// current opens the calling thread's namespace.
func current(tb testing.TB) int {
	tb.Helper()
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Fatalf("this thread's network namespace: %v", err)
	}
	return fd
}

// Another makes a second namespace; the calling goroutine stays where it is.
func (n *Namespace) Another() *Namespace {
	n.tb.Helper()
	var other *Namespace
	n.Do(func() {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			n.tb.Fatalf("another network namespace: %v", err)
		}
		other = &Namespace{tb: n.tb, fd: current(n.tb)}
	})
	other.setUp()
	return other
}

// Do calls f inside n, whatever namespace the calling goroutine is in. A socket
// opened by f stays in n.
func (n *Namespace) Do(f func()) {
	n.tb.Helper()
	runtime.LockOSThread()
	back := current(n.tb)
	defer unix.Close(back)
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		n.tb.Fatalf("enter the network namespace: %v", err)
	}
	f() // when it ends the goroutine, the thread stays locked and dies with it
	if err := unix.Setns(back, unix.CLONE_NEWNET); err != nil {
		n.tb.Fatalf("leave the network namespace: %v", err)
	}
	runtime.UnlockOSThread()
}

// IP runs ip(8) with args inside n.
func (n *Namespace) IP(args ...string) {
	n.tb.Helper()
	n.Run("ip", args...)
}

// Run runs a command inside n and returns what it wrote; its failure is the
// test's.
func (n *Namespace) Run(name string, args ...string) string {
	n.tb.Helper()
	var out []byte
	var err error
	n.Do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	if err != nil {
		n.tb.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// Path names n as `ip link set DEV netns` wants it.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.fd) }

// Veth joins n and other by a cable: an interface named name at either end, up,
// with the addresses (such as 10.0.0.1/24 or fd00::1/64) given for each.
func (n *Namespace) Veth(other *Namespace, name string, here, there []string) {
	n.tb.Helper()
	// An end whose index happens to be its peer's is activated only after a
	// second (linkwatch_urgent_event), so let them differ.
	n.cables++
	index := strconv.Itoa(100 + n.cables)
	n.IP("link", "add", name, "index", index, "type", "veth", "peer", "name", name, "netns", other.Path())
	for _, a := range here {
		n.IP("addr", "add", a, "dev", name, "nodad")
	}
	for _, a := range there {
		other.IP("addr", "add", a, "dev", name, "nodad")
	}
	n.IP("link", "set", name, "up")
	other.IP("link", "set", name, "up")
	n.waitRunning(name) // the end that was up first is activated behind our back
}

// waitRunning returns when the interface passes packets.
func (n *Namespace) waitRunning(name string) {
	n.tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var ifi *net.Interface
		var err error
		n.Do(func() { ifi, err = net.InterfaceByName(name) })
		switch {
		case err != nil:
			n.tb.Fatalf("look at %s: %v", name, err)
		case ifi.Flags&net.FlagRunning != 0:
			return
		case time.Now().After(deadline):
			n.tb.Fatalf("%s has no carrier", name)
		}
	}
}

// Tun makes a tun device in n, one whose frames are bare IP packets, with the
// addresses given, up. A read of the file is a packet the device was given to
// send, a write is one it received. Without /dev/net/tun the test is skipped.
func (n *Namespace) Tun(name string, addrs ...string) *os.File {
	n.tb.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		n.tb.Skipf("no tun device: %v", err)
	}
	f := os.NewFile(uintptr(fd), name)
	n.tb.Cleanup(func() { f.Close() })
	req, err := unix.NewIfreq(name)
	if err != nil {
		n.tb.Fatal(err)
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	n.Do(func() { err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req) })
	if err != nil {
		n.tb.Fatalf("make tun device %s: %v", name, err)
	}
	for _, a := range addrs {
		n.IP("addr", "add", a, "dev", name)
	}
	n.IP("link", "set", name, "up")
	return f
}
