package lab

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // the observer's driver
)

// Counters are a server's own counts of what it was asked: every Com_*, and
// Questions, Connections, Aborted_clients, Aborted_connects.
type Counters map[string]int64

// open is the counter of connections there are, which only goes into Baseline.Open.
const open = "Threads_connected"

// compared reports whether a status variable says something about the commands
// and connections a server got.
func compared(name string) bool {
	switch name {
	case "Questions", "Connections", "Aborted_clients", "Aborted_connects":
		return true
	}
	return strings.HasPrefix(name, "Com_")
}

// observerCost is what asking for the counters adds to them. The first is the
// only statement between two calls of Counters that a test compares.
var observerCost = Counters{"Questions": 1, "Com_show_status": 1}

// Counters reads the counters. Asking counts too: the answer holds the question.
func (s *Server) Counters(ctx context.Context) (Counters, error) {
	rows, err := s.db.QueryContext(ctx, "SHOW GLOBAL STATUS")
	if err != nil {
		return nil, fmt.Errorf("counters of %s: %w", s.host.Name, err)
	}
	defer rows.Close()
	c := Counters{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		if compared(name) || name == open {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("counters of %s: %s: %w", s.host.Name, name, err)
			}
			c[name] = n
		}
	}
	return c, rows.Err()
}

// A Baseline is where counting starts. Between it and the last Since nobody may
// use the server by Exec or Query, for those would be counted as clients.
type Baseline struct {
	server *Server
	start  Counters
	asked  int64 // times Since was called
	Open   int64 // connections there were at the last Since, beyond those at the start
}

// Baseline starts counting.
func (s *Server) Baseline(ctx context.Context) (*Baseline, error) {
	c, err := s.Counters(ctx)
	return &Baseline{server: s, start: c}, err
}

// Since returns what was counted since the baseline, without the observer's own,
// and without counters that did not move.
func (b *Baseline) Since(ctx context.Context) (Counters, error) {
	now, err := b.server.Counters(ctx)
	if err != nil {
		return nil, err
	}
	b.asked++
	b.Open = now[open] - b.start[open]
	delete(now, open)
	c := Counters{}
	for name, n := range now {
		if d := n - b.start[name] - b.asked*observerCost[name]; d != 0 {
			c[name] = d
		}
	}
	return c, nil
}

// Difference lists, one per line, the counters in which two servers differ; ""
// if there is none.
func Difference(production, target Counters) string {
	names := maps.Clone(production)
	maps.Copy(names, target)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if p, t := production[name], target[name]; p != t {
			fmt.Fprintf(&b, "%-24s production %8d  target %8d  (%+d)\n", name, p, t, t-p)
		}
	}
	return b.String()
}

// Exec runs statements as root over the unix socket.
func (s *Server) Exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("on %s: %.200s: %w", s.host.Name, statement, err)
		}
	}
	return nil
}

// Empty ends the connections of all clients, which an earlier test may have left.
func (s *Server) Empty(ctx context.Context) error {
	for {
		ids, err := s.column(ctx, "SELECT id FROM information_schema.processlist WHERE host <> 'localhost' AND host <> ''")
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			s.db.ExecContext(ctx, "KILL "+id) // an error: it has gone
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d clients of %s do not leave: %w", len(ids), s.host.Name, ctx.Err())
		}
	}
}

// Number asks for one number.
func (s *Server) Number(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	if err := s.db.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("on %s: %s: %w", s.host.Name, query, err)
	}
	return n, nil
}

// Text asks for one text.
func (s *Server) Text(ctx context.Context, query string, args ...any) (text string, err error) {
	if err := s.db.QueryRowContext(ctx, query, args...).Scan(&text); err != nil {
		return "", fmt.Errorf("on %s: %s: %w", s.host.Name, query, err)
	}
	return text, nil
}

// column asks for the texts of one column.
func (s *Server) column(ctx context.Context, query string, args ...any) (all []string, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("on %s: %s: %w", s.host.Name, query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// Checksums returns CHECKSUM TABLE of every table of a schema.
func (s *Server) Checksums(ctx context.Context, schema string) (map[string]int64, error) {
	names, err := s.column(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", schema)
	if err != nil {
		return nil, err
	}
	sums := map[string]int64{}
	for _, name := range names {
		var table string
		var sum sql.NullInt64
		if err := s.db.QueryRowContext(ctx, "CHECKSUM TABLE `"+schema+"`.`"+name+"` EXTENDED").Scan(&table, &sum); err != nil {
			return nil, fmt.Errorf("checksum of %s.%s on %s: %w", schema, name, s.host.Name, err)
		}
		sums[name] = sum.Int64
	}
	return sums, nil
}
