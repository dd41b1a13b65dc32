package replay

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The wheel against the plain definition: every entry fires once, at the first
// turn at or after its deadline.
func TestWheelFiresEachTimerOnceAndInTime(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var w wheel
	entries := make([]entry, 300)
	want := make(map[*entry]time.Duration)
	var now time.Duration
	for range 20000 {
		e := &entries[rng.IntN(len(entries))]
		switch rng.IntN(4) {
		case 0:
			due := now + time.Duration(rng.Int64N(int64(20*time.Second)))
			w.set(e, due)
			want[e] = due
		case 1:
			due := now + time.Duration(rng.Int64N(int64(20*time.Millisecond)))
			w.set(e, due)
			want[e] = due
		case 2:
			w.set(e, 0)
			delete(want, e)
		case 3:
			if d, ok := w.next(now); ok != (len(want) > 0) {
				t.Fatalf("next says %v, %v with %d timers", d, ok, len(want))
			} else if ok {
				for _, due := range want {
					if now+d > due+tick {
						t.Fatalf("next says wait %v, but a timer is due in %v", d, due-now)
					}
				}
			}
			now += time.Duration(rng.Int64N(int64(30 * time.Millisecond)))
			if rng.IntN(50) == 0 {
				now += 10 * time.Second
			}
			for _, e := range w.expire(now, nil) {
				if due, ok := want[e]; !ok || due > now {
					t.Fatalf("fired at %v: set %v, due %v", now, ok, due)
				}
				delete(want, e)
			}
			for e, due := range want {
				if due <= now-tick {
					t.Fatalf("at %v a timer due at %v has not fired (slot %d)", now, due, e.timer.slot)
				}
			}
		}
		if w.count != len(want) {
			t.Fatalf("count %d, want %d", w.count, len(want))
		}
	}
}
