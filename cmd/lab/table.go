package main

import (
	"fmt"
	"io"
	"time"

	"mrtecopy/internal/lab"
)

// rows of the table: what a reader calls a status variable.
var rows = []struct{ label, variable string }{
	{"connections", "Connections"},
	{"commands", "Questions"},
	{"  SELECT", "Com_select"},
	{"  INSERT", "Com_insert"},
	{"  UPDATE", "Com_update"},
	{"  DELETE", "Com_delete"},
	{"  BEGIN", "Com_begin"},
	{"  COMMIT", "Com_commit"},
	{"  ROLLBACK", "Com_rollback"},
	{"  prepared", "Com_stmt_prepare"},
	{"  executed", "Com_stmt_execute"},
	{"  closed", "Com_stmt_close"},
}

// table writes what the demonstration is for.
func table(w io.Writer, production, target lab.Counters, s *lab.Summary, behind time.Duration, rate float64) {
	fmt.Fprintf(w, "\nWhat the servers counted themselves\n\n%-24s %12s %12s\n", "", "production", "target")
	for _, row := range rows {
		p, t := production[row.variable], target[row.variable]
		if p == 0 && t == 0 {
			continue
		}
		mark := ""
		if p != t {
			mark = fmt.Sprintf("  %+d", t-p)
		}
		fmt.Fprintf(w, "%-24s %12d %12d%s\n", row.label, p, t, mark)
	}
	c, e := &s.Commands, &s.Sessions
	fmt.Fprintf(w, "\nWhat mrtecopy's ledger says\n\n%-24s %12s %12s\n", "", "commands", "sessions")
	for _, row := range []struct {
		label              string
		commands, sessions int64
	}{
		{"captured", c.Captured, e.Captured},
		{"answered, replayed", c.Answered, e.Replayed},
		{"skipped", lab.Sum(c.Skipped), lab.Sum(e.Skipped)},
		{"lost", lab.Sum(c.Lost), lab.Sum(e.Lost)},
		{"pending, open", c.Pending, e.Open},
	} {
		fmt.Fprintf(w, "%-24s %12d %12d\n", row.label, row.commands, row.sessions)
	}
	fmt.Fprintf(w, "\nproduction served %.0f queries a second; the target lagged %.1f ms behind at the median,\n"+
		"%.1f ms at the 99th percentile, %.1f ms at most, and was done %v after the load's end\n",
		rate, s.LagMs.P50, s.LagMs.P99, s.LagMs.Max, behind.Round(10*time.Millisecond))
	if d := lab.Difference(production, target); d != "" {
		fmt.Fprintf(w, "\nNOT EVERY command and connection of production was counted by the target:\n%s\n", d)
		return
	}
	fmt.Fprint(w, "\nEvery command and connection that production counted, the target counted too.\n\n")
}
