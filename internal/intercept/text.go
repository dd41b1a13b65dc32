package intercept

import (
	"slices"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// HeadUnsolicited is the kind of a head that answers nothing: an ERR packet the
// server sent on its own, as when it shuts down or an idle connection's time is
// over. (The number is COM_MULTI's, which MariaDB had for a while.)
const HeadUnsolicited = 0xfe

// receiveText takes the data and the FIN of s (RFC 9293, section 3.10.7.4,
// seventh and eighth), which lies near RCV.NXT.
func (r *receiver) receiveText(now time.Duration, s *wire.Segment, w *work, t *turn) {
	n := len(s.Payload) + s.Missing
	fin := s.Flags.Has(wire.FIN)
	if n == 0 && !fin {
		if s.Seq.Before(r.rcvNxt()) {
			t.ackNow = true // a keep-alive or a zero-window probe
		}
		return
	}
	if !s.End().After(r.rcvNxt()) {
		t.ackNow = true // all of it is old: our ACK was lost
		return
	}
	if r.is(closed | broken) {
		return
	}
	r.state &^= anyISS
	if fin {
		b := r.backlog(w)
		b.fin, b.hasFIN = s.Seq.Add(n), true
	}
	if hole := r.received().To(s.Seq); hole > 0 {
		t.ackNow = true // RFC 5681, section 4.2
		if len(s.Payload) > 0 {
			r.backlog(w).insert(now, s.Seq, s.Payload, w)
		}
	} else {
		if -hole < len(s.Payload) {
			r.take(now, s.Payload[-hole:], w, t)
		}
		r.skipMissing(s, w, t)
		r.drain(now, w, t)
	}
	r.finish(w, t)
}

// backlog returns r.back, made if it is not there.
func (r *receiver) backlog(w *work) *backlog {
	if r.back == nil {
		r.back = w.get()
	}
	return r.back
}

// take frames p, which begins where nothing is missing before. What cannot be
// framed yet is held.
func (r *receiver) take(now time.Duration, p []byte, w *work, t *turn) {
	if r.back != nil && r.back.rest.Len() > 0 {
		p = r.takeWithRest(now, p, w, t)
	}
	if len(p) == 0 || r.is(broken) {
		return
	}
	if n := r.feed(p, w, t); n < len(p) && !r.is(broken) {
		r.backlog(w).hold(now, p[n:], w)
	}
}

// takeWithRest joins the rest and the beginning of p until what was the rest is
// framed, and returns what remains of p. It copies little of p when little of
// it belongs to the packet that the rest begins.
func (r *receiver) takeWithRest(now time.Duration, p []byte, w *work, t *turn) []byte {
	b := r.back
	for size := 64; len(p) > 0 && !r.is(broken); size *= 4 {
		old := b.rest.Len()
		if size = min(size, len(p)); b.hold(now, p[:size], w) < size {
			return nil
		}
		n := r.feed(b.rest.Bytes(), w, t)
		if n >= old {
			b.dropRest(w)
			return p[n-old:]
		}
		b.discard(now, n, w)
		p = p[size:]
	}
	return nil
}

// feed gives p, which begins at RCV.NXT, to the tracker and returns how much of
// it was framed.
func (r *receiver) feed(p []byte, w *work, t *turn) int {
	var n int
	n, w.events = r.tracker.Feed(p, w.events[:0])
	r.nxt = r.nxt.Add(n)
	r.observe(w, t)
	return n
}

// observe takes over what the tracker has seen.
func (r *receiver) observe(w *work, t *turn) {
	for i := range w.events {
		e := &w.events[i]
		switch e.Type {
		case mysql.Head:
			w.addHead(uint8(e.Kind), e.Sequence, e.Payload)
		case mysql.End:
			t.ended++
			if e.Err {
				t.errors++
			}
		}
	}
	if r.tracker.Broken() {
		r.state |= broken
	}
}

// reframe tries again with what is held, after the tracker was told more.
func (r *receiver) reframe(now time.Duration, w *work, t *turn) {
	b := r.back
	if b == nil || b.rest.Len() == 0 || r.is(broken) {
		return
	}
	if n := r.feed(b.rest.Bytes(), w, t); n > 0 {
		b.discard(now, n, w)
	}
	r.drain(now, w, t)
	r.finish(w, t)
}

// skipMissing takes the octets at the end of s that were not captured as
// received, where all of them lie in a body nobody reads.
func (r *receiver) skipMissing(s *wire.Segment, w *work, t *turn) {
	from := s.Seq.Add(len(s.Payload))
	if s.Missing == 0 || r.is(broken) || r.nxt != from || r.received() != from || r.tracker.Skippable() < s.Missing {
		return
	}
	w.events = r.tracker.Skip(s.Missing, w.events[:0])
	r.nxt = from.Add(s.Missing)
	r.observe(w, t)
}

// drain frames the pieces that are not beyond a hole any more.
func (r *receiver) drain(now time.Duration, w *work, t *turn) {
	b := r.back
	if b == nil || len(b.pieces) == 0 {
		return
	}
	i := 0
	for ; i < len(b.pieces) && !r.is(broken); i++ {
		p := &b.pieces[i]
		at := r.received()
		if p.start.After(at) {
			break
		}
		t.ackNow = true // it fills a gap (RFC 5681, section 4.2)
		if d := p.start.To(at); d < p.data.Len() {
			r.take(now, p.data.Bytes()[d:], w, t)
			if r.received().Before(p.end) && !r.is(broken) {
				break // no room for the rest
			}
		}
		b.free(w, p)
	}
	b.pieces = slices.Delete(b.pieces, 0, i)
	b.unmark(r.received())
}

// finish takes what came of the server's own accord, the target's FIN when all
// before it was framed, and gives back a backlog that holds nothing.
func (r *receiver) finish(w *work, t *turn) {
	b := r.back
	if b == nil {
		return
	}
	r.takeUnsolicited(false, w, t)
	if b.hasFIN && r.nxt == b.fin {
		r.takeFIN(w, t)
	}
	if r.is(broken) {
		b.reset(w)
	}
	if b.empty() {
		r.drop(w)
	}
}

func (r *receiver) takeFIN(w *work, t *turn) {
	t.flags |= wire.FIN
	r.nxt = r.nxt.Add(1)
	r.state |= closed
	r.back.reset(w)
}

// takeUnsolicited frames the ERR packets at the front of the rest that answer
// nothing. One of sequence id 0 never answers a command. One of another id may
// be the answer to a command whose kind is still on its way from mrtecopy, so
// the caller must have waited for that, and the connection be at its end.
func (r *receiver) takeUnsolicited(waited bool, w *work, t *turn) {
	b := r.back
	for b != nil && b.rest.Len() >= mysql.HeaderSize {
		p := b.rest.Bytes()
		payload, ok := r.tracker.Unsolicited(p)
		if !ok || p[3] != 0 && !waited {
			return
		}
		w.addHead(HeadUnsolicited, p[3], payload)
		n := mysql.HeaderSize + len(payload)
		r.nxt = r.nxt.Add(n)
		b.discard(b.since, n, w)
	}
}

const (
	// restAge is how long bytes wait for the rest of their packet, or for
	// mrtecopy to say which command they answer.
	restAge = time.Second
	// pieceAge is how long data waits for the hole before it to be filled.
	pieceAge = time.Minute
)

// expire looks after what is held for too long.
func (r *receiver) expire(now time.Duration, w *work, t *turn) {
	b := r.back
	if b == nil {
		return
	}
	if now-b.since >= restAge {
		switch {
		case b.hasFIN && r.received() == b.fin:
			r.takeUnsolicited(true, w, t)
			r.nxt = b.fin // nothing comes any more that could complete what is left
			r.takeFIN(w, t)
		case b.hasFIN && len(b.pieces) == 0:
			b.hasFIN = false // it comes again with what is missing before it
		}
		b.truncateRest(w) // not acknowledged: the target sends it again
	}
	if len(b.pieces) > 0 && now-b.last >= pieceAge {
		b.dropPieces(w)
	}
	if b.empty() {
		r.drop(w)
	}
}
