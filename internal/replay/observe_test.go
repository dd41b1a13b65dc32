package replay

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"mrtecopy/internal/config"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// A watched is a shard that asks an observer, whose looks the test makes up.
type watched struct {
	*Simulated
	t   *testing.T
	o   *observer.Observer
	now time.Duration
}

func watch(t *testing.T) *watched {
	credentials, err := config.ParseCredentials([]byte("u=t:secret\n"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	w := &watched{t: t, now: time.Minute, o: observer.New(driver.NewConfig(), 1<<20, log)}
	w.Simulated = NewSimulated(Config{
		ServerIPs: []netip.Addr{rigServer.Addr.Netip()}, Port: rigServer.Port, Target: rigTarget, Credentials: credentials, Policy: policy.Config{Table: policy.Default()},
		MaxMemory: 64 << 20, MaxSessions: 1 << 10, MaxConnects: 1 << 10, StreamAbove: 1 << 10, Log: log,
		Adopt: AdoptObserver, Observer: w.o, AdoptRules: []AdoptRule{{netip.MustParsePrefix("10.8.0.0/24"), "u"}},
	}, netip.MustParseAddr("10.9.0.1"), 1500, func([]byte) {})
	return w
}

// turn is a turn a while later.
func (w *watched) turn(d time.Duration, f func()) {
	w.t.Helper()
	w.now += d
	w.Begin(w.now)
	f()
	w.EndTurn()
	if err := w.Check(); err != nil {
		w.t.Fatalf("at %v: %v", w.now, err)
	}
}

// say has a client say something in the middle of its connection.
func (w *watched) say(port uint16) wire.Endpoint {
	w.t.Helper()
	segs := connection(port, "u", 0)
	w.turn(time.Second, func() {
		b := segs[2].Append(nil)
		w.Frame(b, len(b), w.now)
	})
	return segs[2].Src
}

// look tells what a look saw of a client that began and ended so long ago.
func (w *watched) look(client wire.Endpoint, seen *observer.Seen, began, ended time.Duration) {
	w.t.Helper()
	w.turn(0, func() {
		w.Looked(&observer.Look{Began: SimulatedTime(w.now - began), Ended: SimulatedTime(w.now - ended), Told: map[wire.Endpoint]*observer.Seen{client: seen}})
	})
}

func (w *watched) adopted() (whole, partly, bare uint64) {
	a := &w.s.env.Counts.Sessions.Adopted
	return a.Sessions[ledger.Whole], a.Sessions[ledger.Partly], a.Sessions[ledger.Bare]
}

// What a connection is adopted with, by what the observer sees of it and when.
func TestObserve(t *testing.T) {
	const port = 40000
	client := connection(port, "u", 0)[0].Src
	idle := func() *observer.Seen {
		return &observer.Seen{State: session.State{User: "u", Before: []string{"SET @a = 1"}}, Idle: true}
	}
	busy := func() *observer.Seen { s := idle(); s.Idle = false; return s }
	const ago, justNow = 500 * time.Millisecond, 400 * time.Millisecond
	for _, tt := range []struct {
		name                string
		do                  func(*watched)
		whole, partly, bare uint64
	}{
		{"it slept at the start", func(w *watched) {
			w.o.Remember(client, idle(), SimulatedTime(w.now))
			w.say(port)
		}, 1, 0, 0},
		{"it slept at the start, as one captured later", func(w *watched) {
			w.o.Remember(client, idle(), SimulatedTime(w.now+2*time.Second)) // its frame comes late out of the ring
			w.say(port)
		}, 0, 0, 0},
		{"it was busy at the start, and sleeps", func(w *watched) {
			w.o.Remember(client, busy(), SimulatedTime(w.now))
			w.say(port)
			w.turn(time.Second, func() {})
			w.look(client, idle(), ago, justNow)
		}, 1, 0, 0},
		{"nothing was known, it sleeps", func(w *watched) {
			w.say(port)
			w.turn(time.Second, func() {})
			w.look(client, idle(), ago, justNow)
		}, 1, 0, 0},
		{"it spoke during the look, then sleeps", func(w *watched) {
			w.say(port)
			w.look(client, idle(), ago, 0)
			w.turn(time.Second, func() {})
			w.look(client, idle(), ago, justNow)
		}, 1, 0, 0},
		{"it is busy whenever it is looked at", func(w *watched) {
			w.say(port)
			w.look(client, busy(), ago, justNow)
			w.look(client, busy(), ago, justNow)
		}, 0, 1, 0},
		{"it is busy, then gone", func(w *watched) {
			w.say(port)
			w.look(client, busy(), ago, justNow)
			w.look(client, nil, ago, justNow)
		}, 0, 1, 0},
		{"it is busy, then nobody answers", func(w *watched) {
			w.say(port)
			w.look(client, busy(), ago, justNow)
			w.turn(betterPatience, func() {})
		}, 0, 1, 0},
		{"production does not know it", func(w *watched) {
			w.say(port)
			w.look(client, nil, ago, justNow)
			w.look(client, nil, ago, justNow)
		}, 0, 0, 1},
		{"nobody answers", func(w *watched) {
			w.say(port)
			w.turn(observerPatience, func() {})
		}, 0, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := watch(t)
			tt.do(w)
			if whole, partly, bare := w.adopted(); whole != tt.whole || partly != tt.partly || bare != tt.bare {
				t.Errorf("adopted: %d whole, %d partly, %d bare", whole, partly, bare)
			}
			if n := w.s.observed.held; n != 0 {
				t.Errorf("%d octets of what was told are held", n)
			}
			// The port's next connection has nothing of it.
			w.o.Remember(client, idle(), SimulatedTime(w.now))
			w.turn(time.Second, func() {
				g := connection(port, "u", 0)[0]
				g.Seq += 1 << 20
				b := g.Append(nil)
				w.Frame(b, len(b), w.now)
			})
			if _, _, ok := w.o.Recall(client); ok {
				t.Error("what was told of a port is kept for its next connection")
			}
		})
	}
}

// What is told of connections that wait for a second look counts as memory, and is
// given back with the connection: one that fell silent makes room for others, one
// that did not is shed.
func TestToldCounts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		silent time.Duration
	}{{"silent", time.Second}, {"not silent", 0}} {
		t.Run(tt.name, func(t *testing.T) {
			w := watch(t)
			client := w.say(40000)
			before := w.Memory()
			w.look(client, &observer.Seen{State: session.State{User: "u", Before: []string{string(make([]byte, 1<<20))}}}, 500*time.Millisecond, 0)
			if n := w.Memory() - before; n < 1<<20 {
				t.Errorf("%d octets are counted", n)
			}
			w.s.budget = 1 << 20
			w.turn(tt.silent, w.s.shed)
			c := &w.s.env.Counts
			skipped, lost := c.Sessions.Skipped[ledger.Memory], c.Sessions.Lost[ledger.Memory]
			if tt.silent > 0 && skipped != 1 || tt.silent == 0 && lost != 1 || skipped+lost != 1 || w.s.observed.held != 0 {
				t.Errorf("%d sessions are skipped, %d lost; %d octets held", skipped, lost, w.s.observed.held)
			}
		})
	}
}
