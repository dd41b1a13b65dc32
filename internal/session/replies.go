package session

import (
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/tcpstate"
	"mrtecopy/internal/wire"
)

// ProductionHead takes a segment of production's that may begin the answer to a
// PREPARE, compressed as the client's packets are, or refuse the login.
func (s *Session) ProductionHead(e *Env, seg *wire.Segment) {
	if s.phase == Over {
		return
	}
	if !s.accepted && refusesLogin(seg.Payload) {
		s.skip(e, ledger.ProductionRefused)
		return
	}
	if !s.statements.unknown() && !seg.Ack.After(s.reader.end) {
		return
	}
	if s.packed != nil {
		s.productionAnswer(seg, s.reader.end, s.decompressedHead(e, seg.Payload), 0)
	} else {
		s.productionAnswers(seg)
	}
	s.advance(e)
}

// productionAnswers takes all answers that begin in a segment: those to commands
// that a client sends without waiting may share one.
func (s *Session) productionAnswers(seg *wire.Segment) {
	before := uint8(1) // the sequence id of the packet before
	for at := 0; ; {
		b := seg.Payload[at:]
		h, ok := mysql.ParseHeader(b)
		if !ok {
			return
		}
		if h.Sequence == 1 && before != 0 { // behind 0 it is the 257th of a long answer
			s.productionAnswer(seg, s.reader.end, b, at)
		}
		before = h.Sequence
		if at += mysql.HeaderSize + h.Length; at > len(seg.Payload) {
			return
		}
	}
}

// productionAnswer takes the answer that b begins with, at octets behind the
// beginning of seg, if it is one to a PREPARE or an error. The client's octets
// before read were read.
func (s *Session) productionAnswer(seg *wire.Segment, read seq.Num, b []byte, at int) {
	h, ok := mysql.ParseHeader(b)
	if !ok || len(b) == mysql.HeaderSize {
		return
	}
	begin := seg.Seq.Add(at)
	if h.Length >= 3 && b[mysql.HeaderSize] == headerErr {
		s.prepared().productionAnswered(answer{at: begin, ack: seg.Ack}, read)
	} else if a, ok := s.preparedID(b); ok {
		a.at, a.ack = begin, seg.Ack
		s.prepared().productionAnswered(a, read)
	}
}

// decompressedHead returns what production's compressed packet that b begins with
// begins with: as much as it takes to know the OK of a PREPARE.
func (s *Session) decompressedHead(e *Env, b []byte) []byte {
	ok := mysql.HeaderSize + s.prepareOKSize()
	if h := e.Decompressor.Head(s.packed.how, b, ok+mysql.DefinitionHead); h != nil {
		return h
	}
	return e.Decompressor.Head(s.packed.how, b, ok) // nothing follows
}

// prepareOKSize is the size of production's OK to a PREPARE.
func (s *Session) prepareOKSize() int {
	if caps, _ := s.spoken(); caps.Has(mysql.ClientOptionalResultsetMetadata) {
		return mysql.PrepareOKSize + 1
	}
	return mysql.PrepareOKSize
}

// refusesLogin reports whether b, which production says before the client has
// read its answer to the login, begins with an ERR.
func refusesLogin(b []byte) bool {
	h, ok := mysql.ParseHeader(b)
	return ok && h.Sequence >= 2 && h.Length >= 3 && len(b) > mysql.HeaderSize && b[mysql.HeaderSize] == headerErr
}

// preparedID reports whether b begins with production's answer to a PREPARE, and
// returns what it says. Its sequence id is 1, but in a compressed session it
// follows the ids of the request's compressed packets. An OK of another command
// may have its length, as may a row of a long result: they are told from it by
// the filler, which is 0, and by the definitions behind it.
func (s *Session) preparedID(b []byte) (a answer, ok bool) {
	h, ok := mysql.ParseHeader(b)
	size := s.prepareOKSize()
	if !ok || h.Length != size || h.Sequence != 1 && s.packed == nil || len(b) < mysql.HeaderSize+size {
		return a, false
	}
	payload, rest := b[mysql.HeaderSize:][:size], b[mysql.HeaderSize+size:]
	const filler, metadata = 9, mysql.PrepareOKSize
	id, columns, params, ok := mysql.ParsePrepareOK(payload)
	if !ok || id == noStatement || payload[filler] != 0 {
		return a, false
	}
	next, more := mysql.ParseHeader(rest)
	switch {
	case size > metadata && payload[metadata] == 0: // none are sent
	case columns > 0 || params > 0:
		ok = mysql.BeginsDefinitions(rest, h.Sequence+1)
	case more:
		ok = next.Sequence != h.Sequence+1
	}
	return answer{id: id, params: params}, ok
}

