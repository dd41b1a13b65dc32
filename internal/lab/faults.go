package lab

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// Faults are what befalls the TCP frames that go one way between two hosts.
// Others, ARP and neighbour discovery above all, are never harmed.
type Faults struct {
	Loss      float64       // share of the frames that do not arrive
	Duplicate float64       // of those that arrive twice
	Reorder   float64       // of those that one to three later ones of their connection overtake
	Delay     time.Duration // of all
}

// holdAtMost is how long a frame waits for others to overtake it, when none come.
const holdAtMost = 20 * time.Millisecond

// A path is one way between two hosts, and what became of its frames.
type path struct {
	faults Faults
	random *rand.Rand
	held   map[uint64][]*flight // by connection: waiting to be overtaken
	seen   PathCount
}

// A PathCount is what a path did since it was made faulty.
type PathCount struct{ Frames, Lost, Duplicated, Reordered int64 }

// A flight is a frame on its way.
type flight struct {
	frame     []byte
	to        *port
	due       time.Duration
	serial    uint64 // who is due at the same time goes in this order
	overtaken int    // by so many more
	index     int    // in flights; -1: gone
}

func newPath(f Faults, seed uint64) *path {
	return &path{faults: f, random: rand.New(rand.NewPCG(seed, 0)), held: make(map[uint64][]*flight)}
}

// take decides on a frame of the connection and puts what arrives of it into the
// flights. Each frame takes as many random numbers, so that a seed always means
// the same.
func (p *path) take(now time.Duration, frame []byte, connection uint64, to *port, out *flights) {
	lost := p.random.Float64() < p.faults.Loss
	twice := p.random.Float64() < p.faults.Duplicate
	late := p.random.Float64() < p.faults.Reorder
	behind := 1 + p.random.IntN(3)
	p.seen.Frames++
	if lost {
		p.seen.Lost++
		return
	}
	overtaken := p.held[connection]
	due := now + p.faults.Delay
	f := out.add(frame, to, due)
	if late {
		p.seen.Reordered++
		f.overtaken, f.due = behind, due+holdAtMost
		heap.Fix(out, f.index)
	}
	if twice { // the second is on time, even if the first is late
		p.seen.Duplicated++
		out.add(frame, to, due)
	}
	if late {
		p.held[connection] = append(overtaken, f)
		return
	}
	// Those of which this frame was the last to overtake them follow it.
	still := overtaken[:0]
	for _, h := range overtaken {
		if h.index < 0 {
			continue // it has waited long enough
		}
		if h.overtaken--; h.overtaken > 0 {
			still = append(still, h)
			continue
		}
		h.due, h.serial = due, out.next()
		heap.Fix(out, h.index)
	}
	if len(still) > 0 {
		p.held[connection] = still
	} else if overtaken != nil {
		delete(p.held, connection)
	}
}

// flights are a heap of frames, the next to arrive first.
type flights struct {
	all    []*flight
	serial uint64
}

func (q *flights) next() uint64 { q.serial++; return q.serial }

// add puts a copy of the frame on its way.
func (q *flights) add(frame []byte, to *port, due time.Duration) *flight {
	f := &flight{frame: append([]byte(nil), frame...), to: to, due: due, serial: q.next()}
	heap.Push(q, f)
	return f
}

// arrived returns the next frame whose time has come; nil: there is none yet.
func (q *flights) arrived(now time.Duration) *flight {
	if len(q.all) == 0 || q.all[0].due > now {
		return nil
	}
	return heap.Pop(q).(*flight)
}

// Len, Less, Swap, Push and Pop are those of heap.Interface.
func (q *flights) Len() int { return len(q.all) }
func (q *flights) Less(i, j int) bool {
	a, b := q.all[i], q.all[j]
	return a.due < b.due || a.due == b.due && a.serial < b.serial
}
func (q *flights) Swap(i, j int) {
	q.all[i], q.all[j] = q.all[j], q.all[i]
	q.all[i].index, q.all[j].index = i, j
}
func (q *flights) Push(x any) {
	f := x.(*flight)
	f.index = len(q.all)
	q.all = append(q.all, f)
}
func (q *flights) Pop() any {
	last := len(q.all) - 1
	f := q.all[last]
	q.all[last], q.all = nil, q.all[:last]
	f.index = -1
	return f
}

// connection returns a hash of a TCP frame's addresses and ports, and whether it
// is one. IPv6 extension headers, which nobody here sends, are not looked behind.
//
//	Ethernet: 6 destination | 6 source | 2 type
func connection(frame []byte) (key uint64, ok bool) {
	if len(frame) < 14 {
		return 0, false
	}
	ip := frame[14:]
	var addresses, tcp []byte
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		if len(ip) < 20 || ip[9] != 6 {
			return 0, false
		}
		addresses, tcp = ip[12:20], ip[min(len(ip), int(ip[0]&15)*4):]
	case 0x86dd:
		if len(ip) < 40 || ip[6] != 6 {
			return 0, false
		}
		addresses, tcp = ip[8:40], ip[40:]
	}
	if len(tcp) < 4 {
		return 0, false
	}
	key = 14695981039346656037 // FNV-1a
	for _, b := range [][]byte{addresses, tcp[:4]} {
		for _, o := range b {
			key = (key ^ uint64(o)) * 1099511628211
		}
	}
	return key, true
}
