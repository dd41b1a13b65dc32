// Package observer asks a production server what it knows of connections that
// were open before the capture began: who they are, and what state their clients
// have brought them to.
//
// It looks seldom and briefly: at the start, and when a connection turns up that
// is not known, one look at a time for all of these, of a few cheap queries on one
// connection of its own, at most one look a second, and none for a while when
// production is slow to answer. Who asks never waits.
//
// What it needs is an account with PROCESS, and SELECT on performance_schema; with
// less, or a server that tells less, it finds out less.
package observer
