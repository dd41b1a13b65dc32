package control

import (
	"encoding/binary"
	"fmt"
)

// A Type says what a message is.
type Type uint8

// The types of messages. Those of the handshake and the ping never reach an
// engine.
const (
	typeProof   Type = 1
	typeHello   Type = 2
	typeWelcome Type = 3
	typeRefusal Type = 4
	typePing    Type = 5

	// From mrtecopy to intercept.
	TypeRegister   Type = 16
	TypeLogin      Type = 17
	TypeKinds      Type = 18
	TypeUnregister Type = 19

	// From intercept to mrtecopy.
	TypeRegistered Type = 32
	TypeReport     Type = 33
	TypeHead       Type = 34
	TypeLost       Type = 35
)

func (t Type) String() string {
	switch t {
	case typeProof:
		return "Proof"
	case typeHello:
		return "Hello"
	case typeWelcome:
		return "Welcome"
	case typeRefusal:
		return "Refusal"
	case typePing:
		return "Ping"
	case TypeRegister:
		return "Register"
	case TypeLogin:
		return "Login"
	case TypeKinds:
		return "Kinds"
	case TypeUnregister:
		return "Unregister"
	case TypeRegistered:
		return "Registered"
	case TypeReport:
		return "Report"
	case TypeHead:
		return "Head"
	case TypeLost:
		return "Lost"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Malformed is the error to Abort a connection with whose peer sent a message of
// type t that is not understood.
func Malformed(t Type) error { return fmt.Errorf("malformed or unexpected %v message", t) }

const (
	// lengthSize is the length field's; headerSize includes the type.
	lengthSize = 4
	headerSize = lengthSize + 1

	// MaxFrame bounds what the length field may say: the octets of the type and
	// the body.
	MaxFrame = 256 << 10
)

// ping is a whole Ping frame.
var ping = [headerSize]byte{3: 1, 4: byte(typePing)}

// begin appends a frame's header, and finish fills in its length.
//
//	int<4> length of what follows | int<1> type | body
//
// All numbers are in network order.
func begin(b []byte, t Type) (_ []byte, at int) {
	return append(b, 0, 0, 0, 0, byte(t)), len(b)
}

func finish(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-lengthSize))
	return b
}

// Next returns the first message of batch and what follows it. The body is a
// view into batch. Pings are passed over: at the end of the batch t is 0, which
// is no type. Batches as they are delivered hold whole frames only; in others
// Next stops before the first that is not.
//
//	for t, body, rest := control.Next(batch); t != 0; t, body, rest = control.Next(rest) {
func Next(batch []byte) (t Type, body, rest []byte) {
	for len(batch) >= headerSize {
		n := binary.BigEndian.Uint32(batch)
		t = Type(batch[lengthSize])
		if n == 0 || uint64(n) > uint64(len(batch)-lengthSize) || t == 0 {
			break
		}
		body, rest = batch[headerSize:lengthSize+n:lengthSize+n], batch[lengthSize+n:]
		if t != typePing {
			return t, body, rest
		}
		batch = rest
	}
	return 0, nil, nil
}

// A scan is what the beginning of a stream of frames holds.
type scan struct {
	whole    int  // octets of whole frames
	messages bool // not only pings among them
	need     int  // octets of the frame that begins behind them as far as known, its length field included
}

// scanFrames looks at b, which begins with a frame. It reports false when a
// length field is impossible, or a type is 0.
func scanFrames(b []byte) (s scan, ok bool) {
	for {
		rest := b[s.whole:]
		if len(rest) < headerSize {
			s.need = headerSize
			return s, len(rest) < lengthSize || lengthOK(binary.BigEndian.Uint32(rest))
		}
		n := binary.BigEndian.Uint32(rest)
		if !lengthOK(n) || rest[lengthSize] == 0 {
			return s, false
		}
		s.need = lengthSize + int(n)
		if len(rest) < s.need {
			return s, true
		}
		s.whole += s.need
		s.messages = s.messages || Type(rest[lengthSize]) != typePing
	}
}

func lengthOK(n uint32) bool { return 1 <= n && n <= MaxFrame }
