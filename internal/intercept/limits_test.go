package intercept

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/control"
	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/wire"
)

// another registers one more session of the owner.
func (b *bench) another(id uint32) *session {
	client := wire.EndpointFrom(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(40000+id)))
	b.register(b.now, b.owner, &control.Register{ID: id, Client: client, Target: b.target, Resume: true, RcvNxt: testIRS, SndUna: testISS})
	return b.sessions[client]
}

// deliverTo has the target send p to a session.
func (b *bench) deliverTo(s *session, at int, p []byte) {
	g := data(at, p)
	g.Flow, g.Seq, g.Ack = wire.Flow{Src: b.target, Dst: s.client}, g.Seq+testIRS, g.Ack+testISS
	b.deliver(b.now, &g, 0)
}

func logOf(b *bench) *bytes.Buffer {
	log := new(bytes.Buffer)
	b.config.Log = slog.New(slog.NewTextHandler(log, nil))
	return log
}

func TestTheLargestHolderMakesRoom(t *testing.T) {
	b := newBench()
	log := logOf(b)
	b.work.limit = 128 << 10
	large, small, late := b.another(2), b.another(3), b.another(4)
	for _, s := range []*session{large, small, late} {
		b.expect(b.now, s, bytes.Repeat([]byte{byte(query)}, 10))
	}
	for i := range 6 {
		b.deliverTo(large, 1000+20000*i, make([]byte, 16<<10))
	}
	b.deliverTo(small, len(okPacket), okPacket)
	b.deliverTo(late, 1000, make([]byte, 16<<10))
	b.deliverTo(late, 30000, make([]byte, 16<<10))
	if n := b.work.held(); n > b.work.limit {
		t.Errorf("%d octets are held", n)
	}
	if large.back != nil && large.back.size > 0 {
		t.Errorf("the largest holds %d octets still", large.back.size)
	}
	if small.back == nil || len(small.back.pieces) != 1 || late.back == nil || len(late.back.pieces) != 2 {
		t.Error("others hold nothing any more")
	}
	if b.work.refused != 0 {
		t.Errorf("%d segments are refused", b.work.refused)
	}
	for range 3 {
		b.tellLimits()
	}
	if n := strings.Count(log.String(), "raise --max-memory"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
	// Streams go on when the target sends again.
	for i := range 10 {
		b.deliverTo(large, i*len(okPacket), okPacket)
	}
	b.deliverTo(small, 0, okPacket)
	for _, s := range []*session{large, small} {
		if left := 10 - s.tracker.Pending(); left != 10 && left != 2 || s.is(lost|broken) {
			t.Errorf("%d responses ended", left)
		}
	}
	// The one that holds most is refused what it would hold more.
	for i := range 20 {
		b.deliverTo(late, 50000+20000*i, make([]byte, 16<<10))
	}
	if b.work.refused == 0 || small.back != nil && len(small.back.pieces) > 0 && small.back.size == 0 {
		t.Errorf("%d refused", b.work.refused)
	}
}

// What is expected is memory, too: the sessions with most of it are given up.
func TestWhatIsExpectedIsBounded(t *testing.T) {
	b := newBench()
	b.config.MaxHeld, b.work.limit = 64<<10, 64<<10
	small := b.another(2)
	b.expect(b.now, small, bytes.Repeat([]byte{byte(query)}, 100))
	var large []*session
	for id := range uint32(10) {
		s := b.another(10 + id)
		b.expect(b.now, s, bytes.Repeat([]byte{byte(query)}, 10000))
		large = append(large, s)
	}
	given := 0
	for _, s := range large {
		if s.is(lost) {
			given++
		}
	}
	if n := b.work.held(); n > b.work.limit || given == 0 || given == len(large) || small.is(lost) {
		t.Errorf("%d octets, %d given up, the small one: %v", n, given, small.is(lost))
	}
	if uint64(given) != b.stats.Sessions.Lost {
		t.Errorf("%d counted, want %d", b.stats.Sessions.Lost, given)
	}
	// As responses end, and as sessions do, it is given back.
	for i := range 100 {
		b.deliverTo(small, i*len(okPacket), okPacket)
	}
	for _, s := range large {
		b.forget(s)
	}
	if b.work.kinds != 0 {
		t.Errorf("%d octets are counted for nothing", b.work.kinds)
	}
}

func TestRegistrationsAreBounded(t *testing.T) {
	b := newBench()
	log := logOf(b)
	b.config.MaxSessions = 3
	for id := range uint32(10) {
		b.another(2 + id)
	}
	if len(b.sessions) != 3 || b.stats.Sessions.Rejected != 8 {
		t.Errorf("%d sessions, %d rejected", len(b.sessions), b.stats.Sessions.Rejected)
	}
	if n := strings.Count(log.String(), "raise --max-sessions"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
}

func TestControlConnectionsAreBounded(t *testing.T) {
	b := newBench()
	b.addrs.Store(new([]netip.Addr))
	h := control.Hello{Target: b.target}
	if _, err := b.welcome(h); err != nil {
		t.Fatal(err)
	}
	b.open.Store(maxConnections)
	if _, err := b.welcome(h); err == nil || !strings.Contains(err.Error(), "256 control connections") {
		t.Errorf("error %v", err)
	}
}

// However many sessions are to be reset, the target gets a hundred RSTs in ten
// milliseconds at most.
func TestResetsArePaced(t *testing.T) {
	n := netnstest.New(t)
	n.Veth(n.Another(), "v0", []string{"10.0.0.1/24"}, nil)
	n.IP("neigh", "add", "10.0.0.2", "lladdr", "02:00:00:00:00:02", "dev", "v0")
	b := newBench()
	for id := range uint32(1000) {
		b.another(2 + id)
	}
	for _, s := range b.owner.sessions {
		b.reset(s)
	}
	for i := range 2000 {
		b.sendResets(b.now)
		if sent, most := b.stats.Resets.Sent, uint64(100*(i/10+1)); sent > most {
			t.Fatalf("%d resets are sent in %d ms, at most %d may be", sent, i, most)
		}
		b.now += time.Millisecond
	}
	if b.stats.Resets.Sent != 1001 || b.stats.Resets.Failed != 0 {
		t.Errorf("%d are sent, %d failed", b.stats.Resets.Sent, b.stats.Resets.Failed)
	}
}
