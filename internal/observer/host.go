package observer

import (
	"net/netip"
	"strconv"
	"strings"

	"mrtecopy/internal/wire"
)

// clientOf reads a processlist's HOST: ADDRESS:PORT, of IPv6 without brackets, or
// NAME:PORT where the server looks names up, of which the result has the port
// alone. ok is false for connections without a port, which come over a socket.
func clientOf(host string) (e wire.Endpoint, ok bool) {
	at := strings.LastIndexByte(host, ':')
	if at < 0 {
		return e, false
	}
	port, err := strconv.ParseUint(host[at+1:], 10, 16)
	if err != nil || port == 0 {
		return e, false
	}
	e.Port = uint16(port)
	if a, err := netip.ParseAddr(strings.Trim(host[:at], "[]")); err == nil {
		e.Addr = wire.AddrFrom(a.WithZone(""))
	}
	return e, true
}

// ByPort returns a client of which only the port is known.
func ByPort(e wire.Endpoint) wire.Endpoint { return wire.Endpoint{Port: e.Port} }
