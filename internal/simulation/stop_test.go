package simulation

import (
	"math/rand/v2"
	"testing"
	"time"

	"mrtecopy/internal/ledger"
)

// TestStop stops mrtecopy in the middle of a replay, in all weathers.
func TestStop(t *testing.T) {
	for _, weather := range weathers() {
		t.Run(weather.String(), func(t *testing.T) {
			for seed := range uint64(fixed / 4) {
				w := newWorld(1+seed, weather)
				w.stop(rand.New(rand.NewPCG(1+seed, 3)))
				if err := w.run(); err != nil {
					t.Fatalf("seed %d: %v", 1+seed, err)
				}
			}
		})
	}
}

// stop plans a stop.
func (w *world) stop(r *rand.Rand) {
	w.stopAt = w.now + time.Duration(r.Int64N(int64(w.calm-w.now)))
	w.after(w.stopAt-w.now, func() {
		w.trace("mrtecopy is stopped")
		w.shardNews(w.shard.Stop)
	})
}

// stopped looks at what a stop leaves.
func (w *world) stopped() {
	c := w.shard.Counts()
	if err := c.Balance(); err != nil {
		w.fail("%v", err)
	}
	// Of each client half of a command may have been captured, or of a file; or what
	// is behind a segment that overtook it.
	lost := c.Commands.Lost.Total() - c.Commands.Lost[ledger.CaptureGap]
	if w.weather == 0 && (c.Commands.Pending > uint64(len(w.clients)) || lost > 0) {
		w.fail("%d commands are pending, lost %v", c.Commands.Pending, c.Commands.Lost.Map())
	}
	if took := w.stoppedAt - w.stopAt; w.weather == 0 && took > time.Second {
		w.fail("the stop took %v, though nothing waits for the target", took)
	}
	if w.weather.has(lossy | disorder) {
		return // a RST may have been lost, or overtaken what was before it, and nobody repeats it
	}
	for _, at := range w.host.order {
		if s := w.host.peers[at].State; s != PeerListen && s != PeerGone {
			w.fail("the target keeps a connection of %v (%d)", at, s)
		}
	}
}
