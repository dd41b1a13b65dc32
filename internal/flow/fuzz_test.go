package flow

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A reader takes the events of a stream and compares them with what the client
// sent.
type reader struct {
	sent   []byte
	at     int
	lacked int // octets in gaps
	ends   []EventType
}

func (r *reader) take(t *testing.T, g *rig) {
	t.Helper()
	for _, e := range g.out {
		if len(r.ends) > 0 {
			t.Fatalf("event %d came behind the end", e.Type)
		}
		switch e.Type {
		case Data:
			if n := len(e.Payload); n == 0 || r.at+n > len(r.sent) || !bytes.Equal(e.Payload, r.sent[r.at:r.at+n]) {
				t.Fatalf("at octet %d came %q", r.at, e.Payload)
			}
			r.at += len(e.Payload)
		case Gap:
			if e.Missing <= 0 || r.at+e.Missing > len(r.sent) {
				t.Fatalf("at octet %d of %d came a gap of %d", r.at, len(r.sent), e.Missing)
			}
			r.lacked += e.Missing
			r.at += e.Missing
		case KeepAlive: // an octet again
			continue
		case FIN, RST:
			r.ends = append(r.ends, e.Type)
			continue
		}
		if got := (testISS + 1).To(e.End); got != r.at {
			t.Fatalf("an event ends at %d, but the stream is at %d", got, r.at)
		}
	}
}

// FuzzStream checks that a stream that was cut into segments, some of them
// repeated, overtaken or not captured, comes out as it was, but for gaps: no
// octet wrong, none twice, and no gap where nothing is missing.
func FuzzStream(f *testing.F) {
	f.Add([]byte{}, uint64(1))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, uint64(2))
	f.Add(bytes.Repeat([]byte{0x13, 0x80, 0x41, 0x07}, 40), uint64(3))
	f.Add(bytes.Repeat([]byte{0x20, 0x21, 0xe0}, 100), uint64(4))
	f.Fuzz(func(t *testing.T, plan []byte, seed uint64) {
		if len(plan) > 500 {
			plan = plan[:500]
		}
		r := rand.New(rand.NewPCG(seed, 0))
		// The plan says of each segment how long it is and what becomes of it.
		const (
			lost = 1 << (5 + iota)
			twice
			late
		)
		type piece struct {
			at, n, missing int
			fin            bool
			key            float64 // the order of arrival
		}
		var pieces []piece
		size := 0
		anyCut := false
		for i, c := range plan {
			n := int(c&31) + 1
			p := piece{at: size, n: n, key: float64(i)}
			if c&late != 0 {
				p.key += r.Float64() * 8
			}
			if c&lost == 0 {
				pieces = append(pieces, p)
			} else if r.IntN(2) == 0 {
				p.n, p.missing = 0, n // a cut frame
				if keep := r.IntN(n); keep > 0 {
					p.n, p.missing = keep, n-keep
				}
				pieces = append(pieces, p)
				anyCut = true
			}
			if c&twice != 0 { // overlapping what is around it
				from := max(0, p.at-r.IntN(20))
				again := piece{at: from, n: min(p.at+n-from, n+r.IntN(20)), key: p.key + r.Float64()*8}
				pieces = append(pieces, again)
			}
			size += n
		}
		pieces = append(pieces, piece{at: size, fin: true, key: float64(len(plan)) + r.Float64()})
		// By arrival.
		for i := range pieces {
			for j := i; j > 0 && pieces[j].key < pieces[j-1].key; j-- {
				pieces[j], pieces[j-1] = pieces[j-1], pieces[j]
			}
		}

		sent := make([]byte, size)
		for i := range sent {
			sent[i] = byte(r.Uint32())
		}
		captured := make([]bool, size)
		for _, p := range pieces {
			for i := p.at; i < p.at+p.n; i++ {
				captured[i] = true
			}
		}
		missing := 0
		for _, c := range captured {
			if !c {
				missing++
			}
		}

		g := &rig{now: time.Minute}
		g.send(syn)
		read := &reader{sent: sent}
		for _, p := range pieces {
			s := wire.Segment{Seq: seq.Num(p.at), Flags: wire.ACK, Payload: bytes.Clone(sent[p.at : p.at+p.n]), Missing: p.missing}
			if p.fin {
				s.Flags |= wire.FIN
			}
			g.send(s)
			read.take(t, g)
			clear(s.Payload) // the frame is gone
			g.now += time.Duration(r.IntN(1000)) * time.Microsecond
		}
		for g.Deadline() != 0 {
			g.pass(holePatience)
			read.take(t, g)
		}
		if read.at != size || len(read.ends) != 1 || read.ends[0] != FIN {
			t.Fatalf("read %d octets of %d and the ends %v", read.at, size, read.ends)
		}
		if read.lacked < missing {
			t.Fatalf("%d octets are said to be missing, but %d were not captured", read.lacked, missing)
		}
		// What a frame lacks is given up at once, although it may come again.
		if !anyCut && read.lacked > missing {
			t.Fatalf("%d octets are said to be missing, but only %d were not captured", read.lacked, missing)
		}
		if n := g.pool.InUse(); n != 0 {
			t.Fatalf("%d octets of the pool are still in use", n)
		}
	})
}
