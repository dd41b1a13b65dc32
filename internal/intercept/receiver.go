package intercept

import (
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// horizon is how far from RCV.NXT a sequence number may lie to be taken for one
// of this connection: the largest window there is (RFC 7323, section 2.2).
const horizon = 1 << 30

// A receiver is the receiving half of one replayed connection: it puts the
// target's segments in order, frames them as responses and keeps the ACK state
// that the connection's sending half, which is in mrtecopy, needs. Its fields
// carry the names of RFC 9293, section 3.3.1.
//
// RCV.NXT is the position up to which the stream was framed, not only received.
// What lies between the two is kept in back and is not acknowledged, so it may
// be dropped at any time, and the target sends it again. Thus every position
// that was ever reported is one that another intercept can go on from. (The
// first octets of what is not framed travel along: see frame.)
type receiver struct {
	tracker mysql.Tracker
	back    *backlog // nil: nothing is held
	nxt     seq.Num  // up to where the stream is framed
	una     seq.Num  // SND.UNA of the sending half: the highest SEG.ACK
	wl1     seq.Num  // SND.WL1: SEG.SEQ of the last window update
	heard   uint32   // when the last segment counted, in milliseconds of the engine's clock
	iss     seq.Num  // of the sending half, while it is in SYN-SENT
	wnd     uint16   // SEG.WND
	state   state
	path    uint8 // the ring that segments of this connection come from
}

// A state is a set of facts about a receiver.
type state uint8

const (
	synced state = 1 << iota // nxt and una are valid
	closed                   // the target's FIN was received and all before it
	broken                   // the stream cannot be framed any more
	anyISS                   // iss is not known: any SYN-ACK will do
	hasWnd                   // wnd and wl1 are valid
	lost                     // mrtecopy was told that it was given up
)

func (r *receiver) is(s state) bool { return r.state&s != 0 }

// listen makes r wait for the SYN-ACK that acknowledges iss, if that is not 0.
func (r *receiver) listen(w *work, iss seq.Num) {
	r.drop(w)
	*r = receiver{iss: iss}
	if iss == 0 {
		r.state = anyISS
	}
}

// resume makes r go on from a position that was reported before.
func (r *receiver) resume(w *work, rcvNxt, una seq.Num, f frame) {
	r.drop(w)
	*r = receiver{nxt: rcvNxt, una: una, state: synced}
	snapshot, begun := f.decode()
	r.tracker.Restore(snapshot)
	if len(begun) > 0 {
		r.nxt = rcvNxt.Add(-len(begun))
		r.backlog(w).keep(begun, w)
	}
}

// drop gives back what r holds.
func (r *receiver) drop(w *work) {
	if r.back != nil {
		r.back.reset(w)
		w.put(r.back)
		r.back = nil
	}
}

// rcvNxt returns RCV.NXT.
func (r *receiver) rcvNxt() seq.Num {
	if r.back == nil {
		return r.nxt
	}
	return r.nxt.Add(min(r.back.rest.Len(), maxBegun))
}

// received returns the position up to which nothing is missing.
func (r *receiver) received() seq.Num {
	if r.back == nil {
		return r.nxt
	}
	return r.nxt.Add(r.back.rest.Len())
}

// receive takes a segment of the target that came over the given ring, and adds
// to t what it amounts to. It reports whether it did so; a segment that was
// only seen a second time, over another ring, is left out.
func (r *receiver) receive(now time.Duration, s *wire.Segment, path uint8, w *work, t *turn) bool {
	if !r.takePath(now, s, path) {
		return false
	}
	switch {
	case s.Flags.Has(wire.SYN):
		r.receiveSYN(s, t)
		return true
	case !r.is(synced):
		// RFC 9293, section 3.10.7.3: a challenge ACK of an older connection, or
		// a refusal. The sending half knows what it sent and judges.
		t.edge(s)
		t.ack, t.wnd = s.Ack, s.Window
		return true
	case s.Flags.Has(wire.RST):
		// What the server said on its own before it reset the connection.
		r.takeUnsolicited(true, w, t)
		if r.back != nil && r.back.empty() {
			r.drop(w)
		}
		t.edge(s)
		r.acknowledge(s, t)
		return true
	}
	if d := r.rcvNxt().To(s.Seq); d < -horizon || d > horizon {
		t.ackNow = true // RFC 9293, section 3.10.7.4: not acceptable
		return true
	}
	r.acknowledge(s, t)
	r.receiveText(now, s, w, t)
	return true
}

// overhear takes from s only what a reset of the connection needs: the
// target's last ACK number, and reports whether that is a new one. There is nobody
// to tell.
func (r *receiver) overhear(s *wire.Segment) (news bool) {
	var t turn
	una := r.una
	switch {
	case s.Flags.Has(wire.SYN):
		r.receiveSYN(s, &t)
	case r.is(synced):
		r.acknowledge(s, &t)
	}
	return r.una != una
}

// takePath decides whether a segment counts. Where the target's replies pass
// several of the interfaces listened on, as with a bridge and its port, each
// comes several times, and a second pure ACK would look like a duplicate
// acknowledgment. So a connection has one path at a time; a segment that brings
// news, or comes when the path has been silent for a second, changes it.
func (r *receiver) takePath(now time.Duration, s *wire.Segment, path uint8) bool {
	ms := uint32(now / time.Millisecond)
	if path != r.path && r.heard != 0 && ms-r.heard < 1000 && !r.isNews(s) {
		return false
	}
	r.path, r.heard = path, max(ms, 1)
	return true
}

// isNews reports whether s says anything that r does not know.
func (r *receiver) isNews(s *wire.Segment) bool {
	switch {
	case !r.is(synced), s.Flags.Has(wire.RST):
		return true
	case s.Flags.Has(wire.SYN):
		return false
	case s.Flags.Has(wire.ACK) && s.Ack.After(r.una):
		return true
	}
	end := s.End()
	if r.back != nil && r.back.hasFIN && end == r.back.fin.Add(1) {
		end = r.back.fin
	}
	if end == s.Seq || !end.After(r.received()) {
		return false
	}
	return r.back == nil || !r.back.has(s.Seq, end)
}

// receiveSYN takes the target's SYN-ACK.
func (r *receiver) receiveSYN(s *wire.Segment, t *turn) {
	switch {
	case !s.Flags.Has(wire.ACK):
		// The target opens a connection to a client: not ours, but where ours holds
		// the 4-tuple it is challenged (RFC 5961, section 4).
		t.ackNow = t.ackNow || r.is(synced)
		return
	case r.is(synced) && (!r.is(anyISS) || s.Ack == r.una):
		t.ackNow = true // our ACK was lost, or it is an old one (RFC 5961, section 4)
		return
	}
	t.edge(s)
	t.ack, t.wnd = s.Ack, s.Window
	t.options = s.Options
	if !r.is(anyISS) && s.Ack != r.iss.Add(1) {
		return // of an older SYN: mrtecopy answers with a RST
	}
	r.nxt, r.una = s.Seq.Add(1), s.Ack
	r.wnd, r.wl1 = s.Window, s.Seq
	r.state |= synced | hasWnd
}

// report completes the wire.Report of a turn with r's present state.
func (r *receiver) report(t *turn) wire.Report {
	p := wire.Report{Flags: t.flags, Seq: t.seq, Ack: t.ack, Window: t.wnd, DupAcks: t.dupAcks, AckNow: t.ackNow, Options: t.options}
	if r.is(synced) {
		p.RcvNxt, p.Ack = r.rcvNxt(), r.una
		if r.is(hasWnd) {
			p.Window = r.wnd
			p.Flags |= wire.ACK
		}
	}
	if r.back != nil {
		p.NHeld = r.back.nheld
		p.Held = r.back.held
	}
	return p
}
