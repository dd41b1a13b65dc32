package intercept

import (
	"time"

	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

const (
	// Resets go out in bursts, 10,000 a second, so that a target that is busy
	// anyway need not end a hundred thousand sessions at once.
	resetBurst = 100
	resetEvery = 10 * time.Millisecond
)

// resets are RSTs that wait to be sent, and the only way out to the target.
type resets struct {
	queue  []reset
	due    time.Duration
	sender sender // nil until it is needed
	open   func(rawsend.Config) (sender, error)
}

// A sender sends packets to the target: a rawsend.Sender, or that of a simulation.
type sender interface {
	Next() []byte
	Commit(packet []byte)
	Flush()
	Stats() rawsend.Stats
	Close() error
}

func openSender(c rawsend.Config) (sender, error) {
	s, err := rawsend.Open(c)
	if err != nil {
		return nil, err // not a nil Sender
	}
	return s, nil
}

// A reset ends a session on the target. Its sequence number is the last ACK
// number of the target: it takes no other (RFC 5961, section 3.2).
type reset struct {
	client wire.Endpoint
	seq    seq.Num
}

// reset forgets a session and has it reset on the target.
func (e *engine) reset(s *session) {
	if s.is(synced) { // else the target has never answered, and there is nothing to reset
		e.resets.queue = append(e.resets.queue, reset{s.client, s.una})
	}
	e.forget(s)
}

// sendResets sends what is due.
func (e *engine) sendResets(now time.Duration) {
	r := &e.resets
	if len(r.queue) == 0 || now < r.due {
		return
	}
	r.due = now + resetEvery
	if r.sender == nil {
		var err error
		if r.sender, err = r.open(rawsend.Config{Target: e.config.Target}); err != nil {
			e.warn("reset", "sessions are not reset on the target", "sessions", len(r.queue), "err", err)
			e.stats.Resets.Failed += uint64(len(r.queue))
			r.queue = nil
			return
		}
	}
	n := min(len(r.queue), resetBurst)
	before := r.sender.Stats().Packets
	for _, q := range r.queue[:n] {
		g := wire.Segment{Flow: wire.Flow{Src: q.client, Dst: e.target}, Seq: q.seq, Flags: wire.RST}
		r.sender.Commit(g.Append(r.sender.Next()))
	}
	r.sender.Flush()
	sent := r.sender.Stats().Packets - before
	e.stats.Resets.Sent += sent
	e.stats.Resets.Failed += uint64(n) - sent
	if r.queue = r.queue[n:]; len(r.queue) == 0 {
		r.queue = nil
		_ = r.sender.Close() // it is seldom needed, and the route may change until then
		r.sender = nil
	}
}
