package session

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"mrtecopy/internal/seq"
)

// TestMatch compares what match learns with all ways in which the answers can
// belong to PREPAREs: it learns what all of them have in common. With what is
// known of the ids it learns as much at least, and nothing that is not so.
func TestMatch(t *testing.T) {
	learnt, bounded := 0, 0
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var st statements
		truth := pipelinedPrepares(&st, r)
		number := len(st.answers)
		within := statements{all: slices.Clone(st.all), answers: slices.Clone(st.answers)}
		for i := range st.all {
			st.all[i].above = 0
		}
		want := make([]uint32, len(st.all)) // the ids, and what stands for a refusal
		for i, j := range common(&st) {
			if j >= 0 {
				want[j] = cmp.Or(st.answers[i].id, refusal)
			}
		}
		st.match()
		for i := 0; i <= number; i++ {
			within.match()
		}
		for j := range st.all {
			if got := whatCame(&st.all[j]); got != want[j] {
				t.Fatalf("seed %d: PREPARE %d was answered with %d, want %d", seed, j, got, want[j])
			} else if got != 0 {
				learnt++
			}
			got := whatCame(&within.all[j])
			if got != truth[j] && got != 0 || got == 0 && want[j] != 0 {
				t.Fatalf("seed %d, with bounds: PREPARE %d was answered with %d, but production said %d", seed, j, got, truth[j])
			} else if got != 0 {
				bounded++
			}
		}
		if kept := len(st.answers); kept != number-len(want)+count(want, 0) {
			t.Fatalf("seed %d: %d answers are kept of %d, of which %d are known", seed, kept, number, len(want)-count(want, 0))
		}
	}
	if learnt < 20000 || bounded <= learnt {
		t.Errorf("learnt %d, with bounds %d: the test is none", learnt, bounded)
	}
}

// refusal stands for an ERR where ids stand.
const refusal = 1 << 31

// whatCame returns what s was answered with, as far as that is known.
func whatCame(s *statement) uint32 {
	switch {
	case s.flags&known != 0:
		return s.production
	case s.flags&failed != 0:
		return refusal
	}
	return 0
}

func count(in []uint32, x uint32) (n int) {
	for _, y := range in {
		if x == y {
			n++
		}
	}
	return n
}

// pipelinedPrepares makes PREPAREs with production's answers, of which some were
// captured, and says what production said: ids, of which others may lie between,
// and refusals.
func pipelinedPrepares(st *statements, r *rand.Rand) (truth []uint32) {
	at, id := seq.Num(1000), uint32(r.IntN(2)*40)
	for len(st.all) < 1+r.IntN(6) {
		from := len(st.all)
		for range 1 + r.IntN(3) {
			n := len(st.all) + 1
			st.prepare(place{end: seq.Num(n), ack: at, nth: uint32(n), behind: len(st.all) > from})
		}
		to := seq.Num(len(st.all))
		for range st.all[from:] {
			if id++; r.IntN(10) == 0 {
				id++
			}
			a := answer{id: id, at: at, ack: to}
			if r.IntN(3) == 0 {
				a.id = 0
			}
			truth = append(truth, cmp.Or(a.id, refusal))
			if r.IntN(5) > 0 {
				st.answers = append(st.answers, a)
			}
			at = at.Add(20)
		}
	}
	st.sentTo = len(st.all)
	return truth
}

// common says by brute force which PREPARE each answer belongs to in all orders
// that fit; -1: there are several.
func common(st *statements) []int {
	whose := make([]int, len(st.answers))
	for i := range whose {
		whose[i] = -2
	}
	chosen := make([]int, len(st.answers))
	var try func(i, from int)
	try = func(i, from int) {
		if i == len(chosen) {
			for k, j := range chosen {
				switch whose[k] {
				case -2, j:
					whose[k] = j
				default:
					whose[k] = -1
				}
			}
			return
		}
		for j := from; j < len(st.all); j++ {
			if st.all[j].fits(&st.answers[i]) {
				chosen[i] = j
				try(i+1, j+1)
			}
		}
	}
	try(0, 0)
	for i := range whose {
		whose[i] = max(whose[i], -1)
	}
	return whose
}

// BenchmarkMatch is the time for one more answer behind many that cannot be told
// apart, as with a target that lags.
func BenchmarkMatch(b *testing.B) {
	for _, tt := range []struct{ known, n int }{{0, 1}, {0, 32}, {0, 1000}, {16000, 1000}} {
		b.Run(fmt.Sprintf("%d of %d", tt.n, tt.known+tt.n), func(b *testing.B) {
			var st statements
			prepare := func(behind bool) {
				n := len(st.all)
				st.prepare(place{end: seq.Num(n + 1), ack: seq.Num(1000), nth: uint32(n + 1), behind: behind})
			}
			for i := range tt.known {
				prepare(false)
				st.know(&st.all[i], uint32(i+1))
			}
			for i := range tt.n + 1 {
				prepare(i > 0)
			}
			for i := range tt.n { // another took an id before them
				st.answers = append(st.answers, answer{id: uint32(tt.known + i + 2), at: seq.Num(1020 + 20*i), ack: seq.Num(tt.known + tt.n + 1)})
			}
			for b.Loop() {
				st.match()
			}
			if len(st.answers) != tt.n {
				b.Fatalf("%d answers are left", len(st.answers))
			}
		})
	}
}
