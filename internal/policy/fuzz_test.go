package policy

import (
	"bytes"
	"testing"
)

func seeds(f *testing.F) {
	for _, tt := range statements {
		f.Add([]byte(tt.sql), tt.multi)
	}
}

// What the prefilter lets pass is replayed in every reading that is made of it,
// also of more executable comments than are tried in earnest.
func FuzzPrefilterErrsTowardReading(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, sql []byte, multi bool) {
		for _, onlyRead := range []bool{false, true} {
			j := NewJudge(Config{Table: Default(), OnlyRead: onlyRead})
			if !j.plain(sql, multi) {
				continue
			}
			j.budget = maxRead
			found, _ := j.readings(sql, multi, 6, false)
			if v := j.verdict(found); v != (Verdict{}) {
				t.Fatalf("%q passes the prefilter and is judged %+v (only reading: %v)", sql, v, onlyRead)
			}
		}
	})
}

// Verdicts do not depend on what the judge saw before, only reading replays no
// more than all, and a KILL's octets are its id.
func FuzzQuery(f *testing.F) {
	seeds(f)
	all, read := NewJudge(Config{Table: Default()}), NewJudge(Config{Table: Default(), OnlyRead: true})
	f.Fuzz(func(t *testing.T, sql []byte, multi bool) {
		v := all.Query(sql, multi)
		if again := NewJudge(Config{Table: Default()}).Query(sql, multi); again != v {
			t.Fatalf("%q: %+v, and %+v with a new judge", sql, v, again)
		}
		if r := read.Query(sql, multi); r.Why == Replayed && v.Why != Replayed {
			t.Fatalf("%q: replayed only reading, else %+v", sql, v)
		}
		if k := v.Kill; k != (Kill{}) {
			if k.Start < 4 || k.End > len(sql) || k.Start >= k.End {
				t.Fatalf("%q: kill %+v", sql, k)
			}
			var id uint64
			for _, c := range sql[k.Start:k.End] {
				id = 10*id + uint64(c-'0')
			}
			if id != k.ID {
				t.Fatalf("%q: kill %+v of %d", sql, k, id)
			}
		}
	})
}

// The lexer goes forward, its tokens cover what is neither blank nor comment,
// and a text without signs is cut alike in every mode.
func FuzzLexer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, sql []byte, _ bool) {
		cut := func(m mode) (tokens []int, seen signs) {
			lx := lexer{text: sql, mode: m}
			for {
				before := lx.end
				lx.next()
				if lx.start < before || lx.end < lx.start || lx.end > len(sql) || lx.kind != end && lx.end == lx.start {
					t.Fatalf("%q: token %d to %d behind %d", sql, lx.start, lx.end, before)
				}
				if gap := bytes.TrimLeft(sql[before:lx.start], " \t\n\v\f\r\xa0"); len(gap) > 0 && !bytes.ContainsAny(gap[:1], "/#-*") {
					t.Fatalf("%q: %q is in no token", sql, gap)
				}
				if lx.kind == end {
					return tokens, lx.signs
				}
				tokens = append(tokens, lx.start, lx.end)
			}
		}
		first, seen := cut(0)
		for m := mode(1); m < modes; m++ {
			if m.differs(&seen) || m&(m-1) != 0 {
				continue
			}
			if got, _ := cut(m); len(got) != len(first) || string(intsOf(got)) != string(intsOf(first)) {
				t.Fatalf("%q: cut differently in mode %d without a sign of it: %v, %v", sql, m, first, got)
			}
		}
	})
}

func intsOf(v []int) []rune {
	r := make([]rune, len(v))
	for i, n := range v {
		r[i] = rune(n)
	}
	return r
}
