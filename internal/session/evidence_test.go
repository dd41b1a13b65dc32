package session

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"mrtecopy/internal/seq"
)

// TestMatch compares what match learns with all ways in which the answers can
// belong to PREPAREs: it learns what all of them have in common.
func TestMatch(t *testing.T) {
	learnt := 0
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var st statements
		truth := pipelinedPrepares(&st, r)
		how := agreement(r.IntN(3))
		want := common(&st, how)
		for i := range st.all { // what is known bounds what is not: not here
			st.all[i].above, st.all[i].below = 0, 0
		}
		answers := append([]answer(nil), st.answers...)
		st.match(how)
		for i, a := range answers {
			got := -1
			for j := range st.all {
				if st.all[j].flags&known != 0 && st.all[j].production == a.id {
					got = j
				}
			}
			if got != want[i] {
				t.Fatalf("seed %d, agreement %d: answer %d belongs to PREPARE %d, want %d", seed, how, a.id, got, want[i])
			}
			if got >= 0 && got != truth[i] {
				t.Fatalf("seed %d, agreement %d: answer %d belongs to PREPARE %d, but production gave it to %d", seed, how, a.id, got, truth[i])
			}
			if got >= 0 {
				learnt++
			}
		}
		if kept := len(st.answers); kept != len(answers)-count(want) {
			t.Fatalf("seed %d: %d answers are kept of %d, of which %d are known", seed, kept, len(answers), count(want))
		}
	}
	if learnt < 20000 {
		t.Errorf("learnt %d: the test is none", learnt)
	}
}

func count(of []int) (n int) {
	for _, j := range of {
		if j >= 0 {
			n++
		}
	}
	return n
}

// pipelinedPrepares makes PREPAREs that both servers answered alike, with
// production's answers, and says whose they are.
func pipelinedPrepares(st *statements, r *rand.Rand) (truth []int) {
	at := seq.Num(1000)
	for len(st.all) < 1+r.IntN(6) {
		from := len(st.all)
		for range 1 + r.IntN(3) {
			n := len(st.all) + 1
			st.prepare(place{end: seq.Num(n), ack: at, nth: uint32(n), behind: len(st.all) > from})
		}
		to := seq.Num(len(st.all))
		for j := from; j < len(st.all); j++ {
			s := &st.all[j]
			s.flags |= sent
			s.columns, s.params = uint16(r.IntN(2)), uint16(r.IntN(2))
			refusedByProduction := r.IntN(3) == 0
			if r.IntN(4) > 0 {
				s.flags |= answered
				if refusedByProduction {
					s.flags |= refused
				}
			}
			if refusedByProduction {
				for i := range st.all {
					if st.all[i].at.may(at, to) {
						st.all[i].flags |= denied
					}
				}
			} else if r.IntN(5) > 0 { // it was captured
				st.answers = append(st.answers, answer{id: uint32(j + 1), columns: s.columns, params: s.params, at: at, ack: to})
				truth = append(truth, j)
			}
			at = at.Add(20)
		}
	}
	st.sentTo = len(st.all)
	return truth
}

// common says by brute force which PREPARE each answer belongs to in all orders
// that fit; -1: there are several.
func common(st *statements, how agreement) []int {
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
			if st.all[j].fits(&st.answers[i], how) {
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
	for _, n := range []int{1, 32, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var st statements
			for i := range n + 1 {
				st.prepare(place{end: seq.Num(i + 1), ack: seq.Num(1000), nth: uint32(i + 1), behind: i > 0})
			}
			for i := range n {
				st.answers = append(st.answers, answer{id: uint32(i + 1), at: seq.Num(1020 + 20*i), ack: seq.Num(n + 1)})
			}
			for b.Loop() {
				st.match(onColumns)
			}
			if len(st.answers) != n {
				b.Fatalf("%d answers are left", len(st.answers))
			}
		})
	}
}
