// Package replay is mrtecopy's engine: it captures the clients' packets, keeps
// one session per client, and sends what the sessions forge to the target.
//
// pipeline.go is the map of the whole; a shard (shard.go) is one turn of it
// after the other, in one goroutine that owns everything it touches.
package replay

import (
	"crypto/rsa"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"mrtecopy/internal/config"
	"mrtecopy/internal/control"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/session"
)

// A Config says what to replay, and where.
type Config struct {
	Interfaces []string     // to capture on; empty: every interface that is up
	ServerIPs  []netip.Addr // production's addresses; empty: all addresses of this host
	Port       uint16       // production's MySQL port
	Target     netip.AddrPort
	Intercepts []string // HOST:PORT, tried in order

	Credentials       *config.Credentials
	CleartextPassword bool           // an account may ask for its password as it is
	TargetPublicKey   *rsa.PublicKey // the key that passwords are encrypted with; nil: the target is asked for it
	Key               *control.Key   // nil: the control channel is neither encrypted nor authenticated

	Policy policy.Config  // which statements are replayed
	Filter session.Filter // which sessions, and in which schemas

	Adopt       Adoption           // of connections that were open before
	AdoptRules  []AdoptRule        // the first one that fits holds
	Observer    *observer.Observer // with AdoptObserver
	AdoptSchema string             // the default schema of sessions that are adopted by a rule

	Duration    time.Duration // how long to capture; 0: until the context ends
	Drain       time.Duration // how long the target may take to catch up after that
	StatusEvery time.Duration // 0: no status lines

	ResponseTimeout time.Duration // how long the target may owe an answer that production gave; 0: for ever
	Send            rawsend.Mode
	Shards          int
	Batch           time.Duration // how long a packet may wait in the ring for others, in milliseconds; 0: capture's default
	Ring            int           // octets of each interface's ring in each shard; 0: capture's default
	StreamAbove     int           // octets from which a command is sent as it comes
	MaxMemory       int64         // octets of captured and unacknowledged data, all shards together, and of what the Observer keeps
	SessionMemory   int64         // of these, of one session; 0: half of a shard's share
	MaxConnects     int           // connections opened on the target in a second
	MaxSessions     int           // connections known at a time, all shards together

	Opened  func() error // called when all sockets are open, before any packet is read
	Status  io.Writer    // takes the status lines
	Color   bool
	Log     *slog.Logger
	Version string
}
