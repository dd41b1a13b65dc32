// Package e2e holds the end-to-end tests: real clients load a real server, and
// our two programs replay them onto another real server. What arrived is judged
// by the servers' own counters and table checksums, and by counters in the
// kernel on every wire; see internal/lab and internal/lab/labtest.
//
// They need root. Tests that are mostly waiting are in e2e/patience, so that
// they pass the time beside these.
package e2e
