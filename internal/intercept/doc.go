// Package intercept is the engine of the program of that name: on the blackhole
// host it watches what the target sends to the forged clients, receives each
// connection's stream in their place, finds where each response ends, and
// reports that, with the ACK state, to the mrtecopy that replays the connection.
//
// One goroutine owns all of it; the control connections' own goroutines only
// hand it batches of messages. It looks at a connection only after mrtecopy has
// registered it. It holds a bounded amount of memory: what exceeds it is not
// acknowledged, and TCP makes the target send it again.
//
// It sends nothing to the target or anybody else but this: when a mrtecopy
// stays away, its connections are reset on the target, so that no abandoned
// session lives on there.
package intercept
