//go:build linux

package capture

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// What is found in a frame is an IP packet, and its end.
func FuzzNetwork(f *testing.F) {
	f.Add([]byte("\x45\x00\x00\x14"), uint16(unix.ETH_P_IP), false)
	f.Add([]byte("\x00\x05\x08\x00\x45\x00\x00\x14"), uint16(unix.ETH_P_8021Q), false)
	f.Add([]byte("\x60\x00\x00\x00"), uint16(unix.ETH_P_IPV6), true)
	f.Fuzz(func(t *testing.T, b []byte, protocol uint16, outgoing bool) {
		ip := network(b, protocol, outgoing)
		if ip == nil {
			return
		}
		if !isIP(ip) || !bytes.HasSuffix(b, ip) || len(b)-len(ip) > vlanTag {
			t.Errorf("% x of % x", ip, b)
		}
	})
}
