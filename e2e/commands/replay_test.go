package commands

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// An outcome is what a load has led to.
type outcome struct {
	lab.Result
	load               labtest.Load
	production, target lab.Counters
	errors             int64   // commands that production has answered with one
	seconds            float64 // from the load's begin to the target's last command
}

// begin starts the two programs with further flags of mrtecopy.
func begin(t testing.TB, l *lab.Lab, mrtecopy ...string) *labtest.Replay {
	t.Helper()
	r := labtest.PrepareIn(t, l, schema...)
	run := lab.Run{Credentials: credentials, Mrtecopy: mrtecopy}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	return r
}

// patience is how long a target with sessions may count nothing before its replay
// is taken for stuck.
const patience = 20 * time.Second

// end waits until the target has no session left and counts nothing more, and ends
// the replay.
func end(t testing.TB, r *labtest.Replay) (o outcome) {
	t.Helper()
	var seen string
	moved := time.Now()
	for {
		var err error
		o.production, err = r.Production.Since(r.Ctx)
		must(t, err)
		o.target, err = r.Target.Since(r.Ctx)
		must(t, err)
		if s := fmt.Sprint(o.target); s != seen {
			seen, moved = s, time.Now()
		}
		still := time.Since(moved)
		if r.Target.Open <= 0 && (lab.Difference(o.production, o.target) == "" || still > 300*time.Millisecond) || still > patience {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	o.errors = r.Errors()
	o.Result = r.Stop()
	if o.Raw == nil {
		t.Fatal("mrtecopy wrote no summary")
	}
	var err error
	o.production, err = r.Production.Since(r.Ctx)
	must(t, err)
	o.target, err = r.Target.Since(r.Ctx)
	must(t, err)
	r.Fair(o.Result)
	return o
}

// replay runs a load and ends the replay behind it.
func replay(t testing.TB, l *lab.Lab, load ...string) outcome {
	t.Helper()
	r := begin(t, l)
	started := time.Now()
	said := r.Load(load...)
	o := end(t, r)
	o.load, o.seconds = said, time.Since(started).Seconds()
	return o
}

// expected is what is lost or otherwise on the target, and explained.
type expected struct {
	skipped map[string]int64
	errors  int64 // commands that fail on the target only
}

// judge checks that everything the client sent was captured and answered, as on
// production, but for what is expected.
func (o *outcome) judge(t testing.TB, p pair, want expected) {
	t.Helper()
	c, s := &o.Summary.Commands, &o.Summary.Sessions
	if len(c.Lost) > 0 || c.Pending > 0 || len(s.Lost) > 0 || len(s.Skipped) > 0 || s.Open > 0 || o.ExitCode != 0 {
		t.Errorf("lost commands %v, pending %d, lost sessions %v, skipped sessions %v, open %d; exit code %d; want nothing of it",
			c.Lost, c.Pending, s.Lost, s.Skipped, s.Open, o.ExitCode)
	}
	if want.skipped == nil {
		want.skipped = map[string]int64{}
	}
	if !maps.Equal(c.Skipped, want.skipped) {
		t.Errorf("skipped commands %v, want %v", c.Skipped, want.skipped)
	}
	if o.load.Commands > 0 && c.Captured != o.load.Commands {
		t.Errorf("captured %d commands, but the client sent %d", c.Captured, o.load.Commands)
	}
	if o.load.Connections > 0 && s.Replayed != o.load.Connections {
		t.Errorf("replayed %d sessions, but the client had %d", s.Replayed, o.load.Connections)
	}
	if o.load.Commands > 0 { // it knows: on the wire the errors within answers are not counted
		o.errors = o.load.Errors
	}
	if c.Errors != o.errors+want.errors {
		t.Errorf("the target answered %d commands with an error, production %d; want %d more", c.Errors, o.errors, want.errors)
	}
	if len(want.skipped) == 0 {
		production, target := p.comparable(o.production, o.target)
		if d := lab.Difference(production, target); d != "" {
			t.Errorf("the target's counters differ from production's:\n%s", d)
		}
	}
	t.Logf("%d commands of %d sessions, %d errors; lag p50 %.1f p99 %.1f ms; waited %d; %d segments again",
		c.Answered, s.Replayed, c.Errors, o.Summary.LagMs.P50, o.Summary.LagMs.P99, c.Waited, o.Summary.Send.Retransmits)
}

// comparable returns the counters that mean the same on both servers. Where the
// versions differ, what does not:
//
//   - Questions and Connections count other commands on MariaDB.
//   - Com_stmt_prepare of MySQL 9.7 counts again when an EXECUTE's types differ from
//     those it was prepared for, and so does Com_stmt_reprepare.
//   - MySQL counts temporary tables as tables.
//   - MySQL 9.7 does not count what names a statement that there is not.
//   - MySQL counts an execution again that it has to prepare again since its table
//     was truncated, each version in its own cases.
func (p pair) comparable(production, target lab.Counters) (_, _ lab.Counters) {
	if p.same() {
		return production, target
	}
	uneven := differing
	if production["Com_truncate"] > 0 {
		uneven = append(uneven[:len(uneven):len(uneven)], "Com_stmt_execute", "Com_insert", "Com_update", "Com_select", "Com_call_procedure")
	}
	only := func(c lab.Counters) lab.Counters {
		n := lab.Counters{}
		for name, v := range c {
			if strings.HasPrefix(name, "Com_") && !slices.Contains(uneven, name) {
				n[name] = v
			}
		}
		n["Com_stmt_prepare"] -= c["Com_stmt_reprepare"]
		n["Com_create_table"] += c["Com_create_temporary_table"]
		n["Com_drop_table"] += c["Com_drop_temporary_table"]
		return n
	}
	return only(production), only(target)
}

// differing are counters that do not mean the same on every version.
var differing = []string{"Com_stmt_reprepare", "Com_create_temporary_table", "Com_drop_temporary_table", "Com_stmt_fetch", "Com_stmt_reset"}

// sentBytes is how much went to the target.
func (o *outcome) sentBytes(t testing.TB) int64 {
	t.Helper()
	var s struct{ Send struct{ Bytes int64 } }
	must(t, json.Unmarshal(o.Raw, &s))
	return s.Send.Bytes
}

// contents returns a hash of the rows of each table of a schema, by a query that
// all versions answer alike (CHECKSUM TABLE differs, and MySQL 9.7 has no MD5). It must not be asked while
// the server counts.
func contents(t testing.TB, s *lab.Server, schema string) map[string]string {
	t.Helper()
	ctx := context.Background()
	db, err := sql.Open("mysql", "root@unix("+s.Socket()+")/?interpolateParams=true&maxAllowedPacket=0")
	must(t, err)
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ? ORDER BY table_name, ordinal_position", schema)
	must(t, err)
	columns := map[string][]string{}
	for rows.Next() {
		var table, column string
		must(t, rows.Scan(&table, &column))
		columns[table] = append(columns[table], "COALESCE(SHA2(`"+column+"`, 256), 'NULL')")
	}
	must(t, rows.Err())
	sums := map[string]string{}
	for table, names := range columns {
		var n, sum string
		query := "SELECT COUNT(*), COALESCE(SUM(CRC32(CONCAT_WS('|', " + strings.Join(names, ", ") + "))), 0) FROM `" + schema + "`.`" + table + "`"
		must(t, db.QueryRowContext(ctx, query).Scan(&n, &sum))
		sums[table] = n + " rows " + sum
	}
	return sums
}

// sameContents checks that a schema's tables are the same on both servers, and
// returns how many there are.
func sameContents(t testing.TB, l *lab.Lab, schema string) int {
	t.Helper()
	production, target := contents(t, l.ProductionServer, schema), contents(t, l.TargetServer, schema)
	if len(production) == 0 {
		t.Errorf("schema %s has no tables", schema)
	}
	for _, table := range slices.Sorted(maps.Keys(production)) {
		if production[table] != target[table] {
			t.Errorf("table %s.%s: production %q, target %q", schema, table, production[table], target[table])
		}
	}
	if len(production) != len(target) {
		t.Errorf("schema %s has %d tables on production, %d on the target", schema, len(production), len(target))
	}
	return len(production)
}
