package session

import (
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/tcpstate"
)

// ClientClosed says that the client's FIN was captured, behind all its octets.
func (s *Session) ClientClosed(e *Env) { s.clientEnded(e, clientFIN) }

// ClientReset says that the client's RST was captured.
func (s *Session) ClientReset(e *Env) { s.clientEnded(e, clientRST) }

// ClientGone says that the client's end was not captured but is certain: its
// 4-tuple was used again, or nothing came for longer than it could live.
func (s *Session) ClientGone(e *Env) { s.clientEnded(e, clientFIN) }

// ClientKeepsAlive says that a keep-alive of the client was captured. The target
// is shown one too: what lies between may forget idle connections.
func (s *Session) ClientKeepsAlive() { s.Conn.KeepAlive() }

func (s *Session) clientEnded(e *Env, how clientEnd) {
	if s.clientGone != clientOpen {
		return
	}
	s.clientGone, s.clientEndAt = how, e.Now
	switch {
	case !s.accepted && s.queue.len() > 0 && s.outcome == undecided:
		s.lose(e, ledger.NotSent) // production never let it in
	case s.AwaitsState() && s.adopted.joined: // it may still be told, and what the client sent be replayed
	case s.Joining() && s.outcome == undecided:
		s.skip(e, ledger.OpenedBeforeStart)
	case s.phase == Reading && s.outcome == undecided:
		s.skip(e, ledger.NoLogin)
	case s.left && s.outcome == undecided:
		s.replayed(e)
	}
	s.breakOff(e, ledger.NotSent) // it left in the middle of a command, or of a file
	s.in.Truncate(&e.Pool, s.reader.at)
	if p := s.packed; p != nil {
		p.in.Discard(&e.Pool, p.in.Len()) // it left in the middle of a packet
	}
	if how == clientRST && s.phase != Over {
		s.goneAt = e.Now + closePatience
	}
	s.advance(e)
}

// closeBehindClient closes the connection to the target once the client has
// left and nothing is unanswered.
func (s *Session) closeBehindClient(e *Env) {
	if s.clientGone == clientOpen || s.phase != Ready || s.stopped {
		return
	}
	if s.infile == infileAsked {
		s.noFile(e)
	}
	if s.queue.len() > 0 {
		return
	}
	if s.clientGone == clientRST {
		e.Out.Segments = s.Conn.Abort(&e.Pool, e.Out.Segments)
		s.replayed(e)
		s.over(e)
		return
	}
	s.close(e)
}

// close sends the FIN behind what was written.
func (s *Session) close(e *Env) {
	s.phase = Closing
	s.goneAt = e.Now + closePatience
	s.Conn.Close()
}

// patienceOver ends what waited for the target after the client's end.
func (s *Session) patienceOver(e *Env) {
	if s.Conn.Paused() { // whatever the target does, nobody sees it
		s.goneAt = e.Now + closePatience
		return
	}
	s.goneAt = 0
	if s.queue.len() == 0 && s.phase == Closing {
		// Everything was answered; only the target's FIN is missing.
		e.Out.Segments = s.Conn.Abort(&e.Pool, e.Out.Segments)
		s.closedInOrder(e)
		return
	}
	s.lose(e, ledger.ResponseTimeout)
}

// closedInOrder is the end in order of the connection to the target.
func (s *Session) closedInOrder(e *Env) {
	if !s.left || s.clientGone != clientOpen {
		s.replayed(e)
	}
	s.over(e)
}

// checkFate takes over the end of the connection to the target.
func (s *Session) checkFate(e *Env) {
	if s.phase == Over || s.phase < Opening {
		return
	}
	switch s.Conn.Fate() {
	case tcpstate.Alive:
		if s.Conn.State() == tcpstate.TimeWait && s.phase == Closing && s.queue.len() == 0 && (!s.left || s.clientGone != clientOpen) {
			s.replayed(e) // only a repeated FIN may follow
		}
	case tcpstate.Aborted: // by Stop
	case tcpstate.Done, tcpstate.Reset:
		if s.complete(e); s.phase == Closing && s.queue.len() == 0 {
			s.closedInOrder(e)
			return
		}
		s.lose(e, ledger.TargetClosed)
	case tcpstate.Refused:
		s.lose(e, ledger.TargetRefused)
	default:
		s.lose(e, ledger.TargetUnreachable)
	}
}

// Lose ends the session for a reason outside of it.
func (s *Session) Lose(e *Env, why ledger.Reason) { s.lose(e, why) }

// Skip ends a session that cannot be replayed, before it began.
func (s *Session) Skip(e *Env, why ledger.Reason) { s.skip(e, why) }

// killedByClient ends a session whose connection the target closed for a KILL
// that was replayed, as production closed it: what was under way ended with it.
func (s *Session) killedByClient(e *Env) {
	sent := s.queue.all[s.queue.head:s.queue.sent]
	for i := range sent {
		if r := &sent[i]; r.has(counts) {
			s.answered(e, r)
			e.Counts.Commands.Errors++
			r.flags &^= counts
		}
	}
	s.empty(&e.Counts.Commands.Lost, ledger.TargetClosed)
	s.replayed(e)
	s.over(e)
}

