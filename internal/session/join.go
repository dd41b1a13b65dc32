package session

import (
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// A held is what came last of a session that has not joined, for a client may send
// a header by itself, or a compressed packet's in a segment of its own.
type held struct {
	b   [mostHeld]byte
	n   int
	end seq.Num // the client's sequence number behind it
}

// mostHeld is as much of a packet as tells whether it is compressed: a header, and
// what its body begins with, such as a command.
const mostHeld = mysql.CompressedHeaderSize + mysql.HeaderSize + 1

// with returns b with what is held in front of it; nil if it does not follow on
// that.
func (h *held) with(b []byte, end seq.Num) []byte {
	if h.n == 0 || end.Add(-len(b)) != h.end {
		return nil
	}
	return append(h.b[:h.n:h.n], b...)
}

// hold holds the end of b.
func (h *held) hold(b []byte, end seq.Num) {
	h.n = copy(h.b[:], b[max(0, len(b)-mostHeld):])
	h.end = end
}

// tooShort reports whether b, the beginning of a packet, does not tell yet whether
// that is compressed.
func tooShort(b []byte) bool {
	h, ok := mysql.ParseHeader(b)
	return len(b) < mostHeld && !(ok && len(b) >= mysql.HeaderSize+h.Length && begins(b))
}

// resumes reports whether reading can go on with b, captured in one piece behind
// what was not captured. It returns b with what belongs in front of it.
func (s *Session) resumes(e *Env, b []byte, ack, end seq.Num) (from []byte, ok bool) {
	a := s.adopted
	if a == nil || a.joined {
		return b, s.boundary(b, ack)
	}
	quiet := a.state != nil && a.state.Quiet && !a.missed
	if s.packed != nil {
		ok = s.joinsWith(e, b, ack, quiet)
		a.missed = !ok // what comes next may not be a command's beginning
		return b, ok
	}
	all := b
	if last := a.held.with(b, end); last != nil {
		all = last
		if n := len(last) - len(b) - mysql.CompressedHeaderSize; n >= 0 {
			if is, _ := compressed(e, last[n:]); is && s.otherwise(e, last[n:], ack, end, quiet) {
				return nil, false
			}
		}
	}
	if quiet { // nothing came before what is held
		b = all
	}
	if quiet && tooShort(b) {
		a.held.hold(b, end)
		return nil, false
	}
	if s.otherwise(e, b, ack, end, quiet) {
		return nil, false
	}
	if s.joinsWith(e, b, ack, quiet) {
		return b, true
	}
	a.held.hold(all, end)
	a.missed = true // what comes next may not be a command's beginning
	return nil, false
}

// joinsWith reports whether the session can be joined at the beginning of b, and
// joins it.
func (s *Session) joinsWith(e *Env, b []byte, ack seq.Num, quiet bool) bool {
	a, r := s.adopted, &s.reader
	if !(quiet && begins(b)) && !s.boundary(b, ack) {
		return false
	}
	r.mode = readCommands
	switch {
	case !quiet:
	case a.state.AllStatements:
		r.asks, r.owed, r.doubt = 0, 0, 0
		s.statements.fresh()
	default:
		r.asks, r.owed, r.doubt = 0, 0, 0
		s.hole()
	}
	a.joined = true
	if a.state != nil && s.outcome == undecided {
		s.enter(e)
	}
	return s.reader.mode == readCommands
}

// begins reports whether b begins with a command.
func begins(b []byte) bool {
	h, ok := mysql.ParseHeader(b)
	return ok && h.Sequence == 0 && len(b) > mysql.HeaderSize && fits(mysql.Command(b[mysql.HeaderSize]), h.Length)
}

// otherwise handles octets of a client that does not speak plainly: it looks
// whether b, captured in one piece, is TLS or compressed. Where the session was
// quiet, b is the beginning of a packet, even if not all of it.
func (s *Session) otherwise(e *Env, b []byte, ack, end seq.Num, quiet bool) bool {
	switch tls, certain := tlsRecord(b); {
	case certain:
		s.reader.mode = readNothing
		s.skip(e, ledger.TLS)
		return true
	case tls:
		return true
	}
	is, maybe := compressed(e, b)
	if is || maybe && quiet {
		s.packed = &packed{how: mysql.CompressionZlib, lost: !quiet, unsure: true}
		s.packedData(e, b, ack, end)
	}
	return is || maybe
}

// tlsRecord reports whether b, the beginning of a segment, begins like a record of
// TLS (RFC 8446, section 5.1); certain, whether its length says so too. A MySQL
// command would have to be 66 kB long at least to look so.
//
//	int<1> type, 14 to 17 | 03 | 01 to 04 | int<2> length
func tlsRecord(b []byte) (tls, certain bool) {
	const header = 5
	like := func(b []byte) bool {
		return len(b) >= header && 0x14 <= b[0] && b[0] <= 0x17 && b[1] == 3 && 1 <= b[2] && b[2] <= 4
	}
	if !like(b) {
		return false, false
	}
	n := header + int(b[3])<<8 + int(b[4])
	return true, n == len(b) || n < len(b) && like(b[n:])
}

// compressed reports whether b, captured in one piece, begins with a whole
// compressed packet; maybe, whether with what looks like the beginning of a longer
// one.
func compressed(e *Env, b []byte) (is, maybe bool) {
	h, ok := mysql.ParseCompressedHeader(b)
	if !ok || h.Length == 0 || h.Sequence != 0 {
		return false, false
	}
	body := b[mysql.CompressedHeaderSize:]
	switch {
	case h.Uncompressed == 0: // as a plain packet it would be a COM_SLEEP, which no client sends
		p, _ := mysql.ParseHeader(body)
		return begins(body) && mysql.HeaderSize+p.Length <= h.Length, false
	case len(body) < h.Length:
		_, ok := compressionOf(body)
		return false, ok && h.Uncompressed > h.Length
	}
	how, _ := compressionOf(body)
	_, err := e.Decompressor.Packet(how, h, body[:h.Length])
	return err == nil, false
}

// compressionOf returns what b is compressed with, by what zlib (RFC 1950, section
// 2.2) and zstd (RFC 8878, section 3.1.1) begin with.
func compressionOf(b []byte) (how mysql.Compression, ok bool) {
	switch {
	case len(b) >= 4 && b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd:
		return mysql.CompressionZstd, true
	case len(b) >= 2 && b[0] == 0x78 && (int(b[0])<<8+int(b[1]))%31 == 0:
		return mysql.CompressionZlib, true
	}
	return mysql.CompressionZlib, false
}
