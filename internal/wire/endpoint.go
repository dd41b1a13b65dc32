package wire

import "net/netip"

// An Addr is an IPv6 address, or an IPv4 one in its mapped form (RFC 4291,
// section 2.5.5.2). It holds no pointer, so maps keyed by it cost the garbage
// collector nothing; netip.Addr does hold one.
type Addr [16]byte

// AddrFrom converts a; a zone is dropped.
func AddrFrom(a netip.Addr) Addr { return a.As16() }

// Netip returns a as the standard library has it, IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Is4 reports whether a is an IPv4 address.
func (a Addr) Is4() bool { return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff} }

func (a Addr) String() string { return a.Netip().String() }

// An Endpoint is one end of a TCP connection.
type Endpoint struct {
	Addr Addr
	Port uint16
}

// EndpointFrom converts ap.
func EndpointFrom(ap netip.AddrPort) Endpoint {
	return Endpoint{AddrFrom(ap.Addr()), ap.Port()}
}

// AddrPort returns e as the standard library has it.
func (e Endpoint) AddrPort() netip.AddrPort { return netip.AddrPortFrom(e.Addr.Netip(), e.Port) }

func (e Endpoint) String() string { return e.AddrPort().String() }

// A Flow is one direction of a TCP connection: the 4-tuple.
type Flow struct{ Src, Dst Endpoint }

// Reverse returns the other direction.
func (f Flow) Reverse() Flow { return Flow{f.Dst, f.Src} }

func (f Flow) String() string { return f.Src.String() + ">" + f.Dst.String() }
