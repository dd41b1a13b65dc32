package replay

import (
	"fmt"
	"time"

	"mrtecopy/internal/ledger"
)

// A snapshot asks a shard for its account of this moment.
type snapshot struct {
	counts ledger.Counts
	done   chan struct{}
}

// take fills the snapshot. The shard calls it.
func (n *snapshot) take(s *shard) {
	s.count(&n.counts)
	close(n.done)
}

// A reporter writes the status lines.
type reporter struct {
	config Config
	shards []*shard
	status *ledger.Status
}

func newReporter(c Config, shards []*shard) *reporter {
	return &reporter{config: c, shards: shards, status: ledger.NewStatus(time.Now(), c.Color)}
}

// firstStatus is when the first line comes at the latest: it tells the user
// what of the load cannot be replayed.
const firstStatus = 5 * time.Second

// run writes a line every StatusEvery until done.
func (r *reporter) run(done <-chan struct{}) {
	if r.config.StatusEvery <= 0 {
		return
	}
	t := time.NewTicker(min(r.config.StatusEvery, firstStatus))
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-t.C:
			t.Reset(r.config.StatusEvery)
			if sum, ok := r.sum(done); ok {
				fmt.Fprint(r.config.Status, r.status.Lines(now, sum))
			}
		}
	}
}

// sum asks every shard; false: they have ended meanwhile.
func (r *reporter) sum(done <-chan struct{}) (*ledger.Counts, bool) {
	var sum ledger.Counts
	for _, s := range r.shards {
		n := &snapshot{done: make(chan struct{})}
		s.inbox.put(n)
		select {
		case <-n.done:
			sum.Add(&n.counts)
		case <-done:
			return nil, false
		}
	}
	return &sum, true
}
