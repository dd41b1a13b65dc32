package session

import (
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// Gap says that n octets of the client were not captured; end is its sequence
// number behind them. The command they fell into is lost; reading goes on at the
// next one.
func (s *Session) Gap(e *Env, n int, end seq.Num) {
	if a := s.adopted; a != nil {
		a.missed, a.gapped = true, a.joined
	}
	switch {
	case s.reader.mode == readNothing:
	case s.packed != nil:
		s.packedGap(e, n, end)
	default:
		s.plainGap(e, n, end)
	}
	s.account(e)
}

// hole says that what was not captured may have held PREPAREs, and long data.
func (s *Session) hole() {
	if s.phase != Over {
		s.prepared().gap()
	}
}

// plainGap is Gap without compression.
func (s *Session) plainGap(e *Env, n int, end seq.Num) {
	r := &s.reader
	switch r.mode {
	case readNothing, resync:
		return
	case readLogin:
		r.mode = readNothing
		s.in.Truncate(&e.Pool, r.at)
		s.skip(e, ledger.CaptureGap)
		return
	}
	r.end = end
	s.hole()
	if r.body == 0 && !r.more && !r.file && r.mode == readCommands {
		// Does the hole lie within a command whose beginning is there?
		b := s.in.Bytes()[r.at:]
		if h, ok := mysql.ParseHeader(b); ok && h.Sequence == 0 && h.Length < mysql.MaxPayload {
			if left := mysql.HeaderSize + h.Length - len(b); n <= left {
				s.loseCommand(e)
				s.in.Truncate(&e.Pool, r.at)
				r.part, r.body, r.last = partNowhere, left-n, mysql.ComSleep
				return
			}
		}
	}
	if n <= r.body {
		last := s.queue.last()
		switch {
		case r.part == partNowhere || last == nil:
			r.body -= n
			return
		case r.part == partCommand && last.has(drop):
			r.body -= n
			if r.body == 0 {
				s.packetEnd()
			}
			return
		case r.part == partCommand && !last.has(begun):
			// The command ends where it would have: its octets are dropped.
			s.drop(e, last, ledger.CaptureGap)
			r.body -= n
			if r.body == 0 {
				s.packetEnd()
			}
			return
		}
	}
	if how := s.compression(); r.mode == readAuth && how != mysql.CompressionNone {
		s.packed = &packed{how: how, lost: true} // what it begins with may lie in the hole
	}
	s.damaged(e)
}

// loseCommand counts a command that the hole damaged.
func (s *Session) loseCommand(e *Env) {
	e.Counts.Commands.Captured++
	if s.outcome == skipped {
		e.Counts.Commands.Skipped[s.reason]++
		return
	}
	e.Counts.Commands.Lost[ledger.CaptureGap]++
}

// damaged gives up the command at hand and looks for the next boundary.
func (s *Session) damaged(e *Env) {
	r := &s.reader
	streaming := r.body > 0 || r.more || r.file
	if !s.breakOff(e, ledger.CaptureGap) && r.mode == readCommands && (!streaming || r.part == partNowhere) {
		s.loseCommand(e)
	}
	s.in.Truncate(&e.Pool, r.at)
	hidden := uint32(fewMoves)
	if r.steps == manySteps {
		hidden = 0
	}
	*r = reader{mode: resync, at: r.at, gap: r.acked, acked: r.acked, asks: r.asks + hidden, owed: hidden, steps: r.steps, moves: r.moves, doubt: fewMoves, end: r.end}
	s.advance(e)
}

// breakOff ends the record whose octets were being captured, for the rest of
// them never will be. It reports whether there was one.
func (s *Session) breakOff(e *Env, why ledger.Reason) bool {
	last := s.queue.last()
	if last == nil || !last.has(open) {
		return false
	}
	if !last.has(drop) && last.has(begun|file) {
		// The target has a part of it and waits for the rest, which we cannot give.
		s.lose(e, why)
		return true
	}
	s.drop(e, last, why)
	last.flags &^= open
	return true
}

// drop gives up the youngest record, of which nothing was sent.
func (s *Session) drop(e *Env, last *record, why ledger.Reason) {
	if last.has(counts) {
		e.Counts.Commands.Lost[why]++
		if last.cmd == mysql.ComStmtPrepare {
			s.statements.unprepare()
		}
	}
	last.flags = last.flags&^counts | drop
}
