// Package routing turns the replies of one port away from the clients whose
// addresses are forged: on the target by policy routing (a Target), on the
// blackhole host by a rule that drops what arrives (a Blackhole).
//
// Each can be printed as the plain commands an administrator would type,
// applied, checked and undone. Applying is idempotent; everything of ours
// carries a route protocol number and fixed preferences, so that undoing finds
// it again, whole or in part; changed sysctls are saved until then. Kernels
// before 4.17 cannot route by port and are refused.
//
// It does not touch firewalls or connection tracking, and does not see the
// clients of a server in another network namespace (a container).
package routing

// What marks the rules and routes as ours.
const (
	protocol = 206 // route protocol: in no registry of iproute2, see its etc/rt_protos

	// Preferences: just behind the table of own addresses (0), and before what
	// multi-homing (usually 100 and up), VRFs (1000) and VPNs add, because a
	// reply that another rule catches reaches the real client.
	prefExcept    = 60 // exceptions, to table main
	prefReplies   = 61 // all other replies, to the table of the port
	prefBlackhole = 62 // on the blackhole host: drop

	// The table of a port is tableBase+port, so that several ports of a host can
	// have different blackhole hosts.
	tableBase = 1_000_000

	// fallbackMetric is that of the table's second route, which drops. It
	// counts once the first one has gone with its interface; without it
	// replies would then go on to table main and to the real clients.
	fallbackMetric = 65535
)
