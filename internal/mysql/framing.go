package mysql

import "encoding/binary"

// A state says what a Tracker's next packet is.
type state uint8

const (
	stateIdle        state = iota // the first of a response
	stateNext                     // the same, but not the first packet since the command: behind a progress report or another result
	stateAuth                     // of a login, in answer to the client's last
	stateFile                     // OK or ERR after the client has sent its file
	stateColumns                  // the definition of a result's column
	stateColumnsEOF               // the EOF behind these definitions
	stateRows                     // a row, or the end of the rows
	stateOutRows                  // the same, of a procedure's OUT parameters: another result follows
	stateParams                   // the definition of a prepared statement's parameter
	stateParamsEOF                // the EOF behind these definitions
	statePrepared                 // the definition of a prepared statement's column
	statePreparedEOF              // the EOF behind these definitions; Tracker.params more of them follow
	stateStream                   // of a replication stream, which ends only with the connection or an error
	stateEnd                      // none: the response ends with the current packet
	stateEndErr                   // the same, and the packet is an ERR
	stateBroken                   // unknown: an impossible packet came
	states
)

// ordered reports whether the packet comes right behind another of the
// server's packets, so that their sequence ids are consecutive.
func (s state) ordered() bool {
	return s == stateNext || stateColumns <= s && s <= statePreparedEOF
}

// rows reports whether the packet is a row or the end of the rows.
func (s state) rows() bool { return s == stateRows || s == stateOutRows }

// A verdict is what packet made of the bytes at its front.
type verdict uint8

const (
	more  verdict = iota // nothing yet (or nothing ever, when broken): the bytes must be offered again
	taken                // the header is consumed, the payload is to be skipped
	again                // nothing is consumed, but the state has changed: look again
)

// packet looks at the packet at the front of b. It consumes the header only:
// what it needs of the payload it reads, and leaves the rest to be skipped.
func (t *Tracker) packet(b []byte, out []Event) (verdict, []Event) {
	h, ok := ParseHeader(b)
	if !ok {
		return more, out
	}
	p := b[HeaderSize:]
	if len(p) > h.Length {
		p = p[:h.Length:h.Length]
	}
	if t.flags&flagContinued != 0 || t.state.ordered() {
		switch {
		case h.Sequence == t.seq+1:
		case t.flags&flagContinued == 0 && t.state.rows() && h.Sequence <= 1:
			// The beginning of the next response (or an ERR of the server's own,
			// with 0), but the rows have not ended.
			return again, t.end(Event{Cut: true}, out)
		default:
			return t.fail(), out
		}
	}
	if t.flags&flagContinued != 0 {
		return t.take(h, t.state), out
	}
	if t.state.rows() && len(p) > 0 && p[0] < eofHeader {
		return t.take(h, t.state), out // nearly all there are
	}
	if h.Length > 0 && len(p) == 0 {
		return more, out
	}
	if h.Length > 0 && p[0] == errHeader {
		return t.errPacket(h, p, out)
	}
	if t.state == stateIdle && h.Sequence == 0 && t.kinds.front() != KindGreeting {
		return t.fail(), out // the command's own packet had 0
	}
	switch t.state {
	case stateIdle, stateNext:
		return t.firstPacket(h, p, out)
	case stateAuth:
		return t.authPacket(h, p, out)
	case stateStream:
		if h.Length > 0 && h.Length < eofLimit && p[0] == eofHeader { // BINLOG_DUMP_NON_BLOCK
			return t.take(h, stateEnd), out
		}
		return t.take(h, stateStream), out
	}
	if h.Length == 0 {
		return t.fail(), out
	}
	switch t.state {
	case stateFile:
		if p[0] == okHeader {
			return t.terminator(h, p), out
		}
	case stateRows, stateOutRows:
		// A row, too, can begin with fe: with a string of 16 MiB or more.
		if t.isTerminator(h, p) {
			return t.terminator(h, p), out
		}
		return t.take(h, t.state), out
	case stateColumns, stateParams, statePrepared:
		if p[0] != eofHeader {
			return t.definition(h), out
		}
	case stateColumnsEOF, stateParamsEOF, statePreparedEOF:
		if p[0] == eofHeader && h.Length < eofLimit {
			return t.definitionsEOF(h, p), out
		}
		// MySQL 9.7.4 answers a statement that was once executed with a cursor,
		// when it is executed without one, by definitions and an OK.
		if p[0] == okHeader && t.state == stateColumnsEOF {
			return t.terminator(h, p), out
		}
	}
	return t.fail(), out
}

// fail gives the stream up.
func (t *Tracker) fail() verdict {
	t.state = stateBroken
	return again
}

// take consumes the header of a packet behind which the state is next.
func (t *Tracker) take(h Header, next state) verdict {
	t.state, t.seq, t.skip = next, h.Sequence, uint32(h.Length)
	t.flags &^= flagContinued
	if h.Length == MaxPayload {
		t.flags |= flagContinued
	}
	return taken
}

// head consumes a packet that is needed whole, when it is there.
func (t *Tracker) head(h Header, p []byte, next state, out []Event) (verdict, []Event) {
	if h.Length > maxWhole {
		return t.fail(), out
	}
	if len(p) < h.Length {
		return more, out
	}
	out = append(out, Event{Type: Head, Kind: t.kinds.front(), Sequence: h.Sequence, Payload: p})
	return t.take(h, next), out
}

// errPacket reads a packet that begins with ff, which ends any response.
func (t *Tracker) errPacket(h Header, p []byte, out []Event) (verdict, []Event) {
	if h.Length < 3 || h.Length > maxWhole {
		return t.fail(), out
	}
	if len(p) < 3 {
		return more, out
	}
	login := t.kinds.front() == KindGreeting || t.kinds.front() == KindLogin
	if binary.LittleEndian.Uint16(p[1:]) == progressCode && !login {
		next := t.state
		if next == stateIdle {
			next = stateNext
		}
		return t.take(h, next), out
	}
	if t.state == stateIdle && h.Sequence == 0 && t.kinds.front() != KindGreeting {
		return more, out // it answers nothing: see Unsolicited
	}
	return t.head(h, p, stateEndErr, out)
}
