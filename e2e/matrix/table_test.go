package matrix

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// An outcome is the matrix as it came out, in the order in which the cells were
// run.
type outcome struct{ cells []entry }

// An entry is a cell with what came of it: in which of the tables, where.
type entry struct{ table, row, column, result string }

func (o *outcome) add(p pair, c cell, result string) {
	e := entry{"every client", p.String(), c.client, result}
	switch {
	case c.account != "":
		e.table, e.column = "the "+c.client+" client on each account of the target", c.account
	case c.cold:
		e.table = "every client, with the target's cache of logins empty"
	}
	o.cells = append(o.cells, e)
}

// String draws a row per pair and a column per client or account.
func (o *outcome) String() string {
	var b strings.Builder
	for _, table := range o.distinct(func(e entry) string { return e.table }) {
		cells := slices.DeleteFunc(slices.Clone(o.cells), func(e entry) bool { return e.table != table })
		t := outcome{cells}
		columns := t.distinct(func(e entry) string { return e.column })
		fmt.Fprintf(&b, "\nproduction to target, %s:\n", table)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "\t%s\n", strings.Join(columns, "\t"))
		for _, row := range t.distinct(func(e entry) string { return e.row }) {
			fmt.Fprint(w, row)
			for _, column := range columns {
				result := ""
				if i := slices.IndexFunc(cells, func(e entry) bool { return e.row == row && e.column == column }); i >= 0 {
					result = cells[i].result
				}
				fmt.Fprint(w, "\t", result)
			}
			fmt.Fprintln(w)
		}
		w.Flush()
	}
	return b.String()
}

// distinct returns the different values of a field in their order.
func (o *outcome) distinct(field func(entry) string) (values []string) {
	for _, e := range o.cells {
		if v := field(e); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}
