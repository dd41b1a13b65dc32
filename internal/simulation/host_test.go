package simulation

import (
	"math/rand/v2"
	"strings"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// A host is the target: a peer for each connection, each with a server of its own.
type host struct {
	w      *world
	peers  map[wire.Endpoint]*Peer
	order  []wire.Endpoint
	model  Server // what every server is like
	buffer int
	stuck  bool
	served []*service
}

// A service is a server that let a client in.
type service struct {
	server *Server
	from   wire.Endpoint
	client *captured // whose commands it executes; nil: nobody logged in yet
	seen   int       // of server.Executed
	at     int       // where in client.expect
}

// newHost makes a target up.
func newHost(w *world, r *rand.Rand) *host {
	h := &host{w: w, peers: make(map[wire.Endpoint]*Peer), model: *NewServer()}
	h.model.Login = []LoginStyle{LoginAtOnce, LoginSwitch}[r.IntN(2)]
	if r.IntN(2) == 0 {
		h.model.Version = "9.7.4"
	}
	if r.IntN(2) == 0 {
		h.model.Caps |= mysql.ClientQueryAttributes
	}
	if w.weather.has(stuck) {
		h.buffer = 2000 + r.IntN(30000)
	}
	return h
}

// receive takes a packet.
func (h *host) receive(b []byte) {
	var s wire.Segment
	if !wire.Parse(b, len(b), &s) {
		return // cut
	}
	p := h.peers[s.Src]
	if p == nil {
		h.order = append(h.order, s.Src)
	}
	if p == nil || s.Flags.Has(wire.SYN) && (p.State == PeerListen || p.State == PeerGone) {
		v := h.model
		v.NextID = uint32(1 + h.w.rng.IntN(5))
		fresh := &Peer{Server: &v, Buffer: h.buffer, Stuck: h.stuck}
		if p != nil {
			fresh.iss = p.iss.Add(0x01000000)
		}
		p = fresh
		h.peers[s.Src] = p
		h.served = append(h.served, &service{server: &v, from: s.Src})
	}
	h.say(p.Receive(h.w.now, &s))
}

// say sends what a peer says.
func (h *host) say(segs []wire.Segment) {
	for i := range segs {
		h.w.fromTarget(&segs[i])
	}
}

// tick lets time pass.
func (h *host) tick() {
	for _, at := range h.order {
		p := h.peers[at]
		if d := p.Deadline(); d != 0 && d <= h.w.now {
			h.say(p.Tick(h.w.now))
		}
	}
}

// deadline returns when tick has something to do; 0: never.
func (h *host) deadline() (first time.Duration) {
	for _, at := range h.order {
		if d := h.peers[at].Deadline(); d != 0 && (first == 0 || d < first) {
			first = d
		}
	}
	return first
}

// stick makes the target read nothing; go on, again.
func (h *host) stick(on bool) {
	h.w.trace("the target reads: %v", !on)
	h.stuck = on
	for _, at := range h.order {
		if p := h.peers[at]; on {
			p.Stuck = true
		} else {
			h.say(p.Read(h.w.now))
		}
	}
}

// someone returns one of the open connections; nil if there is none.
func (h *host) someone() *Peer {
	var open []*Peer
	for _, at := range h.order {
		if p := h.peers[at]; p.State == PeerOpen {
			open = append(open, p)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[h.w.rng.IntN(len(open))]
}

// verify compares what was executed since the last call with what the clients
// said, and returns how many commands that were.
func (h *host) verify() (n int) {
	for _, v := range h.served {
		if len(v.server.Faults) > 0 {
			h.w.fail("the target says: %s", v.server.Faults[0])
			return n
		}
		for ; v.seen < len(v.server.Executed); v.seen++ {
			if w := h.w; w.stopAt != 0 && w.now >= w.stopAt && v.server.Executed[v.seen] == quit && !v.quits() {
				n++
				continue // ours
			}
			if v.client == nil && !v.find(h.w) {
				return n
			}
			if !v.expected(h.w, v.server.Executed[v.seen]) {
				return n
			}
			n++
		}
	}
	return n
}

// quit is a COM_QUIT, as an entry of Server.Executed.
var quit = mysql.ComQuit.String() + ` ""`

// quits reports whether the client's next command is a COM_QUIT.
func (v *service) quits() bool {
	return v.client != nil && v.at < len(v.client.Expect) && v.client.Expect[v.at] == quit
}

// find finds out whom the server serves: a login names a schema of its own.
func (v *service) find(w *world) bool {
	user := v.server.users[0]
	if v.client = w.bySchema[user]; user == bareUser {
		v.client = w.bareClient(v.from, v.server.Executed[v.seen])
	}
	if v.client == nil {
		w.fail("somebody logged in as %s", user)
		return false
	}
	if v.client.service != nil {
		w.fail("%s: its commands are executed on a second connection", user)
		return false
	}
	v.client.service = v
	return true
}

// expected takes a command that was executed.
func (v *service) expected(w *world, got string) bool {
	c := v.client
	from := v.at
	for v.at < len(c.Expect) && c.Expect[v.at] != got {
		v.at++
	}
	if holes := w.weather.has(gaps | cutFrames | untold); holes && isClose(got) && (v.at == len(c.Expect) || v.at > from) {
		v.at = from // a statement that nothing can name any more, maybe
		return true
	}
	if w.incomplete() && isEmptyFile(got) && v.at == len(c.Expect) {
		v.at = from // the file was lost
		return true
	}
	switch {
	case v.at == len(c.Expect):
		next := "nothing"
		if from < len(c.Expect) {
			next = c.Expect[from]
		}
		w.fail("%v: command %d was executed, but should not be (there): %s\nnext should be: %s", c.flow.Src, v.seen+1, got, next)
		return false
	case v.at > from && !w.weather.has(gaps|cutFrames|untold):
		w.fail("%v: command %d was left out: %s\nthen came: %s", c.flow.Src, v.seen+1, c.Expect[from], got)
		return false
	}
	v.at++
	return true
}

// isClose reports whether an entry of Server.Executed closes a statement that was
// open.
func isClose(executed string) bool {
	return strings.HasPrefix(executed, mysql.ComStmtClose.String()+" {") && !strings.Contains(executed, "{unknown statement}")
}

// isEmptyFile reports whether an entry of Server.Executed is a file of nothing.
func isEmptyFile(executed string) bool {
	return strings.HasPrefix(executed, "FILE") && strings.HasSuffix(executed, `: ""`)
}
