package control

import (
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// maxKinds is how many kinds one message holds at most.
const maxKinds = 32 << 10

// A Register asks intercept to report on a connection from now on. The answer is
// a Registered.
type Register struct {
	ID       uint32        // mrtecopy's name for the connection, unique among those of one control connection
	Client   wire.Endpoint // our forged end
	Target   wire.Endpoint
	Resume   bool    // the connection was reported before: the fields below say where to go on
	RcvNxt   seq.Num // RCV.NXT of the last report
	SndUna   seq.Num // SND.UNA; when not resuming, the sequence number of the SYN, 0 for any
	Caps     uint32  // capabilities in effect
	Extended uint32  // MariaDB's
	Frame    [16]byte
	Kinds    []byte // of the commands sent and not answered, in order. When parsed, a view into the batch
}

// regResume is the only bit of a Register's flags.
const regResume = 1

// AppendRegister appends m as a message. Kinds for which one message has no room
// follow it as Kinds messages.
//
//	int<4> id | int<1> flags | endpoint client | endpoint target | int<4> RCV.NXT | int<4> SND.UNA |
//	int<4> capabilities | int<4> extended | int<16> frame | kinds
func AppendRegister(b []byte, m *Register) []byte {
	b, at := begin(b, TypeRegister)
	b = appendU32(b, m.ID)
	flags := byte(0)
	if m.Resume {
		flags = regResume
	}
	b = append(b, flags)
	b = appendEndpoint(b, &m.Client)
	b = appendEndpoint(b, &m.Target)
	b = appendNum(b, m.RcvNxt)
	b = appendNum(b, m.SndUna)
	b = appendU32(b, m.Caps)
	b = appendU32(b, m.Extended)
	b = append(b, m.Frame[:]...)
	n := min(len(m.Kinds), maxKinds)
	b = append(b, m.Kinds[:n]...)
	b = finish(b, at)
	return AppendKinds(b, &Kinds{m.ID, m.Kinds[n:]})
}

// ParseRegister reads the body of a Register.
func ParseRegister(body []byte) (m Register, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	flags := c.u8()
	m.Resume = flags&regResume != 0
	m.Client = c.endpoint()
	m.Target = c.endpoint()
	m.RcvNxt = c.num()
	m.SndUna = c.num()
	m.Caps = c.u32()
	m.Extended = c.u32()
	m.Frame = [16]byte(c.take(16))
	m.Kinds = c.rest()
	return m, c.end() && flags&^regResume == 0 && len(m.Kinds) <= maxKinds
}

// A Login says which capabilities are in effect on a connection from now on:
// those both sides have.
type Login struct {
	ID       uint32
	Caps     uint32
	Extended uint32 // MariaDB's
}

// AppendLogin appends m as a message.
//
//	int<4> id | int<4> capabilities | int<4> extended
func AppendLogin(b []byte, m *Login) []byte {
	b, at := begin(b, TypeLogin)
	b = appendU32(b, m.ID)
	b = appendU32(b, m.Caps)
	b = appendU32(b, m.Extended)
	return finish(b, at)
}

// ParseLogin reads the body of a Login.
func ParseLogin(body []byte) (m Login, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	m.Caps = c.u32()
	m.Extended = c.u32()
	return m, c.end()
}

// Kinds says what was sent on a connection and will be answered, in the order of
// sending.
type Kinds struct {
	ID    uint32
	Kinds []byte // mysql.Kind. When parsed, a view into the batch
}

// AppendKinds appends m as a message, as several if there are very many kinds,
// as none if there are none.
//
//	int<4> id | kinds, 1 or more
func AppendKinds(b []byte, m *Kinds) []byte {
	for kinds := m.Kinds; len(kinds) > 0; {
		n := min(len(kinds), maxKinds)
		var at int
		b, at = begin(b, TypeKinds)
		b = appendU32(b, m.ID)
		b = append(b, kinds[:n]...)
		b = finish(b, at)
		kinds = kinds[n:]
	}
	return b
}

// ParseKinds reads the body of a Kinds.
func ParseKinds(body []byte) (m Kinds, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	m.Kinds = c.rest()
	return m, c.end() && 1 <= len(m.Kinds) && len(m.Kinds) <= maxKinds
}

// An Unregister ends the reports on a connection. It has no answer; a report
// that was under way may still come.
type Unregister struct{ ID uint32 }

// AppendUnregister appends m as a message.
//
//	int<4> id
func AppendUnregister(b []byte, m *Unregister) []byte {
	b, at := begin(b, TypeUnregister)
	b = appendU32(b, m.ID)
	return finish(b, at)
}

// ParseUnregister reads the body of an Unregister.
func ParseUnregister(body []byte) (m Unregister, ok bool) {
	c := cursor{b: body}
	m.ID = c.u32()
	return m, c.end()
}
