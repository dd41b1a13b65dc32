package mysql

// HeaderSize is the size of the header in front of every packet's payload.
const HeaderSize = 4

// MaxPayload is the longest payload of one packet. A packet of this length is
// continued in the next one; a payload of exactly MaxPayload bytes (or a
// multiple) is therefore followed by an empty packet.
const MaxPayload = 1<<24 - 1

// A Header is a packet's header.
//
//	int<3> payload length | int<1> sequence id | payload
type Header struct {
	Length   int // of the payload
	Sequence uint8
}

// ParseHeader reports ok only if b holds a whole header.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < HeaderSize {
		return Header{}, false
	}
	return Header{int(b[0]) | int(b[1])<<8 | int(b[2])<<16, b[3]}, true
}

// AppendHeader appends the header of a packet whose payload has length bytes,
// at most MaxPayload.
func AppendHeader(b []byte, length int, sequence uint8) []byte {
	return append(b, byte(length), byte(length>>8), byte(length>>16), sequence)
}
