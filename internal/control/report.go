package control

import (
	"fmt"

	"mrtecopy/internal/wire"
)

// A RegStatus is what became of a registration.
type RegStatus uint8

// The values of RegStatus.
const (
	RegOK        RegStatus = 1 + iota
	RegDuplicate           // the 4-tuple, or the ID, is registered already
	RegLimit               // intercept serves as many connections as it can
	RegMismatch            // intercept does not watch this target
)

func (s RegStatus) String() string {
	switch s {
	case RegOK:
		return "registered"
	case RegDuplicate:
		return "registered by another already"
	case RegLimit:
		return "intercept serves as many connections as it can"
	case RegMismatch:
		return "intercept does not watch this target"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// A Registered answers a Register.
type Registered struct {
	ID     uint32
	Status RegStatus
}

// AppendRegistered appends m as a message.
//
//	int<4> id | int<1> status
func AppendRegistered(b []byte, m *Registered) []byte {
	b, at := begin(b, TypeRegistered)
	b = appendU32(b, m.ID)
	b = append(b, byte(m.Status))
	return finish(b, at)
}

// ParseRegistered reads the body of a Registered.
func ParseRegistered(body []byte) (m Registered, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	m.Status = RegStatus(c.u8())
	return m, c.end() && RegOK <= m.Status && m.Status <= RegMismatch
}

// A Report says what came from the target on a connection since the last one.
// It comes after the Heads of the responses it counts.
type Report struct {
	ID uint32
	wire.Report
	Ended  uint16   // responses that ended
	Errors uint16   // of which in an ERR
	Frame  [16]byte // the framing's state at RcvNxt, to be given back in a Register that resumes
}

// The bits of a Report's octet of contents. Two bits each say how many blocks
// there are.
const (
	reportAckNow    = 1 << 0
	reportOptions   = 1 << 1
	reportSACKShift = 2
	reportHeldShift = 4
	reportBits      = 1<<6 - 1

	optionWScale        = 1 << 0
	optionSACKPermitted = 1 << 1
	optionBits          = 1<<2 - 1
)

// AppendReport appends m as a message.
//
//	int<4> id | int<1> TCP flags | int<1> contents | int<4> SEG.SEQ | int<4> SEG.ACK | int<2> SEG.WND |
//	int<4> RCV.NXT | int<1> duplicate ACKs | int<2> ended | int<2> errors | int<16> frame |
//	[ int<2> MSS | int<1> window scale | int<1> options ] | SACK blocks | held blocks
func AppendReport(b []byte, m *Report) []byte {
	o := &m.Options
	nsack, nheld := min(o.NSACK, 3), min(m.NHeld, 3)
	contents := nsack<<reportSACKShift | nheld<<reportHeldShift
	if m.AckNow {
		contents |= reportAckNow
	}
	options := o.MSS != 0 || o.HasWScale || o.SACKPermitted
	if options {
		contents |= reportOptions
	}
	b, at := begin(b, TypeReport)
	b = appendU32(b, m.ID)
	b = append(b, byte(m.Flags), contents)
	b = appendNum(b, m.Seq)
	b = appendNum(b, m.Ack)
	b = appendU16(b, m.Window)
	b = appendNum(b, m.RcvNxt)
	b = append(b, m.DupAcks)
	b = appendU16(b, m.Ended)
	b = appendU16(b, m.Errors)
	b = append(b, m.Frame[:]...)
	if options {
		var scale, bits byte
		if o.HasWScale {
			scale, bits = min(o.WScale, wire.MaxWScale), optionWScale
		}
		if o.SACKPermitted {
			bits |= optionSACKPermitted
		}
		b = append(appendU16(b, o.MSS), scale, bits)
	}
	b = appendBlocks(b, o.SACK[:nsack])
	b = appendBlocks(b, m.Held[:nheld])
	return finish(b, at)
}

// ParseReport reads the body of a Report.
func ParseReport(body []byte) (m Report, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	m.Flags = wire.Flags(c.u8())
	contents := c.u8()
	m.AckNow = contents&reportAckNow != 0
	m.Seq = c.num()
	m.Ack = c.num()
	m.Window = c.u16()
	m.RcvNxt = c.num()
	m.DupAcks = c.u8()
	m.Ended = c.u16()
	m.Errors = c.u16()
	m.Frame = [16]byte(c.take(16))
	if contents&reportOptions != 0 && !parseOptions(&c, &m.Options) {
		return m, false
	}
	m.Options.NSACK = contents >> reportSACKShift & 3
	for i := range m.Options.NSACK {
		m.Options.SACK[i] = c.block()
	}
	m.NHeld = contents >> reportHeldShift & 3
	for i := range m.NHeld {
		m.Held[i] = c.block()
	}
	return m, c.end() && contents&^reportBits == 0 && m.Errors <= m.Ended
}

// parseOptions reads the options of a SYN. There is one way to write each set of
// options, and none to write a shift count that TCP forbids.
func parseOptions(c *cursor, o *wire.Options) bool {
	o.MSS = c.u16()
	o.WScale = c.u8()
	bits := c.u8()
	o.HasWScale = bits&optionWScale != 0
	o.SACKPermitted = bits&optionSACKPermitted != 0
	return bits&^optionBits == 0 && (o.MSS != 0 || bits != 0) &&
		o.WScale <= wire.MaxWScale && (o.HasWScale || o.WScale == 0)
}

// MaxHead bounds the payload of a Head.
const MaxHead = MaxFrame - 64

// A Head is a packet of the target that mrtecopy needs to see: a greeting, a
// step of the login, an ERR, the OK of a PREPARE, a request for a local file.
type Head struct {
	ID       uint32
	Kind     uint8  // mysql.Kind of what it answers, or intercept.HeadUnsolicited
	Sequence uint8  // the packet's sequence id
	Payload  []byte // When parsed, a view into the batch
}

// AppendHead appends m as a message. A payload of more than MaxHead is cut.
//
//	int<4> id | int<1> kind | int<1> sequence id | payload
func AppendHead(b []byte, m *Head) []byte {
	b, at := begin(b, TypeHead)
	b = appendU32(b, m.ID)
	b = append(b, m.Kind, m.Sequence)
	b = append(b, m.Payload[:min(len(m.Payload), MaxHead)]...)
	return finish(b, at)
}

// ParseHead reads the body of a Head.
func ParseHead(body []byte) (m Head, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	m.Kind = c.u8()
	m.Sequence = c.u8()
	m.Payload = c.rest()
	return m, c.end() && len(m.Payload) <= MaxHead
}

// A LostReason says why intercept gave a connection up.
type LostReason uint8

// The values of LostReason.
const (
	LostFraming LostReason = 1 + iota // the responses cannot be told apart any more
	LostMemory                        // more would have to be held of it than is allowed
)

func (r LostReason) String() string {
	switch r {
	case LostFraming:
		return "the target's responses cannot be told apart any more"
	case LostMemory:
		return "more of the target's responses would have to be held than is allowed"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// A Lost says that intercept gave a connection up. No report on it follows.
type Lost struct {
	ID     uint32
	Reason LostReason
}

// AppendLost appends m as a message.
//
//	int<4> id | int<1> reason
func AppendLost(b []byte, m *Lost) []byte {
	b, at := begin(b, TypeLost)
	b = appendU32(b, m.ID)
	b = append(b, byte(m.Reason))
	return finish(b, at)
}

// ParseLost reads the body of a Lost.
func ParseLost(body []byte) (m Lost, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	m.Reason = LostReason(c.u8())
	return m, c.end() && LostFraming <= m.Reason && m.Reason <= LostMemory
}
