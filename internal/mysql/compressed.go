package mysql

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	// The standard library's inflate allocates for nearly every packet.
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// CompressedHeaderSize is the size of the header in front of every compressed
// packet's payload.
const CompressedHeaderSize = 7

// A CompressedHeader is a compressed packet's header. With compression in
// effect, everything behind the login's OK travels in such packets, both ways.
// Packets and compressed packets need not begin together: one compressed
// packet may hold several packets, and a packet may go on in the next one.
//
//	int<3> payload length | int<1> sequence id | int<3> length before compression | payload
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression_packet.html
type CompressedHeader struct {
	Length       int   // of the payload as it is on the wire
	Sequence     uint8 // begins anew with each command; the packets within have their own
	Uncompressed int   // length before compression; 0: the payload is not compressed
}

// ParseCompressedHeader reports ok only if b holds a whole header.
func ParseCompressedHeader(b []byte) (h CompressedHeader, ok bool) {
	if len(b) < CompressedHeaderSize {
		return CompressedHeader{}, false
	}
	return CompressedHeader{
		Length:       int(b[0]) | int(b[1])<<8 | int(b[2])<<16,
		Sequence:     b[3],
		Uncompressed: int(b[4]) | int(b[5])<<8 | int(b[6])<<16,
	}, true
}

// A Compression is what the payloads of compressed packets are compressed with.
type Compression uint8

// The compressions. With CompressionNone there are no compressed packets.
const (
	CompressionNone Compression = iota
	CompressionZlib
	CompressionZstd
)

func (c Compression) String() string {
	switch c {
	case CompressionNone:
		return "none"
	case CompressionZlib:
		return "zlib"
	case CompressionZstd:
		return "zstd"
	}
	return fmt.Sprintf("Compression(%d)", uint8(c))
}

// Compression returns what c, the capabilities in effect, choose. Where both
// algorithms are offered and accepted it is zlib: MySQL 9.7 chooses it whatever
// the order of protocol_compression_algorithms and of the client's list.
func (c Capabilities) Compression() Compression {
	switch {
	case c.Has(ClientCompress):
		return CompressionZlib
	case c.Has(ClientZstdCompressionAlgorithm):
		return CompressionZstd
	}
	return CompressionNone
}

// The Decompressor's memory.
const (
	maxScratch = MaxPayload // what a header can announce
	// keepScratch is what a Decompressor keeps behind a larger packet: as much as
	// servers and clients hold back before they send (net_buffer_length), and
	// some more.
	keepScratch = 64 << 10
)

// What Head reads of a compressed packet at most.
const (
	// Deflate needs no more than a block's header (three bits, and below 300
	// octets of code lengths) and 15 bits for each octet that is a literal.
	headInput, headInputPerOctet = 512, 2
	// maxHeadBlock is the longest packet of which Head decompresses whole blocks:
	// one of them. It is done for each answer while a PREPARE's is awaited.
	maxHeadBlock = 128 << 10
)

var (
	errCutShort   = errors.New("decompress a packet: it is cut short")
	errOtherSize  = errors.New("decompress a packet: it is not as long as its header says")
	errNoCompress = errors.New("decompress a packet: no compression is in effect")
)

// A Decompressor decompresses the payloads of compressed packets. It keeps no
// state between packets, so one serves all sessions of a goroutine; its zero
// value is ready. It holds at most 16 MiB of plain octets, and behind a packet
// above 64 KiB only until the next smaller one.
type Decompressor struct {
	scratch []byte
	in      bytes.Reader
	more    [1]byte       // room for what must not come
	zlib    io.ReadCloser // nil until needed
	zstd    *zstd.Decoder // nil until needed
}

