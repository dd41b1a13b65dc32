package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ParseHostPort reads HOST[:PORT] into the form net.Dial takes. An IPv6 address
// with a port stands in brackets; without one it may stand alone.
func ParseHostPort(s, port string) (string, error) {
	host := s
	switch {
	case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
		host = s[1 : len(s)-1]
	case strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "["): // a bare IPv6 address
	case strings.Contains(s, ":"):
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", fmt.Errorf("%q is not HOST or HOST:PORT", s)
		}
	}
	if strings.Contains(host, ":") {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() {
			return "", fmt.Errorf("%q is not HOST or HOST:PORT", s)
		}
	}
	if host == "" || strings.ContainsAny(host, " \t/@[]") {
		return "", fmt.Errorf("%q names no host; write HOST or HOST:PORT", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q: the port must be 1 to 65535", s)
	}
	return net.JoinHostPort(host, port), nil
}

// ParseListen reads [HOST]:PORT, where to accept connections.
func ParseListen(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not ADDRESS:PORT or :PORT", s)
	}
	if host == "" {
		host = "localhost" // any name will do for the check
	}
	if _, err := ParseHostPort(net.JoinHostPort(host, port), ""); err != nil {
		return "", err
	}
	return s, nil
}

// ParseAddr reads one address that forged packets can carry: no name, no zone,
// IPv4 in its own form.
func ParseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil && isName(s):
		return netip.Addr{}, fmt.Errorf("%q is a name, and packets are forged for an address; see: getent ahosts %s", s, s)
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is no IP address", s)
	case a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q: link-local addresses cannot be used; take a global one", s)
	case a.IsUnspecified() || a.IsMulticast():
		return netip.Addr{}, fmt.Errorf("%q is not the address of one host", s)
	}
	return a.Unmap(), nil
}

// ParseAddrPort reads IP:PORT.
func ParseAddrPort(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not IP:PORT, such as 192.0.2.7:3306 or [2001:db8::7]:3306", s)
	}
	a, err := ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q: the port must be 1 to 65535", s)
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

// isName reports whether s looks like a host name rather than a mistyped
// address.
func isName(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == "" &&
		strings.ContainsAny(s, "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ")
}
