package simulation

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"mrtecopy/internal/mysql"
)

// someAttributes are the query attributes in front of a statement's text: none,
// one, two.
var someAttributes = []string{
	"\x00\x01",
	"\x01\x01\x00\x01\xfd\x00\x05trace\x04abcd",
	"\x02\x01\x01\x01\x06\x00\x01n\x08\x00\x01i\x01\x00\x00\x00\x00\x00\x00\x00",
}

// Speak makes the client use query attributes, toward a production that has
// them.
func (c *Client) Speak(attributes bool, how mysql.Compression) *Client {
	c.attributes, c.How = attributes, how
	caps := ModelCaps
	if attributes {
		caps |= mysql.ClientQueryAttributes
	}
	c.Greeting = &mysql.Greeting{Version: "9.7.0", Capabilities: caps | mysql.ClientZstdCompressionAlgorithm, Charset: 45, Plugin: mysql.PluginNativePassword}
	return c
}

// LoginSpeaking logs in with the capabilities that speak chose.
func (c *Client) LoginSpeaking() *Client {
	l := TestLogin
	l.Capabilities |= mysql.ClientQueryAttributes // clients announce it to any server
	l.Capabilities |= Announce(c.How)
	return c.LoginAs(l)
}

// Announce returns the capability that asks for a compression.
func Announce(how mysql.Compression) mysql.Capabilities {
	switch how {
	case mysql.CompressionZlib:
		return mysql.ClientCompress
	case mysql.CompressionZstd:
		return mysql.ClientZstdCompressionAlgorithm
	}
	return 0
}

// Compressors are used again: to make one takes far longer than to use it. (A
// sync.Pool throws many away where the race detector is on.)
var compressors struct {
	sync.Mutex
	zlib *zlib.Writer
	zstd *zstd.Encoder
}

func compress(how mysql.Compression, b []byte) []byte {
	c := &compressors
	c.Lock()
	defer c.Unlock()
	if c.zlib == nil {
		c.zlib, _ = zlib.NewWriterLevel(nil, zlib.BestSpeed) // the errors are of wrong options
		c.zstd, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	}
	if how == mysql.CompressionZstd {
		return c.zstd.EncodeAll(b, nil)
	}
	var packed bytes.Buffer
	c.zlib.Reset(&packed)
	c.zlib.Write(b)
	c.zlib.Close()
	return packed.Bytes()
}

// Compressed returns b in compressed packets; what is short, or does not become
// shorter, stays plain, as clients leave it.
func Compressed(how mysql.Compression, b []byte, sequence uint8) (out []byte) {
	const most = 1<<24 - 1
	for len(b) > 0 {
		part := b[:min(len(b), most)]
		b = b[len(part):]
		const short = 50
		packed, size := part, 0
		if len(part) >= short {
			if p := compress(how, part); len(p) < len(part) {
				packed, size = p, len(part)
			}
		}
		n := len(packed)
		out = append(out, byte(n), byte(n>>8), byte(n>>16), sequence, byte(size), byte(size>>8), byte(size>>16))
		out = append(out, packed...)
		sequence++
	}
	return out
}

// PrepareOK is the first packet of a server's answer to a PREPARE.
func PrepareOK(id uint32, params, columns int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("\x0c\x00\x00\x01\x00"), id)
	b = append(b, byte(columns), byte(columns>>8), byte(params), byte(params>>8), 0, 0, 0)
	if columns > 0 || params > 0 {
		b = append(b, "\x18\x00\x00\x02\x03def"...)
	}
	return b
}

// shapeOf returns n and m of a statement "pNcM …".
func shapeOf(text string) (params, columns int) {
	if n, _ := fmt.Sscanf(strings.TrimLeft(text, "~!^"), "p%dc%d", &params, &columns); n != 2 {
		return 0, 0
	}
	return params, columns
}

func paramsOf(text string) int {
	params, _ := shapeOf(text)
	return params
}

// executeArgs are the parameters of a COM_STMT_EXECUTE: tiny integers, of which
// the first has no value if it was sent as long data; with the layout of query
// attributes, and as many attributes.
func executeArgs(params, attributes int, layout, long bool) string {
	n := params + attributes
	if n == 0 {
		return ""
	}
	var b []byte
	if layout {
		b = append(b, byte(n))
	}
	b = append(b, make([]byte, (n+7)/8)...)
	b = append(b, 1)
	for i := range n {
		b = append(b, 1, 0)
		switch {
		case layout && i >= params:
			b = append(b, "\x05trace"...)
		case layout:
			b = append(b, 0)
		}
	}
	for i := range n {
		if i > 0 || !long {
			b = append(b, byte(i))
		}
	}
	return string(b)
}
