// Package simulation holds the models that the core is tested against: a client
// with the production server it speaks to, as a capture shows them, and a target,
// which is a small TCP under a small MySQL server. They have no clock and no
// randomness but what they are given, so that a test repeats itself by its seed.
//
// Its own test puts the whole core between them: see world_test.go.
package simulation
