package session

import (
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// A readMode says what the client's next packet can be.
type readMode uint8

const (
	readLogin    readMode = iota // the login, or the request for TLS
	readAuth                     // auth replies until the first packet of sequence id 0
	readCommands                 // commands
	readNothing                  // it cannot be read: encrypted or compressed
	resync                       // after a hole: the next boundary is looked for
)

// A reader splits the client's octets into packets and commands. Its cursor
// stands in Session.in, behind the octets of all records.
type reader struct {
	at    int // the cursor: octets of Session.in that were read
	body  int // octets left of the packet at hand, which is read as it comes
	mode  readMode
	part  partKind
	more  bool          // the packet at hand has 16 MiB: the next one belongs to the same command
	file  bool          // the client sends a file for LOAD DATA LOCAL, up to an empty packet
	last  mysql.Command // of the last command
	acked seq.Num       // the client's ACK number at the last octets
	asked seq.Num       // its ACK number with the last command that has a response
	asks  uint32        // commands that have one, so far
	owed  uint32        // of these, production may still have to answer so many
	steps int8          // of these, the client had waited for all answers before each so far; pipelined: it had not
	doubt int8          // how often acked must move, until no answer is owed to what was not captured
	moves uint32        // how often it has moved between two of these
	gap   seq.Num       // resync: the client's ACK number at the hole
	end   seq.Num       // the client's sequence number behind Session.in
}

const (
	pipelined = -1
	// manySteps is after how many commands a client that waited for each answer is
	// taken for one that always does.
	manySteps = 16
	// fewMoves is how many answers may be owed to what is in a hole, at most.
	fewMoves = 4
)

// partKind says where the octets of a packet that is read as it comes go.
type partKind uint8

const (
	partCommand partKind = iota // to the last record
	partFile                    // to the last record, a file's
	partNowhere                 // an auth reply, or the rest of a damaged command
)

// streamHead is how much of a streamed command must be there to begin it: the
// header, the command byte, and a statement's id.
const streamHead = mysql.HeaderSize + 5

// textHead is how much of a large statement must be there to tell whether it is
// streamed.
const textHead = 512

// Data takes octets of the client, in order. ack is its ACK number with them,
// end its sequence number behind them.
func (s *Session) Data(e *Env, b []byte, ack, end seq.Num) {
	switch {
	case s.reader.mode == readNothing:
	case s.packed != nil:
		s.packedData(e, b, ack, end)
	default:
		s.plain(e, b, ack, end)
	}
	s.account(e) // a turn may bring more commands than there is memory for
}

// plain is Data without compression.
func (s *Session) plain(e *Env, b []byte, ack, end seq.Num) {
	if s.reader.mode == resync {
		var ok bool
		if b, ok = s.resumes(e, b, ack, end); !ok {
			return
		}
	}
	s.reader.acked, s.reader.end = ack, end
	if !s.accepted && s.reader.mode >= readAuth && s.authAck.Before(ack) {
		s.accepted = true
	}
	if s.in.Len() == 0 {
		b = s.direct(e, b)
	}
	if len(b) > 0 {
		s.in.Append(&e.Pool, b)
		s.read(e)
	}
	s.statements.catchUp(end)
	s.advance(e)
}

// read moves the cursor over what is whole in Session.in.
func (s *Session) read(e *Env) {
	r := &s.reader
	for r.mode < readNothing {
		b := s.in.Bytes()[r.at:]
		if r.body > 0 {
			n := min(r.body, len(b))
			if n == 0 {
				return
			}
			s.take(e, n)
			if r.body -= n; r.body == 0 {
				s.packetEnd()
			}
			continue
		}
		if r.mode == readLogin {
			if n, more := mysql.ProxyHeader(b); more {
				return
			} else if n > 0 { // a proxy says whose connection it is
				s.nowhere(e, n)
				continue
			}
		}
		if h, ok := mysql.ParseHeader(b); !ok || !s.packet(e, h, b) {
			return
		}
	}
	if r.mode == readNothing {
		s.in.Discard(&e.Pool, s.in.Len())
		r.at = 0
	}
}

// nowhere moves the cursor over n octets that are not for the target.
func (s *Session) nowhere(e *Env, n int) {
	if s.queue.unsentLen() == 0 {
		s.in.Discard(&e.Pool, min(n, s.in.Len())) // less is left where the session ended meanwhile
		return
	}
	// They lie behind records that wait: in a record of their own.
	last := s.queue.last()
	if !last.has(drop) || last.has(counts|open) {
		last = s.queue.push(e, record{at: e.At, flags: drop})
	}
	last.size += n
	s.reader.at += n
}

// packet handles the packet that begins with b, of which at least the header is
// there. It reports false where more of it must come first.
func (s *Session) packet(e *Env, h mysql.Header, b []byte) bool {
	r := &s.reader
	whole := len(b) >= mysql.HeaderSize+h.Length
	switch {
	case r.more: // the command, or the file, goes on
		s.part(h, r.part)
		return true
	case r.file: // whatever the sequence id: it wraps in a file of 4 MiB
		r.file = h.Length > 0
		s.part(h, partFile)
		return true
	}
	switch r.mode {
	case readLogin:
		const maxLogin = 1 << 16
		if h.Sequence == 0 || h.Length > maxLogin {
			s.noLogin(e)
			return true
		}
		if !whole {
			return false
		}
		s.clientLogin(e, b[mysql.HeaderSize:mysql.HeaderSize+h.Length])
		s.nowhere(e, mysql.HeaderSize+h.Length)
		return true
	case readAuth:
		if h.Sequence != 0 {
			s.authAck, s.accepted = r.acked, false
			s.part(h, partNowhere)
			return true
		}
		if s.compression() != mysql.CompressionNone {
			s.beginPacked(e)
			return false
		}
		r.mode = readCommands
	}
	if h.Sequence != 0 {
		switch {
		case r.last == mysql.ComQuery && h.Sequence != 1:
			s.beginFile(e)
			r.file = h.Length > 0
			s.part(h, partFile)
		case r.last == mysql.ComChangeUser:
			s.part(h, partNowhere)
		default:
			s.damaged(e)
		}
		return true
	}
	if h.Length == 0 { // no command is empty; the server would close
		s.damaged(e)
		return true
	}
	cmd := mysql.ComSleep
	if len(b) > mysql.HeaderSize {
		cmd = mysql.Command(b[mysql.HeaderSize])
	}
	large := mysql.HeaderSize+h.Length > e.StreamAbove || s.outcome != undecided // only counted
	if large && len(b) < min(textHead, mysql.HeaderSize+h.Length) {
		return false
	}
	if large && !s.wantsWhole(cmd) && !s.wantsWholeText(e, cmd, b) || h.Length == mysql.MaxPayload {
		if len(b) < min(streamHead, mysql.HeaderSize+h.Length) {
			return false
		}
		to := partCommand
		if !s.command(e, cmd, 0, len(b), open) {
			to = partNowhere
		}
		s.part(h, to)
		return true
	}
	if !whole {
		return false
	}
	size := mysql.HeaderSize + h.Length
	if s.command(e, cmd, size, len(b)-size, 0) {
		r.at += size
	} else {
		s.nowhere(e, size)
	}
	return true
}

// part begins a packet that is read as it comes.
func (s *Session) part(h mysql.Header, to partKind) {
	r := &s.reader
	r.body = mysql.HeaderSize + h.Length
	r.part = to
	r.more = h.Length == mysql.MaxPayload
}

// take moves the cursor over n octets of a packet that is read as it comes.
func (s *Session) take(e *Env, n int) {
	last := s.queue.last()
	if s.reader.part == partNowhere || last == nil || !last.has(open) {
		s.nowhere(e, n)
		return
	}
	s.reader.at += n
	last.size += n
	last.at = e.At
}

// packetEnd is called behind the last octet of a packet read as it came.
func (s *Session) packetEnd() {
	r := &s.reader
	last := s.queue.last()
	if r.more || r.part == partNowhere || last == nil {
		return
	}
	if r.part == partCommand || !r.file {
		last.flags &^= open
	}
}

// command counts a captured command and queues it, of which size octets are
// read and left were captured behind these. It reports whether the command was
// queued.
func (s *Session) command(e *Env, cmd mysql.Command, size, left int, f recordFlags) bool {
	s.reader.last = cmd
	if p := s.packed; p != nil {
		if p.commands++; p.commands > maxCommands && s.outcome == undecided {
			s.lose(e, ledger.Compression)
		}
	}
	e.Counts.Commands.Captured++
	if s.left {
		s.lose(e, ledger.TargetClosed)
	}
	switch s.outcome {
	case skipped:
		e.Counts.Commands.Skipped[s.reason]++
		return false
	case lost:
		e.Counts.Commands.Lost[s.reason]++
		return false
	case replayed:
		e.Counts.Commands.Lost[ledger.TargetClosed]++
		return false
	}
	if replication(cmd) {
		e.Counts.Commands.Skipped[ledger.Replication]++
		s.skip(e, ledger.Replication)
		return false
	}
	f |= counts
	s.renewing(cmd)
	at := s.asks(cmd)
	switch {
	case f&open != 0 && (cmd == mysql.ComChangeUser || s.wantsWhole(cmd)):
		e.Counts.Commands.Skipped[ledger.Dialect]++
		f = f&^counts | drop
	}
	if s.statements.behindGap() {
		f |= gapped
	}
	s.queue.push(e, record{at: e.At, ack: s.reader.acked, size: size, cmd: cmd, flags: f})
	if cmd == mysql.ComStmtPrepare {
		if s.packed != nil {
			left = 0 // of other octets than the segments'
		}
		at.end = s.reader.end.Add(-left)
		s.prepared().prepare(at)
	}
	return true
}

// asks counts a command that production answers, and returns where it stands.
// If the client has read on since the last one, an answer came: whichever it
// was, at most the others are owed.
func (s *Session) asks(cmd mysql.Command) place {
	r := &s.reader
	at := place{ack: r.acked, blind: r.doubt > 0}
	if !cmd.HasResponse() {
		return at
	}
	moved := r.asked != r.acked
	if moved {
		r.moves++
		r.doubt = max(r.doubt-1, 0)
	}
	if moved && s.statements.readSettled(r.acked, r.asked) {
		moved = false // what the client has read on is the answer that is settled
	}
	if moved && r.owed > 0 {
		r.owed--
	}
	if t := s.statements; t != nil {
		r.owed = min(r.owed, r.asks-t.settled)
	}
	at.owed, at.moves = r.owed, r.moves
	at.lone, at.behind = r.owed == 0, r.owed > 0 && r.asked == r.acked
	if at.lone {
		s.statements.bound(r.acked)
	}
	switch {
	case !at.lone:
		r.steps = pipelined
	case r.steps != pipelined:
		r.steps = min(r.steps+1, manySteps)
	}
	at.step = r.steps == manySteps && !at.blind
	r.asks++
	r.owed++
	r.asked, at.nth = r.acked, r.asks
	return at
}

// replication reports whether cmd makes the session a replica's.
func replication(cmd mysql.Command) bool {
	switch cmd {
	case mysql.ComBinlogDump, mysql.ComBinlogDumpGTID, mysql.ComRegisterSlave, mysql.ComTableDump:
		return true
	}
	return false
}

// beginFile queues the client's file for LOAD DATA LOCAL.
func (s *Session) beginFile(e *Env) {
	if s.outcome == undecided && !s.left && s.phase != Over {
		s.queue.push(e, record{flags: file | open})
	}
}
