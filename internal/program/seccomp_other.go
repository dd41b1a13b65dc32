//go:build !amd64

package program

// deniedHere are the calls that only this architecture has.
var deniedHere []uint32
