package replay

import (
	"math/bits"
	"time"
)

// A wheel is a timing wheel (Varghese and Lauck, 1987): one slot per tick, each
// a list of entries. A deadline beyond the horizon sits in the last slot and is
// looked at again there.
//
// Setting, moving and clearing a timer take constant time and no memory; one
// timer per entry.
type wheel struct {
	slots [wheelSlots]*entry
	used  [wheelSlots / 64]uint64 // a bit per slot that is not empty
	now   int64                   // the tick up to which timers have fired
	count int
}

const (
	wheelSlots = 4096
	tick       = time.Millisecond
)

// A timer is an entry's place in the wheel.
type timer struct {
	next, prev *entry
	slot       int32 // 1 + index of the slot; 0: not set
	due        time.Duration
}

// set makes e's timer fire at due; 0 clears it.
func (w *wheel) set(e *entry, due time.Duration) {
	t := &e.timer
	if t.slot != 0 {
		if t.due == due {
			return
		}
		w.clear(e)
	}
	if due == 0 {
		return
	}
	t.due = due
	at := int64((due + tick - 1) / tick) // never early
	at = min(max(at, w.now+1), w.now+wheelSlots-1)
	i := int32(at % wheelSlots)
	t.slot = i + 1
	t.prev, t.next = nil, w.slots[i]
	if t.next != nil {
		t.next.timer.prev = e
	}
	w.slots[i] = e
	w.used[i/64] |= 1 << (i % 64)
	w.count++
}

func (w *wheel) clear(e *entry) {
	t := &e.timer
	if t.slot == 0 {
		return
	}
	i := t.slot - 1
	if t.prev != nil {
		t.prev.timer.next = t.next
	} else {
		w.slots[i] = t.next
		if t.next == nil {
			w.used[i/64] &^= 1 << (i % 64)
		}
	}
	if t.next != nil {
		t.next.timer.prev = t.prev
	}
	*t = timer{}
	w.count--
}

// expire appends the entries whose deadline has come by now and clears their
// timers.
func (w *wheel) expire(now time.Duration, due []*entry) []*entry {
	to := int64(now / tick)
	if to-w.now >= wheelSlots {
		w.now = to - wheelSlots + 1 // every slot is passed once
	}
	for ; w.now < to; w.now++ {
		i := (w.now + 1) % wheelSlots
		for e := w.slots[i]; e != nil; {
			next := e.timer.next
			if d := e.timer.due; d <= now {
				w.clear(e)
				due = append(due, e)
			} else {
				w.clear(e)
				w.later(e, d, to)
			}
			e = next
		}
	}
	return due
}

// later sets a timer while the wheel turns toward the tick to.
func (w *wheel) later(e *entry, due time.Duration, to int64) {
	now := w.now
	w.now = to
	w.set(e, due)
	w.now = now
}

// next returns how long to wait from now until a timer may fire; false: none is
// set.
func (w *wheel) next(now time.Duration) (time.Duration, bool) {
	if w.count == 0 {
		return 0, false
	}
	from := (w.now + 1) % wheelSlots
	for n := int64(0); n <= wheelSlots; {
		i := (from + n) % wheelSlots
		word := w.used[i/64] >> (i % 64)
		if word != 0 {
			n += int64(bits.TrailingZeros64(word))
			return max(time.Duration(w.now+1+n)*tick-now, 0), true
		}
		n += 64 - i%64
	}
	return 0, false
}
