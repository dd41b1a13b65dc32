package routing

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A CutError says that connected clients would get no reply any more.
type CutError struct {
	Port    uint16
	Clients map[netip.Addr]int // the number of connections of each
}

func (e *CutError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clients are connected to port %d, and the replies to them would go to the blackhole host:\n", e.Port)
	addrs := slices.SortedFunc(maps.Keys(e.Clients), netip.Addr.Compare)
	const most = 20
	for _, a := range addrs[:min(len(addrs), most)] {
		fmt.Fprintf(&b, "  %v (connections: %d)\n", a, e.Clients[a])
	}
	if len(addrs) > most {
		fmt.Fprintf(&b, "  and %d more addresses\n", len(addrs)-most)
	}
	fmt.Fprintf(&b, "keep those that matter by --except ADDRESS or --except NETWORK, and give up the rest by --cut-existing")
	return b.String()
}

// cut returns the connected clients to whom replies would go as before up to
// now, and would not with t.
func (t Target) cut(h *host, connected []netip.Addr) map[netip.Addr]int {
	cut := map[netip.Addr]int{}
	for _, a := range connected {
		if a.Is6() == t.Via.Unmap().Is6() && !h.own(a) && !t.excepts(a) && !t.cutAlready(h, a) {
			cut[a]++
		}
	}
	return cut
}

// cutAlready reports whether the rules that are there keep replies from a. So
// it is for the forged clients of a replay that runs.
func (t Target) cutAlready(h *host, a netip.Addr) bool {
	for _, r := range h.rules {
		if r.pref == prefExcept && t.marked(r) && r.to.Contains(a) {
			return false
		}
	}
	return t.replies().present(h)
}

// readPeers returns the remote address of each established connection to a
// local port.
func readPeers(port uint16) ([]netip.Addr, error) {
	var peers []netip.Addr
	for _, name := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			continue
		}
		if err == nil {
			peers, err = parsePeers(b, port, peers)
		}
		if err != nil {
			return nil, fmt.Errorf("list the clients of port %d from %s: %w", port, name, err)
		}
	}
	return peers, nil
}

var errNoSocketTable = errors.New("not a list of sockets")

// parsePeers appends the remote addresses of the connections to port that b,
// one of the kernel's lists of TCP sockets, has as established.
//
//	sl local_address:port rem_address:port st …
func parsePeers(b []byte, port uint16, peers []netip.Addr) ([]netip.Addr, error) {
	_, b, _ = bytes.Cut(b, []byte("\n")) // the line of titles
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 4 {
			return nil, errNoSocketTable
		}
		local, okLocal := parseSocket(f[1])
		remote, okRemote := parseSocket(f[2])
		state, err := strconv.ParseUint(string(f[3]), 16, 8)
		if !okLocal || !okRemote || err != nil {
			return nil, errNoSocketTable
		}
		if local.Port() == port && state == unix.BPF_TCP_ESTABLISHED {
			peers = append(peers, remote.Addr())
		}
	}
	return peers, nil
}

// parseSocket reads, such as, 0100007F:0CEA: the address as 32-bit words of
// this machine's byte order, then the port. An IPv4 address in IPv6 form is
// returned as IPv4.
func parseSocket(b []byte) (netip.AddrPort, bool) {
	text, port, ok := bytes.Cut(b, []byte(":"))
	raw := make([]byte, 16)
	if !ok || len(text) > 2*len(raw) || len(port) != 4 {
		return netip.AddrPort{}, false
	}
	n, err := hex.Decode(raw, text)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for w := 0; w+4 <= n; w += 4 {
		binary.NativeEndian.PutUint32(raw[w:], binary.BigEndian.Uint32(raw[w:]))
	}
	a, ok := netip.AddrFromSlice(raw[:n])
	p, err := strconv.ParseUint(string(port), 16, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok && err == nil
}
