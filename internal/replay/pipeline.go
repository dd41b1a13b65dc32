package replay

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/poll"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// Run captures and replays until ctx ends or c.Duration is over, lets the target
// catch up, closes every forged connection, and returns the ledger. This file is
// the map of the program; a frame's way through a shard is
//
//	ring → wire.Parse → flow.Stream → session.Session (mysql) → tcpstate.Conn → wire.Append → rawsend.Sender → target
//	                                        ↑
//	intercept → control.Conn → messages
//
// The error is why the replay could not begin, or had to end.
func Run(ctx context.Context, c Config) (ledger.Summary, error) {
	started := time.Now()
	plan, err := prepare(&c)
	if err != nil {
		return ledger.Summary{}, err
	}
	shards, err := openShards(c, plan)
	if err != nil {
		return ledger.Summary{}, err
	}
	defer func() {
		for _, s := range shards {
			s.close()
		}
	}()

	if c.Opened != nil {
		if err := c.Opened(); err != nil {
			return ledger.Summary{}, err
		}
	}
	capturing, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	if c.Duration > 0 {
		var cancel context.CancelFunc
		capturing, cancel = context.WithTimeout(capturing, c.Duration)
		defer cancel()
	}
	for _, s := range shards {
		s.abort = abort
	}
	// The links outlive the capture: the drain needs them.
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()

	var links, runs errgroup.Group
	runsDone := make(chan struct{})
	for _, s := range shards {
		ctx, done := context.WithCancel(linked) // a connection that nobody reads would be given up
		links.Go(func() error { s.link.run(ctx); return nil })
		runs.Go(func() error {
			defer done()
			return s.run()
		})
	}
	if c.Observer != nil {
		links.Go(func() error {
			c.Observer.Run(linked, func(l *observer.Look) {
				for _, s := range shards {
					s.inbox.put(l)
				}
			})
			return nil
		})
	}
	reports := newReporter(c, shards)
	links.Go(func() error { reports.run(runsDone); return nil })
	c.Log.Info("capturing", "interfaces", plan.interfaces, "port", c.Port, "target", c.Target, "shards", c.Shards, "send", c.Send)

	finished := make(chan error, 1)
	go func() { finished <- runs.Wait() }()
	var runErr error
	select {
	case <-capturing.Done():
		harm := context.Cause(capturing)
		atOnce := errors.Is(harm, errLoop)
		if !atOnce {
			harm = nil
			c.Log.Info("capture stopped; the target may catch up", "drain", c.Drain)
		}
		for _, s := range shards {
			s.inbox.put(stopNow{atOnce})
		}
		runErr = errors.Join(harm, <-finished)
	case runErr = <-finished:
	}
	close(runsDone)
	unlink()
	_ = links.Wait() // its goroutines return no error

	var sum ledger.Counts
	for _, s := range shards {
		s.count(&sum)
	}
	if runErr == nil && sum.Links.Never == sum.Links.Shards {
		runErr = fmt.Errorf("no intercept was reached at %s, so nothing was replayed: is it running there, do --intercept and the key agree with it, does a firewall stop the port?",
			strings.Join(c.Intercepts, " or "))
	}
	summary := ledger.NewSummary(c.Version, started, time.Now(), ctx.Err() != nil, &sum)
	return summary, errors.Join(runErr, sum.Balance())
}

// openShards opens every shard's rings and sender; what was opened is closed
// again when one fails.
func openShards(c Config, p plan) (shards []*shard, err error) {
	defer func() {
		if err != nil {
			for _, s := range shards {
				s.close()
			}
			shards = nil
		}
	}()
	ids, known := newConnections(), &roster{limit: int64(c.MaxSessions)}
	var owner [16]byte
	rand.Read(owner[:]) // never fails (crypto/rand)
	for i := range c.Shards {
		s := newShard(&c, i, p.servers, ids, known)
		if s.inbox, err = newInbox(); err != nil {
			return shards, err
		}
		shards = append(shards, s)
		s.link = &link{addrs: c.Intercepts, config: controlConfig(c, owner, i), inbox: &s.inbox, log: c.Log}
		raw, err := rawsend.Open(rawsend.Config{Target: c.Target.Addr(), Mode: c.Send})
		if err != nil {
			return shards, err
		}
		s.sender, s.mss = raw, maxSegment(raw.MTU(), s.target.Addr)
	}
	for n, name := range p.interfaces {
		for _, s := range shards {
			rc := capture.Config{Interface: name, Filter: p.filter, Promiscuous: p.mirror, Retire: c.Batch, Blocks: c.Ring / capture.DefaultBlockSize}
			if c.Shards > 1 {
				rc.FanoutID = p.fanout + uint16(n) // one group per interface
			}
			t := &tap{config: rc}
			if err := t.open(); err != nil {
				return shards, err
			}
			s.taps = append(s.taps, t)
		}
	}
	return shards, nil
}

// newShard returns a shard that has no part of the kernel yet.
func newShard(c *Config, index int, servers []netip.Addr, ids *connections, known *roster) *shard {
	s := &shard{
		index: index, port: c.Port, servers: addrSet(servers), target: wire.EndpointFrom(c.Target),
		budget: (int(c.MaxMemory) - c.Observer.Keeps()) / c.Shards, roster: known, log: c.Log, drain: c.Drain,
		opens:    newBucket(c.MaxConnects / c.Shards),
		guard:    guard{bucket: newBucket(guardFactor * c.MaxConnects / c.Shards)},
		clock:    newClock(),
		poller:   poll.Poller{Crowded: c.Shards > runtime.GOMAXPROCS(0)},
		flows:    make(map[wire.Flow]*entry),
		ids:      make(map[uint32]*entry),
		sources:  make(map[wire.Endpoint]*entry),
		entries:  make(map[*entry]struct{}),
		dialects: make(map[wire.Addr]*session.Dialect),
		said:     make(map[string]struct{}),
	}
	s.sessionBudget = cmp.Or(min(int(c.SessionMemory), s.budget), s.budget/2)
	s.env.Config = session.Config{Credentials: c.Credentials.Lookup, StreamAbove: c.StreamAbove, ResponseTimeout: c.ResponseTimeout, Filter: c.Filter, Adopt: c.Adopt != AdoptNone}
	s.adoptRules, s.adoptSchema = c.AdoptRules, c.AdoptSchema
	s.observed = observed{
		Observer: c.Observer,
		awaiting: make(map[wire.Endpoint][]*entry),
		joining:  make(map[*entry]*joining),
	}
	s.env.IDs, s.env.Judge = ids, policy.NewJudge(c.Policy)
	s.env.Auth = mysql.AuthOptions{Cleartext: c.CleartextPassword, PublicKey: c.TargetPublicKey}
	return s
}

// close gives back what the kernel holds for the shard, after its run.
func (s *shard) close() {
	for _, t := range s.taps {
		t.close()
	}
	if s.sender != nil {
		_ = s.sender.Close()
	}
	s.inbox.close()
}
