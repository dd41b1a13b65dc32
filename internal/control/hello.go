package control

import (
	"net/netip"

	"mrtecopy/internal/wire"
)

// A Hello says who connects. It is mrtecopy's first message after the proofs.
type Hello struct {
	Owner  [16]byte // of the registrations: the same for all connections of one mrtecopy process, random
	Shard  uint16   // which of its shards this connection serves, from 0
	Shards uint16   // how many it has, 1 or more
	Target wire.Endpoint
}

// int<16> owner | int<2> shard | int<2> shards | endpoint target
func appendHello(b []byte, m *Hello) []byte {
	b, at := begin(b, typeHello)
	b = append(b, m.Owner[:]...)
	b = appendU16(b, m.Shard)
	b = appendU16(b, m.Shards)
	b = appendEndpoint(b, &m.Target)
	return finish(b, at)
}

func parseHello(body []byte) (m Hello, ok bool) {
	c := cursor{b: body}
	m.Owner = [16]byte(c.take(16))
	m.Shard = c.u16()
	m.Shards = c.u16()
	m.Target = c.endpoint()
	return m, c.end() && m.Shard < m.Shards
}

// A Welcome is intercept's answer to a Hello.
type Welcome struct {
	Addrs []netip.Addr // the intercept host's own addresses, which cannot be forged; zones are dropped
}

// maxAddrs bounds the addresses of a Welcome, so that it is no bigger than what
// is accepted during the handshake.
const maxAddrs = 1024

// int<16> address, as often as there are some; IPv4 in its mapped form. Those
// that are more than maxAddrs are left out.
func appendWelcome(b []byte, m *Welcome) []byte {
	b, at := begin(b, typeWelcome)
	for _, a := range m.Addrs[:min(len(m.Addrs), maxAddrs)] {
		octets := wire.AddrFrom(a)
		b = append(b, octets[:]...)
	}
	return finish(b, at)
}

func parseWelcome(body []byte) (m Welcome, ok bool) {
	if len(body)%16 != 0 || len(body) > 16*maxAddrs {
		return m, false
	}
	for ; len(body) > 0; body = body[16:] {
		m.Addrs = append(m.Addrs, wire.Addr(body[:16]).Netip())
	}
	return m, true
}

// A refusal ends a handshake.
type refusal struct {
	code refusalCode
	text string // why, for people; with refusedHello
}

type refusalCode uint8

const (
	refusedProof refusalCode = 1 + iota // the proof is not made with this side's key
	refusedHello                        // the program does not serve this peer
)

// maxRefusalText bounds refusal.text, in octets.
const maxRefusalText = 512

// int<1> code | text
func appendRefusal(b []byte, m *refusal) []byte {
	b, at := begin(b, typeRefusal)
	b = append(b, byte(m.code))
	b = append(b, m.text[:min(len(m.text), maxRefusalText)]...)
	return finish(b, at)
}

func parseRefusal(body []byte) (m refusal, ok bool) {
	c := cursor{b: body}
	m.code = refusalCode(c.u8())
	text := c.rest()
	m.text = string(text)
	return m, c.end() && 1 <= m.code && m.code <= refusedHello && len(text) <= maxRefusalText
}