// Report takes what the target sent since the last report: the state of the
// connection, and how many responses ended, errors of them with an ERR.
func (s *Session) Report(e *Env, r *wire.Report, ended, errors int, frame [16]byte) {
	if s.phase == Over && s.Conn.Fate() != tcpstate.Alive {
		return
	}
	s.countStalled(e)
	if ended > 0 || r.RcvNxt != s.Conn.RcvNxt() {
		s.progressAt = e.Now
	}
	s.Conn.Receive(e.Now, &e.Pool, r)
	s.frame = frame
	s.heads, s.headsAgain = s.heads-s.headsAgain, 0
	if s.phase == Opening && s.Conn.Synchronized() {
		s.phase = Greeting
	}
	if k := min(ended, int(s.loginEnds)); k > 0 {
		s.loginEnds -= uint8(k)
		ended -= k
		if s.loginEnds == 0 && s.initsDB && !s.relogin {
			s.login = nil
		}
	}
	switch a := s.adopted; {
	case s.phase < Ready:
	case a != nil && a.setup > 0: // nothing of the client's was sent yet
		if errors > 0 {
			s.lacking(e, ledger.LacksSettings)
		}
	default:
		e.Counts.Commands.Errors += uint64(min(errors, ended))
	}
	s.ended += ended
	s.complete(e)
	s.checkFile(e)
	s.checkFate(e)
	if s.Conn.State() == tcpstate.CloseWait && s.phase < Closing {
		s.targetLeft(e)
	}
	s.advance(e)
}

// complete takes the records that are answered out of the queue: in order, as
// the server answers. A command without a response is answered when the target
// acknowledged its last octet, or anything behind it.
func (s *Session) complete(e *Env) {
	q := &s.queue
	for q.head < q.sent {
		r := q.first()
		switch {
		case r.has(drop | file):
		case !r.cmd.HasResponse():
			if s.ended == 0 && !s.Conn.Acked(r.end) {
				return
			}
			s.answered(e, r)
		case s.ended > int(r.more):
			s.ended -= int(r.more) + 1
			s.answered(e, r)
			if r.has(loads) {
				s.infile = infileNone
			}
		default:
			return
		}
		if r.has(setup) {
			s.adopted.setup--
		}
		q.pop(e)
	}
}

// overdue returns when the target has owed an answer for too long; 0: it owes
// none that production gave. Without the client's going on, nothing says how
// long a command may take. While no intercept sees the replies, nothing is owed.
func (s *Session) overdue(e *Env) time.Duration {
	if e.ResponseTimeout == 0 || s.phase != Ready || s.stopped || s.Conn.Paused() {
		return 0
	}
	owed, behind := s.queue.awaited()
	switch {
	case owed == nil:
		return 0
	case behind != nil:
		return max(s.progressAt, behind.at) + e.ResponseTimeout
	case s.clientGone != clientOpen:
		return max(s.progressAt, s.clientEndAt) + e.ResponseTimeout
	}
	return 0
}

func (s *Session) answered(e *Env, r *record) {
	if !r.has(counts) {
		return
	}
	e.Counts.Commands.Answered++
	e.Counts.Lag.Record(e.Now - r.at)
}

// targetLeft handles a FIN of the target that we did not ask for.
func (s *Session) targetLeft(e *Env) {
	if s.phase < Ready || s.queue.len() > 0 {
		s.lose(e, ledger.TargetClosed)
		return
	}
	// Nothing is unanswered. If the client says nothing more either, as after
	// wait_timeout on both servers, nothing was lost.
	s.left = true
	s.close(e)
}
