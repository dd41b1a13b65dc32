package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// A Config is what a client needs to connect.
type Config struct {
	Key   *Key // nil: plain TCP, to an intercept that has none either
	Hello Hello
}

// Dial connects to the first of addrs, each a HOST:PORT, where the handshake
// succeeds; each has five seconds. The error of one attempt for each is in that
// returned, a *MismatchError among them where that is the trouble.
func Dial(ctx context.Context, addrs []string, c Config) (*Conn, Welcome, error) {
	if len(addrs) == 0 {
		return nil, Welcome{}, errors.New("no intercept to connect to")
	}
	var all error
	for _, addr := range addrs {
		conn, welcome, err := dial(ctx, addr, &c)
		if err == nil {
			return conn, welcome, nil
		}
		err = fmt.Errorf("intercept %s: %w", addr, err)
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, Welcome{}, all
}

func dial(ctx context.Context, addr string, c *Config) (_ *Conn, _ Welcome, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeTimeout, fmt.Errorf("no connection within %v", handshakeTimeout))
	defer cancel()
	// The protocol's own pings find a dead peer sooner than TCP's would.
	dialer := net.Dialer{KeepAlive: -1}
	nc, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, Welcome{}, reachable(ctx, err)
	}
	raw := newSocket(nc.(*net.TCPConn))
	defer func() {
		if err != nil {
			_ = raw.Close()
		}
	}()
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, Welcome{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	s, welcome, err := greet(raw, c.Key, &c.Hello)
	if !stop() && (err == nil || errors.Is(ctx.Err(), context.Canceled)) {
		err = ctx.Err() // whatever else went wrong is its effect
	}
	if err != nil {
		return nil, Welcome{}, err
	}
	conn, err := newConn(raw, s, "intercept "+addr, c.Hello)
	return conn, welcome, err
}

// reachable adds to the error of a connection attempt what can be done.
func reachable(ctx context.Context, err error) error {
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		return fmt.Errorf("%w: give --intercept a name that this host can resolve, or an address", err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w; does a firewall drop it?: %w", context.Cause(ctx), err)
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("%w: is intercept running there?", err)
	}
	return err
}
