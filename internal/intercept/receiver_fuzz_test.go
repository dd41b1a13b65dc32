package intercept

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// serverStream makes up what a server answers, and to what.
func serverStream(r *rand.Rand) (stream []byte, asked []mysql.Kind) {
	for range 1 + r.IntN(12) {
		switch r.IntN(6) {
		case 0:
			asked = append(asked, query)
			stream = append(stream, errPacket...)
		case 1:
			asked = append(asked, prepare)
			stream = append(stream, packet(1, "\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")...)
		case 2:
			asked = append(asked, query)
			var rows []string
			for range r.IntN(5) {
				rows = append(rows, strings.Repeat("r", r.IntN(3000)))
			}
			stream = append(stream, result(rows...)...)
		default:
			asked = append(asked, query)
			stream = append(stream, okPacket...)
		}
	}
	return stream, asked
}

// However a server's stream is cut, repeated, reordered and lost on its way, the
// receiver sees the same responses, and RCV.NXT neither goes back nor passes
// what never came.
func FuzzReceiver(f *testing.F) {
	f.Add(uint64(1), []byte("in order\x00\x00\x00"))
	f.Add(uint64(2), []byte{1, 40, 9, 1, 3, 200, 0, 0, 1, 1, 1, 2, 80, 80, 4, 5, 6, 7, 8, 9})
	f.Add(uint64(3), []byte{0xff, 0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1, 3, 0, 3, 0, 6, 6, 6, 7, 7, 7, 2, 2, 2})
	f.Add(uint64(77), []byte{5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4, 6, 6, 6, 6, 3, 3, 3, 3, 9, 9, 9, 9})
	f.Fuzz(func(t *testing.T, seed uint64, ops []byte) {
		if len(ops) > 400 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		stream, asked := serverStream(r)

		calm := open(asked...)
		calm.send(flags(data(0, stream), wire.FIN))
		want := calm.events()
		if int(calm.t.ended) != len(asked) || !calm.is(closed) {
			t.Fatalf("in order: %d responses of %d ended, %v", calm.t.ended, len(asked), calm.show())
		}

		g := open()
		var (
			got           []string
			ended, errors uint32
			told          int // kinds pushed
			covered       = make([]bool, len(stream))
			last          int // RCV.NXT
		)
		check := func() {
			got = append(got, g.events()...)
			if g.is(closed) {
				return
			}
			at := (testIRS + 1).To(g.rcvNxt())
			if at < last {
				t.Fatalf("RCV.NXT went back from %d to %d", last, at)
			}
			if last = at; at > len(stream) || slices.Contains(covered[:at], false) {
				t.Fatalf("RCV.NXT is %d, past what came", at)
			}
		}
		send := func(from, to, unseen int) {
			s := data(from, stream[from:to])
			if to == len(stream) {
				s.Flags |= wire.FIN
			}
			for i := from; i < to; i++ {
				covered[i] = true
			}
			if unseen > 0 {
				s = cut(s, len(s.Payload)-min(unseen, len(s.Payload)))
			}
			g.send(s)
			check()
		}
		for _, op := range ops {
			from := r.IntN(len(stream))
			if op&0x10 != 0 && last < len(stream) {
				from = last // what is missing next
			}
			to := from + 1 + r.IntN(min(len(stream)-from, 1+int(op>>5)*400))
			switch op % 8 {
			case 0: // a command's kind arrives
				if told < len(asked) {
					g.push(asked[told])
					told++
					check()
				}
			case 1:
				if told < len(asked) && g.back != nil && g.back.hasFIN {
					continue // an ERR would be taken for one that answers nothing
				}
				g.pass(time.Duration(op>>3) * 100 * time.Millisecond)
				check()
			case 2:
				send(from, to, r.IntN(2000))
			case 3: // intercept starts anew
				if g.is(closed) {
					continue
				}
				ended, errors = ended+g.t.ended, errors+g.t.errors
				p, frame := g.report(&g.t), g.frame()
				g = newRig()
				g.resume(&g.w, p.RcvNxt, p.Ack, frame)
				g.push(asked[min(int(ended), told):told]...)
				check()
			default:
				send(from, to, 0)
			}
		}
		g.push(asked[told:]...)
		check()
		for i := 0; !g.is(closed); i++ {
			if i > len(stream) {
				t.Fatalf("stuck at %d of %d", last, len(stream))
			}
			from := min(last, len(stream))
			send(from, min(from+1460, len(stream)), 0)
		}
		if ended, errors = ended+g.t.ended, errors+g.t.errors; ended != calm.t.ended || errors != calm.t.errors {
			t.Errorf("%d responses ended, %d in an ERR; want %d, %d", ended, errors, calm.t.ended, calm.t.errors)
		}
		if !slices.Equal(got, want) {
			t.Errorf("seen:\n%q\nwant:\n%q", got, want)
		}
		if n := g.w.pool.InUse(); n != 0 {
			t.Errorf("%d octets of storage are not given back", n)
		}
	})
}

// events returns the heads seen since the last call.
func (g *rig) events() (e []string) {
	for _, h := range g.w.takeHeads() {
		e = append(e, fmt.Sprintf("%d %d %q", h.kind, h.sequence, h.payload))
	}
	return e
}
