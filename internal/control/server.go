package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A ServerConfig is what a server needs. Its functions are called from many
// goroutines.
type ServerConfig struct {
	Key *Key // nil: plain TCP, for clients that have none either

	// Admit answers a client that has proven itself. The text of its error is
	// told to the client and ends the connection.
	Admit func(Hello) (Welcome, error)

	// Handle is given each connection after its handshake, and returns soon.
	Handle func(*Conn)

	// Refused, if not nil, is told why connections ended before that. Strangers
	// cause such ends, so it is called once a second at most; unreported is how
	// many it was not called for.
	Refused func(from netip.AddrPort, err error, unreported int)
}

// A Server accepts control connections.
type Server struct {
	config   ServerConfig
	tls      *tls.Config
	listener net.Listener
	greeting sync.WaitGroup // handshakes

	mu         sync.Mutex
	admission  admission
	reported   time.Time // when Refused was last called
	unreported int
}

// Listen opens the address, a HOST:PORT whose host may be empty. Serve accepts
// connections.
func Listen(addr string, c ServerConfig) (*Server, error) {
	s, err := newServer(c)
	if err != nil {
		return nil, err
	}
	lc := net.ListenConfig{KeepAlive: -1} // see dial
	if s.listener, err = lc.Listen(context.Background(), "tcp", addr); err != nil {
		return nil, fmt.Errorf("control channel: %w", err)
	}
	return s, nil
}

func newServer(c ServerConfig) (*Server, error) {
	s := &Server{config: c}
	if c.Key == nil {
		return s, nil
	}
	var err error
	if s.tls, err = serverTLS(); err != nil {
		return nil, fmt.Errorf("control channel: %w", err)
	}
	return s, nil
}

// Addr returns the address listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes the listener of a server that does not Serve.
func (s *Server) Close() error { return s.listener.Close() }

// Serve accepts connections until ctx is done, then closes the listener, ends
// the handshakes and returns nil. Connections that were given to Handle go on.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.greeting.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	pause := time.Duration(0)
	for {
		nc, err := s.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			s.visit(ctx, newSocket(nc.(*net.TCPConn)))
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("control channel: %w", err)
		}
		// Out of files or memory, or the peer has gone already: it may get
		// better, and nothing but connecting is affected.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.report(netip.AddrPort{}, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// visit lets a new connection try the handshake, if it may.
func (s *Server) visit(ctx context.Context, raw stream) {
	from := addrPort(raw.RemoteAddr())
	v := &visitor{source: sourceOf(from.Addr()), leave: func() { _ = raw.Close() }}
	s.mu.Lock()
	evicted, ok := s.admission.admit(time.Now(), v)
	s.mu.Unlock()
	if evicted != nil {
		evicted.leave()
	}
	if !ok {
		v.leave()
		s.report(from, errors.New("too many connections"))
		return
	}
	s.greeting.Go(func() { s.greet(ctx, raw, from, v) })
}

func (s *Server) greet(ctx context.Context, raw stream, from netip.AddrPort, v *visitor) {
	stop := context.AfterFunc(ctx, v.leave)
	over, hello, err := s.handshake(raw)
	cancelled := !stop()
	s.mu.Lock()
	stays := s.admission.remove(v)
	s.mu.Unlock()
	var conn *Conn
	if err == nil && stays && !cancelled { // nobody else has the socket now
		conn, err = newConn(raw.(*socket), over, "mrtecopy "+from.String(), hello)
	}
	switch {
	case cancelled:
		v.leave() // the server ends
	case !stays:
		v.leave()
		s.report(from, fmt.Errorf("made room for others: %d connections had not finished the handshake", maxVisitors))
	case err != nil:
		v.leave()
		s.report(from, err)
	default:
		s.config.Handle(conn)
	}
}

func (s *Server) handshake(raw stream) (stream, Hello, error) {
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, Hello{}, err
	}
	return receive(raw, s.tls, s.config.Key, s.config.Admit)
}

// report tells Refused, unless it was told a moment ago.
func (s *Server) report(from netip.AddrPort, err error) {
	if s.config.Refused == nil {
		return
	}
	s.mu.Lock()
	now := time.Now()
	if !s.reported.IsZero() && now.Sub(s.reported) < time.Second {
		s.unreported++
		s.mu.Unlock()
		return
	}
	unreported := s.unreported
	s.reported, s.unreported = now, 0
	s.mu.Unlock()
	s.config.Refused(from, err, unreported)
}
