package wire

import (
	"encoding/binary"

	"mrtecopy/internal/seq"
)

// Kinds of TCP options (IANA, tcp-parameters).
const (
	optEnd           = 0
	optNop           = 1
	optMSS           = 2
	optWScale        = 3
	optSACKPermitted = 4
	optSACK          = 5
)

// MaxWScale is the largest shift count (RFC 7323, section 2.3).
const MaxWScale = 14

// A Block is a range of sequence numbers, End excluded (RFC 2018, section 3).
type Block struct{ Start, End seq.Num }

// Options are the TCP options this program reads and writes. The zero value
// is no options.
type Options struct {
	MSS           uint16 // 0: absent
	WScale        uint8  // shift count, meaningful with HasWScale
	HasWScale     bool
	SACKPermitted bool
	NSACK         uint8 // used entries of SACK
	SACK          [3]Block
}

// parse reads b, the options field. A malformed option ends the reading, as in
// Linux: what came before it counts.
func (o *Options) parse(b []byte) {
	*o = Options{}
	for len(b) > 0 {
		switch b[0] {
		case optEnd:
			return
		case optNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return
		}
		body := b[2:b[1]]
		switch {
		case b[0] == optMSS && len(body) == 2:
			o.MSS = binary.BigEndian.Uint16(body)
		case b[0] == optWScale && len(body) == 1:
			o.WScale, o.HasWScale = min(body[0], MaxWScale), true
		case b[0] == optSACKPermitted && len(body) == 0:
			o.SACKPermitted = true
		case b[0] == optSACK && len(body)%8 == 0:
			for ; len(body) > 0 && int(o.NSACK) < len(o.SACK); body = body[8:] {
				o.SACK[o.NSACK] = Block{
					seq.Num(binary.BigEndian.Uint32(body)),
					seq.Num(binary.BigEndian.Uint32(body[4:])),
				}
				o.NSACK++
			}
		}
		b = b[b[1]:]
	}
}

// append writes the options to b, padded to a multiple of four octets.
func (o *Options) append(b []byte) []byte {
	if o.MSS != 0 {
		b = append(b, optMSS, 4, byte(o.MSS>>8), byte(o.MSS))
	}
	if o.SACKPermitted {
		b = append(b, optNop, optNop, optSACKPermitted, 2)
	}
	if o.HasWScale {
		b = append(b, optNop, optWScale, 3, o.WScale)
	}
	if o.NSACK > 0 {
		b = append(b, optNop, optNop, optSACK, 2+8*o.NSACK)
		for _, s := range o.SACK[:o.NSACK] {
			b = binary.BigEndian.AppendUint32(b, uint32(s.Start))
			b = binary.BigEndian.AppendUint32(b, uint32(s.End))
		}
	}
	return b
}

// Size returns the octets the options take in a header.
func (o *Options) Size() int {
	n := 0
	if o.MSS != 0 {
		n += 4
	}
	if o.SACKPermitted {
		n += 4
	}
	if o.HasWScale {
		n += 4
	}
	if o.NSACK > 0 {
		n += 4 + 8*int(o.NSACK)
	}
	return n
}
