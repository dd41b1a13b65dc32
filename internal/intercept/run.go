package intercept

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"mrtecopy/internal/control"
	"mrtecopy/internal/wire"
)

// Run watches the target's replies until ctx is done. The Summary is valid if
// the error is nil.
func Run(ctx context.Context, c Config) (Summary, error) {
	if err := c.complete(); err != nil {
		return Summary{}, err
	}
	interfaces, err := c.check()
	if err != nil {
		return Summary{}, err
	}
	e := newEngine(c)
	defer e.close()
	if err := e.inbox.open(); err != nil {
		return Summary{}, err
	}
	if err := e.openTaps(interfaces); err != nil {
		return Summary{}, err
	}
	e.lookAtAddrs()
	server, err := control.Listen(c.Listen, control.ServerConfig{
		Key:     c.Key,
		Admit:   e.welcome,
		Handle:  e.handle,
		Refused: e.refused,
	})
	if errors.Is(err, unix.EADDRINUSE) {
		err = fmt.Errorf("%w: if another intercept runs here, one serves any number of mrtecopy processes; else choose another --listen", err)
	}
	if err != nil {
		return Summary{}, err
	}
	if c.Opened != nil {
		if err := c.Opened(); err != nil {
			return Summary{}, errors.Join(err, server.Close())
		}
	}
	c.Log.Info("listening", "control", server.Addr(), "target", e.target, "interfaces", interfaces, "encrypted", c.Key != nil)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Serve(ctx) })
	err = e.run(ctx)
	cancel()
	err = errors.Join(err, g.Wait())
	e.hangUp()
	return e.summary(time.Now()), err
}

func newEngine(c Config) *engine {
	e := &engine{
		config:   c,
		target:   wire.EndpointFrom(netip.AddrPortFrom(c.Target, c.Port)),
		start:    time.Now(),
		sessions: make(map[wire.Endpoint]*session),
		owners:   make(map[ownerKey]*owner),
		conns:    make(map[conn]*owner),
		resets:   resets{open: openSender},
		work:     work{limit: c.MaxHeld},
		pace:     pace{spacing: c.Spacing},
		limited:  make(map[string]*limit),
	}
	e.inbox.fd = -1
	e.due.ownersEvery = min(c.OwnerAway/10, time.Second)
	if c.StatusEvery > 0 {
		e.due.status = e.now() + c.StatusEvery
	}
	return e
}

// welcome answers a mrtecopy that has the key.
func (e *engine) welcome(h control.Hello) (control.Welcome, error) {
	if h.Target != e.target {
		return control.Welcome{}, fmt.Errorf("this intercept watches the replies of %v, not of %v; start one with --target %v --port %d",
			e.target, h.Target, h.Target.Addr, h.Target.Port)
	}
	if n := e.open.Load(); n >= maxConnections {
		return control.Welcome{}, fmt.Errorf("%d control connections are open, which are as many as may be", n)
	}
	return control.Welcome{Addrs: *e.addrs.Load()}, nil
}

// handle is called by the goroutine of a handshake.
func (e *engine) handle(c *control.Conn) {
	e.open.Add(1)
	e.inbox.put(c)
}

// refused logs who was not let in; control calls it once a second at most.
func (e *engine) refused(from netip.AddrPort, err error, unreported int) {
	e.config.Log.Warn("control connection refused", "from", from, "err", err, "more", unreported)
}

// hangUp ends the control connections, all at once. No new one can come any more.
func (e *engine) hangUp() {
	for _, c := range e.inbox.take() {
		e.conns[c] = nil
	}
	var ending sync.WaitGroup
	for c := range e.conns {
		ending.Go(c.Close)
	}
	ending.Wait()
}

func (e *engine) close() {
	for i := range e.taps {
		_ = e.taps[i].ring.Close()
	}
	if e.resets.sender != nil {
		_ = e.resets.sender.Close()
	}
	e.inbox.close()
}
