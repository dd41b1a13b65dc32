package replay

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInboxWakesAndKeepsOrder(t *testing.T) {
	b, err := newInbox()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	const senders, each = 4, 500
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				b.put([2]int{i, n})
			}
		})
	}
	var next [senders]int
	for got := 0; got < senders*each; {
		p := []unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, 10_000); n == 0 || err != nil && err != unix.EINTR {
			t.Fatalf("no wake-up with %d of %d received: %v", got, senders*each, err)
		}
		for _, n := range b.get(nil) {
			m := n.([2]int)
			if next[m[0]] != m[1] {
				t.Fatalf("sender %d: got %d, want %d", m[0], m[1], next[m[0]])
			}
			next[m[0]]++
			got++
		}
	}
	wg.Wait()
	if left := b.get(nil); len(left) != 0 {
		t.Errorf("%d too many", len(left))
	}
}
