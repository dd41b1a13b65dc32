package session

import (
	"mrtecopy/internal/buffer"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// A packed holds a compressing client's octets until a compressed packet is
// whole. What comes out is read as any client's octets are.
type packed struct {
	how  mysql.Compression
	in   buffer.Buffer
	skip int  // octets still to come of a packet with a hole
	lost bool // behind a hole: the next packet's beginning is looked for

	unsure bool // how is not known before the first packet that is compressed

	commands int // in the packet at hand
}

// maxCommands is how many commands one compressed packet may hold: some clients
// gather a batch, none so large a one. Otherwise a few octets could keep the
// shard busy for seconds.
const maxCommands = 16 << 10

// compression returns how the client's packets are compressed behind its login.
func (s *Session) compression() mysql.Compression {
	caps, _ := s.spoken()
	return caps.Compression()
}

// beginPacked takes the octets behind the cursor, the first behind the login, as
// compressed ones.
func (s *Session) beginPacked(e *Env) {
	r := &s.reader
	if s.outcome != undecided { // not worth the work
		r.mode = readNothing
		return
	}
	r.mode = readCommands
	p := &packed{how: s.compression()}
	p.in.Append(&e.Pool, s.in.Bytes()[r.at:])
	s.in.Truncate(&e.Pool, r.at)
	s.packed = p
	s.unpack(e, r.acked, r.end)
}

// packedData takes compressed octets.
func (s *Session) packedData(e *Env, b []byte, ack, end seq.Num) {
	p := s.packed
	n := min(p.skip, len(b))
	p.skip -= n
	b = b[n:]
	if p.lost && !s.packedBoundary(e, b, ack) {
		return
	}
	p.lost = false
	p.in.Append(&e.Pool, b)
	s.unpack(e, ack, end)
}

// unpack reads the compressed packets that are whole. Each is handed on as if it
// had been captured in one piece.
func (s *Session) unpack(e *Env, ack, end seq.Num) {
	p := s.packed
	for s.reader.mode != readNothing {
		b := p.in.Bytes()
		h, ok := mysql.ParseCompressedHeader(b)
		if !ok || len(b) < mysql.CompressedHeaderSize+h.Length {
			return
		}
		size := mysql.CompressedHeaderSize + h.Length
		p.learn(h, b[mysql.CompressedHeaderSize:size])
		plain, err := e.Decompressor.Packet(p.how, h, b[mysql.CompressedHeaderSize:size])
		if err != nil {
			s.unreadable(e)
			return
		}
		if s.reader.mode == resync && h.Sequence != 0 {
			p.in.Discard(&e.Pool, size) // it goes on with a message whose beginning is lost
			continue
		}
		p.commands = 0
		s.plain(e, plain, ack, end.Add(size-len(b)))
		if s.reader.mode == readNothing {
			break // the session has ended with it
		}
		p.in.Discard(&e.Pool, size)
	}
	p.in.Discard(&e.Pool, p.in.Len())
}

// learn finds out from a packet how an adopted session compresses.
func (p *packed) learn(h mysql.CompressedHeader, body []byte) {
	if p.unsure && h.Uncompressed > 0 {
		p.how, _ = compressionOf(body)
		p.unsure = false
	}
}

// unreadable gives up a client whose octets are not what its login said.
func (s *Session) unreadable(e *Env) {
	p := s.packed
	p.in.Discard(&e.Pool, p.in.Len())
	s.reader.mode = readNothing
	s.in.Truncate(&e.Pool, s.reader.at)
	s.lose(e, ledger.Compression)
}

// packedGap says that n compressed octets were not captured. Within one packet,
// it is known how many octets they stand for.
func (s *Session) packedGap(e *Env, n int, end seq.Num) {
	p := s.packed
	if p.skip >= n {
		p.skip -= n
		return
	}
	if h, ok := mysql.ParseCompressedHeader(p.in.Bytes()); ok && p.skip == 0 && !p.lost {
		if left := mysql.CompressedHeaderSize + h.Length - p.in.Len(); n <= left {
			p.in.Discard(&e.Pool, p.in.Len())
			p.skip = left - n
			missing := h.Uncompressed
			if missing == 0 {
				missing = h.Length
			}
			s.plainGap(e, missing, end)
			return
		}
	}
	p.in.Discard(&e.Pool, p.in.Len())
	p.skip, p.lost = 0, true
	s.reader.end = end
	s.hole()
	if s.reader.mode != resync {
		s.damaged(e)
	}
}

// packedBoundary reports whether b, captured in one piece behind a hole, begins
// with a compressed packet: a whole one that begins a message, and comes out as
// its header says, or if it is plain, begins with a command.
func (s *Session) packedBoundary(e *Env, b []byte, ack seq.Num) bool {
	h, ok := mysql.ParseCompressedHeader(b)
	if !ok || h.Sequence != 0 || h.Length == 0 || len(b) < mysql.CompressedHeaderSize+h.Length {
		return false
	}
	body := b[mysql.CompressedHeaderSize : mysql.CompressedHeaderSize+h.Length]
	s.packed.learn(h, body)
	plain, err := e.Decompressor.Packet(s.packed.how, h, body)
	if err != nil || h.Uncompressed > 0 {
		return err == nil
	}
	_, ok = s.resumes(e, plain, ack, ack)
	return ok
}
