package lab

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Guide tells a person what is up and what to type.
func (l *Lab) Guide() string {
	var b strings.Builder
	fmt.Fprintln(&b, "\nThe lab is up:")
	for _, h := range l.hosts {
		fmt.Fprintf(&b, "  %-11s %-11s %-9s ip netns exec %s bash\n", h.Name, h.V4, h.V6, h.NS)
	}
	fmt.Fprintf(&b, `
The routes are applied. Start our two programs, each in a terminal of its own:
  ip netns exec %s %s/intercept --interface eth0 --target %s --key-file %s
  ip netns exec %s %s/mrtecopy %s

and be a client:
  ip netns exec %s mariadb --skip-ssl -h %s -u %s -p%s %s

The servers themselves, unseen by the capture:
  mariadb -u root -S %s     # production
  mariadb -u root -S %s     # target

The target's accounts have passwords of their own: see %s.

The routes go by:
%s
Take it down with: make lab-down
`,
		l.Blackhole.NS, l.bin, l.Target.V4, l.keyFile(l.Blackhole),
		l.Production.NS, l.bin, strings.Join(l.MrtecopyArgs(Run{}), " "),
		l.Client.NS, l.Production.V4, AppUser, AppPassword, "app",
		l.ProductionServer.Socket(), l.TargetServer.Socket(),
		filepath.Join(l.Production.dir, "credentials"), l.undo())
	return b.String()
}

// undo returns the commands that take the lab's routes away.
func (l *Lab) undo() string {
	var b strings.Builder
	for _, r := range l.routes() {
		fmt.Fprintf(&b, "  ip netns exec %s %s/intercept %s undo\n", r.host.NS, l.bin, strings.Join(r.args, " "))
	}
	return b.String()
}
