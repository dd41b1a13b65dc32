package session

import (
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// resumes reports whether reading can go on with b, captured in one piece behind
// what was not captured.
func (s *Session) resumes(e *Env, b []byte, ack, end seq.Num) bool {
	a := s.adopted
	if a == nil || a.joined {
		return s.boundary(b, ack)
	}
	if s.packed == nil && s.otherwise(e, b, ack, end) {
		return false
	}
	quiet := a.state != nil && a.state.Quiet && !a.missed
	if !(quiet && begins(b)) && !s.boundary(b, ack) {
		a.missed = true // what comes next may not be a command's beginning
		return false
	}
	r := &s.reader
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
// whether b, captured in one piece, is TLS or compressed.
func (s *Session) otherwise(e *Env, b []byte, ack, end seq.Num) bool {
	switch tls, certain := tlsRecord(b); {
	case certain:
		s.reader.mode = readNothing
		s.skip(e, ledger.TLS)
		return true
	case tls:
		return true
	}
	is, maybe := compressed(e, b)
	if is {
		s.packed = &packed{how: mysql.CompressionZlib, lost: true, unsure: true}
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
		return begins(body), false
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
