package observer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mrtecopy/internal/wire"
)

// A server is what production can tell.
type server struct {
	threads, variables, userVariables, statements, attributes, locks, temporary, transactions bool
}

// tables are those of performance_schema that tell something, and what each
// stands for.
func (v *server) tables() map[string]*bool {
	return map[string]*bool{
		"threads": &v.threads, "variables_by_thread": &v.variables, "user_variables_by_thread": &v.userVariables,
		"prepared_statements_instances": &v.statements, "session_connect_attrs": &v.attributes, "metadata_locks": &v.locks,
	}
}

// probe finds out what production can tell us.
func (o *Observer) probe(ctx context.Context) error {
	v := &server{}
	on := false
	tables := v.tables()
	err := o.query(ctx, "performance_schema", "SELECT 'on', @@performance_schema UNION ALL SELECT 'table', LOWER(TABLE_NAME) FROM information_schema.TABLES"+
		" WHERE TABLE_SCHEMA = 'performance_schema' AND TABLE_NAME IN ('threads','variables_by_thread','user_variables_by_thread',"+
		"'prepared_statements_instances','session_connect_attrs','metadata_locks')", func(r [][]byte) {
		if string(r[0]) == "on" {
			on = string(r[1]) == "1"
		} else if t := tables[string(r[1])]; t != nil {
			*t = true
		}
	})
	if err != nil {
		return err
	}
	if !on {
		*v = server{}
	}
	// What is refused is not asked for again.
	refused := func(text string) bool {
		err := o.query(ctx, "", text, func([][]byte) {})
		return err != nil && ctx.Err() == nil
	}
	v.transactions = !refused("SELECT 1 FROM information_schema.INNODB_TRX LIMIT 1")
	v.temporary = !refused("SELECT 1 FROM information_schema.INNODB_TEMP_TABLE_INFO LIMIT 1")
	if v.threads && refused("SELECT CONNECTION_TYPE FROM performance_schema.threads LIMIT 1") {
		v.threads = !refused("SELECT THREAD_ID FROM performance_schema.threads LIMIT 1")
		// Without the column, MySQL 5.6.
		o.untyped = true
	}
	o.server = v
	return ctx.Err()
}

// A conn is one row of the processlist.
type conn struct {
	id, thread      uint64
	user, db        string
	idle, encrypted bool
	client          wire.Endpoint
}

// processlist returns production's connections over TCP, but for our own, by
// their client's end.
func (o *Observer) processlist(ctx context.Context) (map[wire.Endpoint]conn, error) {
	thread, kind, join := "NULL", "NULL", ""
	if o.server.threads {
		thread, join = "t.THREAD_ID", " LEFT JOIN performance_schema.threads t ON t.PROCESSLIST_ID = p.ID"
		if !o.untyped {
			kind = "t.CONNECTION_TYPE"
		}
	}
	all := make(map[wire.Endpoint]conn)
	shared := make(map[wire.Endpoint]bool) // ports of several connections
	err := o.query(ctx, "processlist", fmt.Sprintf("SELECT p.ID, p.USER, p.HOST, p.DB, p.COMMAND, %s, %s FROM information_schema.PROCESSLIST p%s", thread, kind, join),
		func(r [][]byte) {
			client, ok := clientOf(string(r[2]))
			if !ok || o.own.has(client) || string(r[1]) == "unauthenticated user" {
				return
			}
			c := conn{user: string(r[1]), db: string(r[3]), client: client, idle: string(r[4]) == "Sleep", encrypted: string(r[6]) == "SSL/TLS"}
			c.id, _ = strconv.ParseUint(string(r[0]), 10, 64)
			c.thread, _ = strconv.ParseUint(string(r[5]), 10, 64)
			if _, twice := all[client]; twice {
				shared[client] = true
			}
			all[client] = c
		})
	for client := range shared {
		delete(all, client)
	}
	return all, err
}

// find returns the connection of a client, by its port if production knows the
// client by a name only.
func find(all map[wire.Endpoint]conn, client wire.Endpoint) (conn, bool) {
	if c, ok := all[client]; ok {
		return c, true
	}
	c, ok := all[ByPort(client)]
	return c, ok
}

// everybody returns the clients of all connections.
func (o *Observer) everybody(ctx context.Context) (clients []wire.Endpoint, err error) {
	if err := o.probe(ctx); err != nil {
		return nil, err
	}
	all, err := o.processlist(ctx)
	if err != nil {
		return nil, err
	}
	for client := range all {
		clients = append(clients, client)
	}
	o.log.Info("production is asked about its open sessions", "open", len(clients), "tells", o.server.String())
	return clients, nil
}

// String lists what production can tell.
func (v *server) String() string {
	tells := []string{"users and schemas"}
	for _, t := range []struct {
		is   bool
		what string
	}{{v.attributes, "attributes"}, {v.variables, "session variables"}, {v.userVariables, "user variables"}, {v.statements, "prepared statements"},
		{v.transactions, "transactions"}, {v.temporary, "temporary tables"}, {v.locks, "locks"}} {
		if t.is {
			tells = append(tells, t.what)
		}
	}
	return strings.Join(tells, ", ")
}

// look asks for the connections of these clients. What is between two equal rows
// of the processlist, both of which say that a connection sleeps, was not changed
// meanwhile if nothing passed on it.
func (o *Observer) look(ctx context.Context, want []wire.Endpoint) (*Look, error) {
	l := &Look{Told: make(map[wire.Endpoint]*Seen, len(want)), Began: time.Now()}
	before, err := o.processlist(ctx)
	if err == nil && o.slowed {
		err = errStruggling // nothing more is asked
	}
	if err != nil {
		return nil, err
	}
	found := make(map[wire.Endpoint]conn)
	for _, client := range want {
		l.Told[client] = nil
		if c, ok := find(before, client); ok {
			found[client] = c
		}
	}
	details := make(map[uint64]*details)
	if len(found) > 0 {
		if details, err = o.details(ctx, found); err != nil {
			return nil, err
		}
	}
	after, err := o.processlist(ctx)
	if err != nil {
		return nil, err
	}
	l.Ended, l.Dialect = time.Now(), o.dialect.Load()
	for client, c := range found {
		again, ok := find(after, client)
		same := ok && again.id == c.id && again.db == c.db && again.user == c.user
		l.Told[client] = &Seen{State: o.state(c, details[c.id]), Idle: same && c.idle && again.idle}
	}
	t := time.NewTimer(ringRest)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return l, ctx.Err()
}
