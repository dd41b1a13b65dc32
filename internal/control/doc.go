// Package control is the channel between the daemons: mrtecopy, which replays
// connections and cannot see the target's packets, and intercept, which sees
// them and replays nothing. docs/control-protocol.md is its specification.
//
// With a key the channel is TLS 1.3, and each side proves that it has the key
// before it says or believes anything else; without one it is plain TCP. Both
// sides must be set up alike. Messages arrive whole, in order, or the
// connection ends; a peer that is silent or does not read is given up. Memory is
// bounded whatever the other side does.
//
// The package gives messages no meaning and remembers none: what must be said
// again after a connection was lost, the engines say again.
package control
