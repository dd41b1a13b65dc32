package replay

import (
	"time"

	"mrtecopy/internal/flow"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// An entry is one captured connection with its replay.
type entry struct {
	key    wire.Flow // the captured 4-tuple, from the client to production
	id     uint32    // names the session on the control channel; 0: it is not registered
	stream flow.Stream
	sess   session.Session
	timer  timer
	nth    uint64 // in the order of their beginning

	counted  int           // of Env.Records, the stream's
	reg      registration  // with the intercept
	src      wire.Endpoint // the forged client's address, once chosen
	iss      seq.Num       // of the connection to the target
	tries    uint8         // source ports tried
	mapped   bool          // counted as replayed from another address
	delayed  bool          // counted as one that waited for its turn to connect
	moved    bool          // counted as replayed from another port
	dirty    bool          // in shard.dirty
	detached bool          // its 4-tuple belongs to a newer connection of the client
	queuedAt time.Duration // when the session began to wait for an intercept; 0: it does not
	askedAt  time.Duration // when the intercept was asked to register it
	seenAt   time.Duration // when a frame of the client was last seen
	leftAt   time.Duration // when production ended the connection; 0: it did not
}

// A registration says what the intercept knows of a session.
type registration uint8

const (
	unregistered registration = iota
	registering               // Register was sent
	registered
)

// entryCost is what an entry counts toward the memory limit beside its buffers:
// itself, and its places in the shard's tables.
const entryCost = 17 << 6

const (
	// interceptPatience is how long a new session waits for an intercept.
	interceptPatience = 10 * time.Second
	// registerPatience is how long the intercept may take to answer Register.
	registerPatience = 30 * time.Second
	// endPatience is how long a client's end may stay away after production's:
	// longer than the capture takes to give up a hole before it.
	endPatience = 10 * time.Second
	// lateFrames is how long a connection that is over is remembered: its last
	// segments may be repeated, and where several interfaces carry it, as a bridge
	// and its port do, all of them come once more with another ring's next block.
	// They must not be taken for another connection.
	lateFrames = 2 * time.Second
	// idleLimit is how long a connection that is not replayed is remembered
	// without a frame: Linux's tcp_keepalive_time and a little.
	idleLimit = 2*time.Hour + 15*time.Minute
	// loginPatience is how long a connection may wait with its login: longer than
	// any server's connect_timeout makes sense.
	loginPatience = 60 * time.Second
)
