package program

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Capability is one of capabilities(7).
type Capability struct {
	Name string
	Bit  uint
}

// The capabilities that capturing and forging need.
var (
	NetRaw   = Capability{"CAP_NET_RAW", unix.CAP_NET_RAW}
	NetAdmin = Capability{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}
)

// Privileged returns nil if this process holds all of these capabilities, and
// otherwise an error that says how to get them.
func Privileged(needed ...Capability) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read this process's capabilities: %w", err)
	}
	var all, missing []string
	for _, c := range needed {
		all = append(all, c.Name)
		if data[c.Bit/32].Effective&(1<<(c.Bit%32)) == 0 {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return fmt.Errorf("not permitted: %s missing; run it as root (sudo), or once as root: setcap %s+ep %s",
		strings.Join(missing, " and "), strings.ToLower(strings.Join(all, ",")), self)
}
