package lab

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"
)

// fly sends n numbered frames of one connection, a millisecond apart, along a
// path and returns their numbers as they arrive, and when the last did.
func fly(f Faults, seed uint64, n int) (arrived []int, p *path, last time.Duration) {
	p = newPath(f, seed)
	var q flights
	for i := range n {
		now := time.Duration(i) * time.Millisecond
		for h := q.arrived(now); h != nil; h = q.arrived(now) {
			arrived = append(arrived, int(binary.BigEndian.Uint32(h.frame)))
		}
		p.take(now, binary.BigEndian.AppendUint32(nil, uint32(i)), 7, nil, &q)
	}
	for h := q.arrived(time.Hour); h != nil; h = q.arrived(time.Hour) {
		arrived, last = append(arrived, int(binary.BigEndian.Uint32(h.frame))), h.due
	}
	return arrived, p, last
}

func TestFaults(t *testing.T) {
	const n = 10000
	about := func(what string, got, want int) {
		t.Helper()
		if got < want-want/5 || got > want+want/5 {
			t.Errorf("%s: %d, want about %d", what, got, want)
		}
	}
	t.Run("none", func(t *testing.T) {
		got, p, _ := fly(Faults{}, 1, n)
		if len(got) != n || !slices.IsSorted(got) || p.seen != (PathCount{Frames: n}) {
			t.Errorf("%d frames arrived, sorted %v, %+v", len(got), slices.IsSorted(got), p.seen)
		}
	})
	t.Run("loss", func(t *testing.T) {
		got, p, _ := fly(Faults{Loss: 0.2}, 1, n)
		about("arrived", n-len(got), n/5)
		if int64(n-len(got)) != p.seen.Lost || !slices.IsSorted(got) {
			t.Errorf("%d are missing, counted are %d; sorted %v", n-len(got), p.seen.Lost, slices.IsSorted(got))
		}
	})
	t.Run("duplicates", func(t *testing.T) {
		got, p, _ := fly(Faults{Duplicate: 0.05}, 1, n)
		about("more", len(got)-n, n/20)
		if int64(len(got)-n) != p.seen.Duplicated || len(slices.Compact(slices.Clone(got))) != n {
			t.Errorf("%d frames arrived, %d different ones, counted are %d twice", len(got), len(slices.Compact(got)), p.seen.Duplicated)
		}
	})
	t.Run("reordering", func(t *testing.T) {
		got, p, _ := fly(Faults{Reorder: 0.05}, 1, n)
		about("late", int(p.seen.Reordered), n/20)
		highest, late := -1, 0
		for _, i := range got {
			if i < highest {
				late++
			}
			highest = max(highest, i)
		}
		// A frame whose overtakers are late themselves is not overtaken.
		about("overtaken", late, int(p.seen.Reordered))
		slices.Sort(got)
		if len(slices.Compact(got)) != n {
			t.Errorf("%d different frames arrived of %d", len(got), n)
		}
		if len(p.held) > 1 || len(p.held[7]) > 3 {
			t.Errorf("frames are still held: %v", p.held)
		}
	})
	t.Run("delay", func(t *testing.T) {
		got, _, last := fly(Faults{Delay: 30 * time.Millisecond}, 1, n)
		if len(got) != n || !slices.IsSorted(got) || last != (n-1+30)*time.Millisecond {
			t.Errorf("%d frames arrived, sorted %v, the last at %v", len(got), slices.IsSorted(got), last)
		}
	})
	t.Run("all, twice from one seed", func(t *testing.T) {
		f := Faults{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Delay: time.Millisecond}
		a, _, _ := fly(f, 5, n)
		b, _, _ := fly(f, 5, n)
		c, _, _ := fly(f, 6, n)
		if !slices.Equal(a, b) || slices.Equal(a, c) {
			t.Errorf("the same seed the same: %v, another the same: %v", slices.Equal(a, b), slices.Equal(a, c))
		}
	})
	t.Run("a lonely frame is held only for a while", func(t *testing.T) {
		got, _, last := fly(Faults{Reorder: 1}, 1, 1)
		if len(got) != 1 || last != holdAtMost {
			t.Errorf("%v arrived at %v", got, last)
		}
	})
}