// Packet returns what a compressed packet's whole payload holds. With
// h.Uncompressed == 0 that is payload itself, else it is valid until the next
// call. It returns an error unless exactly h.Uncompressed octets come out.
func (d *Decompressor) Packet(c Compression, h CompressedHeader, payload []byte) (plain []byte, err error) {
	switch {
	case c == CompressionNone:
		return nil, errNoCompress
	case len(payload) != h.Length:
		return nil, errCutShort
	case h.Uncompressed == 0:
		return payload, nil
	case h.Uncompressed < 0 || h.Uncompressed > maxScratch:
		return nil, errOtherSize
	}
	switch c {
	case CompressionZlib:
		plain, err = d.inflate(payload, h.Uncompressed)
		if err == nil {
			err = d.inflated()
		}
		d.in.Reset(nil)
	case CompressionZstd:
		plain, err = d.unzstd(payload, h.Uncompressed)
	default:
		return nil, errNoCompress
	}
	if err != nil {
		return nil, fmt.Errorf("decompress a packet of %d octets: %w", h.Length, err)
	}
	if len(plain) != h.Uncompressed {
		return nil, errOtherSize
	}
	return plain, nil
}

// Head returns the first n octets of what the first compressed packet of b
// holds, or nil if they are not there. b begins with the packet's header, may
// be cut off, and may hold more packets. The octets are valid until the next
// call, and as long as b is.
//
// Of zstd only whole blocks can be read: of a packet up to 128 KiB, the whole
// packet has to be there. Of zlib the beginning is enough.
func (d *Decompressor) Head(c Compression, b []byte, n int) []byte {
	h, ok := ParseCompressedHeader(b)
	if !ok || n <= 0 || c == CompressionNone {
		return nil
	}
	payload := b[CompressedHeaderSize:]
	payload = payload[:min(len(payload), h.Length)]
	if h.Uncompressed == 0 {
		if len(payload) < n {
			return nil
		}
		return payload[:n]
	}
	if h.Uncompressed < n {
		return nil
	}
	var plain []byte
	switch c { // that the rest is missing is no error here
	case CompressionZlib:
		plain, _ = d.inflate(payload[:min(len(payload), headInput+headInputPerOctet*n)], n)
		d.in.Reset(nil)
	case CompressionZstd:
		if h.Uncompressed <= maxHeadBlock {
			plain, _ = d.unzstd(payload, h.Uncompressed)
		}
	}
	if len(plain) < n {
		return nil
	}
	return plain[:n]
}

// space returns n octets of scratch memory.
func (d *Decompressor) space(n int) []byte {
	if n > cap(d.scratch) || n <= keepScratch && cap(d.scratch) > keepScratch {
		size := n
		if n <= keepScratch {
			size = keepScratch
		}
		d.scratch = make([]byte, size)
	}
	return d.scratch[:n]
}

// inflate returns the first n octets of a zlib stream (RFC 1950), or fewer and
// an error. The stream is not at its end then: see inflated.
func (d *Decompressor) inflate(stream []byte, n int) ([]byte, error) {
	d.in.Reset(stream)
	if d.zlib == nil {
		z, err := zlib.NewReader(&d.in)
		if err != nil {
			return nil, err
		}
		d.zlib = z
	} else if err := d.zlib.(zlib.Resetter).Reset(&d.in, nil); err != nil {
		return nil, err
	}
	b := d.space(n)
	n, err := io.ReadFull(d.zlib, b)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errOtherSize
	}
	return b[:n], err
}

// inflated reports an error unless the stream ends here, with the right
// checksum. Octets behind its end are of no interest to a server either.
func (d *Decompressor) inflated() error {
	switch n, err := io.ReadFull(d.zlib, d.more[:]); {
	case n > 0:
		return errOtherSize
	case err != io.EOF:
		return err
	}
	return nil
}

// unzstd decompresses frames of zstd (RFC 8878) of at most n octets in all.
// What it returns with an error are the blocks before it.
func (d *Decompressor) unzstd(frames []byte, n int) ([]byte, error) {
	if d.zstd == nil {
		z, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1), // no goroutines
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(maxScratch),
			zstd.WithDecodeAllCapLimit(true),
		)
		if err != nil {
			return nil, err
		}
		d.zstd = z
	}
	b := d.space(n)
	return d.zstd.DecodeAll(frames, b[:0:n])
}
