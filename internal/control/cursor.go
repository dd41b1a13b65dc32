package control

import (
	"encoding/binary"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A cursor reads a message's body from front to back. Past the end it reads
// zeros and remembers that, so that a parser checks once, at its end.
type cursor struct {
	b     []byte
	short bool
}

// zeros is what is read past the end; nobody writes to it.
var zeros [16]byte

// take returns the next n octets, 16 at most.
func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		c.b, c.short = nil, true
		return zeros[:n]
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) u8() uint8    { return c.take(1)[0] }
func (c *cursor) u16() uint16  { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32  { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) num() seq.Num { return seq.Num(c.u32()) }

func (c *cursor) endpoint() wire.Endpoint {
	return wire.Endpoint{Addr: wire.Addr(c.take(16)), Port: c.u16()}
}

func (c *cursor) block() wire.Block { return wire.Block{Start: c.num(), End: c.num()} }

// rest returns all that is left.
func (c *cursor) rest() []byte {
	b := c.b
	c.b = nil
	return b
}

// end reports whether the body was exactly what was read of it.
func (c *cursor) end() bool { return !c.short && len(c.b) == 0 }

func appendU16(b []byte, v uint16) []byte  { return binary.BigEndian.AppendUint16(b, v) }
func appendU32(b []byte, v uint32) []byte  { return binary.BigEndian.AppendUint32(b, v) }
func appendNum(b []byte, n seq.Num) []byte { return appendU32(b, uint32(n)) }

func appendEndpoint(b []byte, e *wire.Endpoint) []byte {
	return appendU16(append(b, e.Addr[:]...), e.Port)
}

func appendBlocks(b []byte, blocks []wire.Block) []byte {
	for _, k := range blocks {
		b = appendNum(appendNum(b, k.Start), k.End)
	}
	return b
}
