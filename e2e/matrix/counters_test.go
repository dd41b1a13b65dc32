package matrix

import (
	"maps"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// comparable makes of a server's counters those that mean the same on every
// version. Nearly all do; what does not:
//
//   - Com_stmt_prepare of MySQL counts again when an EXECUTE's types differ from
//     those it was prepared for, and so does Com_stmt_reprepare.
//   - Com_select counts a statement that can be parsed. `SELECT $$`, which the
//     mysql client sends to learn of dollar quotes, fails everywhere, but on MySQL
//     9.7 as an unfinished quote and so uncounted.
func comparable(version string, c cell, counted lab.Counters) lab.Counters {
	n := maps.Clone(counted)
	n["Com_stmt_prepare"] -= n["Com_stmt_reprepare"]
	delete(n, "Com_stmt_reprepare")
	if c.client == "mysql" && version != "mysql-9.7" {
		n["Com_select"]--
	}
	return n
}

// catchUp waits until the target has counted what production has, or counts
// nothing more. What it is expected to count fewer is added to its counters.
func (p pair) catchUp(t *testing.T, r *labtest.Replay, c cell, fewer lab.Counters) (production, target lab.Counters) {
	t.Helper()
	var seen string
	for moved := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var err error
		production, err = r.Production.Since(r.Ctx)
		must(t, err)
		target, err = r.Target.Since(r.Ctx)
		must(t, err)
		production, target = comparable(p.production, c, production), comparable(p.target, c, target)
		for name, n := range fewer {
			target[name] += n
		}
		d := lab.Difference(production, target)
		if d == "" || d == seen && time.Since(moved) > patience {
			return production, target
		}
		if d != seen {
			seen, moved = d, time.Now()
		}
	}
}
