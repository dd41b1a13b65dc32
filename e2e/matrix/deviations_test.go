package matrix

import (
	"fmt"
	"strings"

	"mrtecopy/internal/lab"
)

// A deviation is what a cell's target is expected to do otherwise than its
// production.
type deviation struct {
	skipped map[string]int64 // commands, by the ledger's reasons
	fewer   lab.Counters     // what these would have counted
	errors  int64            // commands that fail on the target only
	rows    string           // the rows that are the same, as a condition
}

// deviations are what a cell's versions bring about.
func (p pair) deviation(c cell) deviation {
	d := deviation{skipped: map[string]int64{}, fewer: lab.Counters{}, rows: "TRUE"}
	// The driver sends a batch of three rows as one COM_STMT_BULK_EXECUTE where
	// production offers it, and only MariaDB does. MySQL gets three executions.
	if c.client == "node mariadb" && mariadb(p.production) && !mariadb(p.target) {
		d.fewer = lab.Counters{"Com_insert": -2, "Com_stmt_execute": -2, "Questions": -2}
	}
	return d
}

// result is what the matrix shows of a cell in which so many commands were
// answered, and nothing happened but this.
func (d deviation) result(answered int64) string {
	s := fmt.Sprintf("ok %d", answered)
	for reason, n := range d.skipped {
		s += fmt.Sprintf(", %s %d", reason, n)
	}
	if d.errors != 0 {
		s += fmt.Sprintf(", errors %+d", d.errors)
	}
	return s
}

func mariadb(version string) bool { return strings.HasPrefix(version, "mariadb") }
