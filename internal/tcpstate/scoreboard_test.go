package tcpstate

import (
	"math/rand/v2"
	"testing"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// The scoreboard against a field of bits, over the wrap. Blocks that it had no
// room for it may not know, but it knows none that were not said.
func TestScoreboardAgainstBits(t *testing.T) {
	const size = 200
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		base := seq.Num(rng.Uint32())
		if seed%2 == 0 {
			base = seq.Num(0).Add(-rng.IntN(size))
		}
		var s scoreboard
		var said [size]bool
		forgotten := false
		una := 0
		for range 40 {
			if rng.IntN(5) == 0 {
				to := una + rng.IntN(10)
				if to >= size {
					break
				}
				known := 0
				for i := una; i < to; i++ {
					if said[i] {
						known++
					}
				}
				for una = to; to < size && said[to]; to++ { // taken back
					said[to] = false
				}
				if got := s.advance(base.Add(una)); got != known && !(forgotten && got < known) {
					t.Fatalf("seed %d: %d octets before SND.UNA were known, want %d", seed, got, known)
				}
			} else if una+2 < size {
				from := una + 1 + rng.IntN(size-una-1)
				to := min(size, from+1+rng.IntN(20))
				fresh := 0
				for i := from; i < to; i++ {
					if !said[i] {
						said[i], fresh = true, fresh+1
					}
				}
				full := s.n() == maxBlocks
				if got := s.add(wire.Block{Start: base.Add(from), End: base.Add(to)}); got != fresh && !full && !forgotten {
					t.Fatalf("seed %d: %d octets are news, want %d", seed, got, fresh)
				}
				forgotten = forgotten || full
			}
			checkBoard(t, seed, &s, base, said[:], una, forgotten)
		}
	}
}

func checkBoard(t *testing.T, seed uint64, s *scoreboard, base seq.Num, said []bool, una int, forgotten bool) {
	t.Helper()
	var known [256]bool
	last := base.Add(una)
	for _, b := range s.blocks {
		if !b.Start.After(last) || !b.End.After(b.Start) {
			t.Fatalf("seed %d: the blocks are %v", seed, s.blocks)
		}
		last = b.End
		for i := base.To(b.Start); i < base.To(b.End); i++ {
			known[i] = true
		}
	}
	octets := 0
	for i := range said {
		if i < una {
			continue
		}
		if known[i] {
			octets++
		}
		if known[i] && !said[i] || said[i] && !known[i] && !forgotten {
			t.Fatalf("seed %d: octet %d is known %v and was said %v; %v", seed, i, known[i], said[i], s.blocks)
		}
		at, _ := s.skip(base.Add(i), base.Add(len(said)))
		j := i
		for known[j] {
			j++
		}
		if at != base.Add(j) {
			t.Fatalf("seed %d: behind %d, %d is in no block, want %d", seed, i, base.To(at), j)
		}
	}
	if got := s.octets(0, base.Add(len(said))); got != octets {
		t.Fatalf("seed %d: %d octets, want %d", seed, got, octets)
	}
}

// A block that is not a part of what is in flight beyond SND.UNA is passed over.
func TestBlocksThatAreNotTaken(t *testing.T) {
	c := Conn{sackOK: true}
	c.snd.una, c.snd.max = 1000, 2000
	block := func(from, to seq.Num) wire.Options {
		return wire.Options{NSACK: 1, SACK: [3]wire.Block{{Start: from, End: to}}}
	}
	for _, b := range [][2]seq.Num{{500, 600}, {900, 1100}, {1000, 1100}, {1900, 2001}, {1200, 1200}, {1300, 1200}, {1 << 31, 1<<31 + 5}} {
		o := block(b[0], b[1])
		if n := c.takeSACK(&o); n != 0 || c.board.n() != 0 {
			t.Errorf("%v is taken for %d octets", b, n)
		}
	}
	o := block(1001, 2000)
	if n := c.takeSACK(&o); n != 999 {
		t.Errorf("%d octets are news, want 999", n)
	}
	// A duplicate inside of what is known (D-SACK) is none.
	o = block(1500, 1600)
	if n := c.takeSACK(&o); n != 0 {
		t.Errorf("a duplicate is news of %d octets", n)
	}
	c.sackOK, c.board = false, scoreboard{}
	if o = block(1500, 1600); c.takeSACK(&o) != 0 {
		t.Error("blocks are taken although SACK was not agreed on")
	}
}