// lose ends the replay: the session and all its open commands are lost.
func (s *Session) lose(e *Env, why ledger.Reason) {
	if why == ledger.TargetClosed && s.outcome == undecided && !s.stopped && s.killed(e) {
		s.killedByClient(e)
		return
	}
	if s.outcome != undecided || s.stopped {
		if s.phase != Over && (s.outcome != undecided || s.phase == Closing) {
			s.over(e) // its column is decided, or stays open, but it must end
		}
		return
	}
	s.outcome, s.reason = lost, why
	e.Counts.Sessions.Lost[why]++
	s.empty(&e.Counts.Commands.Lost, why)
	s.over(e)
}

// skip ends the replay, or does not begin it.
func (s *Session) skip(e *Env, why ledger.Reason) {
	if s.outcome != undecided || s.stopped {
		return
	}
	s.outcome, s.reason = skipped, why
	e.Counts.Sessions.Skipped[why]++
	s.empty(&e.Counts.Commands.Skipped, why)
	s.over(e)
}

func (s *Session) replayed(e *Env) {
	if s.outcome != undecided || s.stopped {
		return
	}
	s.outcome = replayed
	e.Counts.Sessions.Replayed++
}

// empty counts the commands in the queue.
func (s *Session) empty(column *ledger.ByReason, why ledger.Reason) {
	all := s.queue.all[s.queue.head:]
	for i := range all {
		if all[i].has(counts) {
			column[why]++
		}
	}
}

// over ends all sending and gives storage back; the client's octets that are no
// whole command yet stay, to be counted.
func (s *Session) over(e *Env) {
	if s.phase >= Opening {
		e.Out.Segments = s.Conn.Abort(&e.Pool, e.Out.Segments)
	}
	s.disconnected(e)
	s.phase = Over
	s.goneAt = 0
	s.waiting = gateNone
	s.queue.clear()
	s.statements = nil
	s.login = nil
	if s.adopted != nil {
		s.adopted.state = nil
	}
	s.relogin = false
	s.in.Discard(&e.Pool, s.reader.at)
	s.reader.at = 0
	s.reader.part = partNowhere
	if p := s.packed; p != nil { // what comes is not worth decompressing
		p.in.Discard(&e.Pool, p.in.Len())
		s.in.Discard(&e.Pool, s.in.Len())
		s.reader.mode = readNothing
	}
	s.account(e)
}

// Release gives back what is left of a session that is forgotten: the beginning
// of a command that was captured behind the client's end.
func (s *Session) Release(e *Env) {
	s.in.Discard(&e.Pool, s.in.Len())
	if s.packed != nil {
		s.packed.in.Discard(&e.Pool, s.packed.in.Len())
	}
}

// Undecided reports whether the session stands in no column of the ledger yet:
// it is open.
func (s *Session) Undecided() bool { return s.outcome == undecided }

// Pending returns the commands whose column is not decided yet.
func (s *Session) Pending() (n uint64) {
	all := s.queue.all[s.queue.head:]
	for i := range all {
		if all[i].has(counts) {
			n++
		}
	}
	return n
}

// spent reports whether nothing will come of the session any more if nothing more
// is captured: what was is answered, or lacks its end.
func (s *Session) spent() bool {
	if s.phase != Ready || s.stopped || s.clientGone != clientOpen {
		return false
	}
	first := s.queue.first()
	switch {
	case first == nil, first.has(open):
		return true
	case s.infile == infileAsked && first.has(loads): // the target waits for the rest of the file
		rest := s.queue.unsent()
		return rest == nil || rest.has(file) && rest.has(open)
	}
	return false
}

// Stop is the end of the program: commands that were not sent are lost, those
// that were stay pending. A session with nothing unanswered says COM_QUIT, any
// other is reset.
func (s *Session) Stop(e *Env) {
	if s.stopped {
		return
	}
	if s.phase == Opening {
		s.lose(e, ledger.TargetUnreachable) // nothing answered the SYN so far
	}
	unsent := s.queue.all[s.queue.sent:]
	for i := range unsent {
		if r := &unsent[i]; r.has(counts) && !r.has(begun) {
			r.flags = r.flags&^counts | drop
			e.Counts.Commands.Lost[ledger.NotSent]++
		}
	}
	s.stopped = s.phase < Closing
	switch {
	case s.phase == Ready && s.queue.len() == 0:
		s.writePacket(e, 0, []byte{byte(mysql.ComQuit)})
		s.close(e)
	case s.phase >= Opening && s.phase < Closing:
		e.Out.Segments = s.Conn.Abort(&e.Pool, e.Out.Segments)
	}
}

// Closed reports whether the connection to the target is at its end, but for a
// repeated FIN.
func (s *Session) Closed() bool {
	return s.Conn.Fate() != tcpstate.Alive || s.Conn.State() == tcpstate.TimeWait
}

// Break ends the connection to the target at once, whatever stands open.
func (s *Session) Break(e *Env) {
	if s.phase >= Opening && s.phase != Over {
		e.Out.Segments = s.Conn.Abort(&e.Pool, e.Out.Segments)
	}
}
