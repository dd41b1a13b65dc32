package observer

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// details are what is known of one connection beside its row in the processlist.
type details struct {
	variables     map[string]string
	global        map[string]string // the same variables' global values; shared
	userVariables []variable
	statements    []statement
	attributes    []byte
	locks         bool
	transaction   bool
	temporary     bool
}

type variable struct {
	name  string
	value []byte // nil: NULL
}

type statement struct {
	id   uint32
	name string // of a statement prepared by SQL; "": by the protocol
	text []byte
}

// details asks for the details of connections, which it returns by their ids, in
// two queries.
func (o *Observer) details(ctx context.Context, found map[wire.Endpoint]conn) (map[uint64]*details, error) {
	byID := make(map[uint64]*details)
	byThread := make(map[uint64]*details)
	global := make(map[string]string)
	var ids, threads []string
	for _, c := range found {
		d := &details{variables: make(map[string]string), global: global}
		byID[c.id] = d
		ids = append(ids, strconv.FormatUint(c.id, 10))
		if c.thread != 0 {
			byThread[c.thread] = d
			threads = append(threads, strconv.FormatUint(c.thread, 10))
		}
	}
	if text := o.threadQuery(ids, threads); text != "" {
		err := o.query(ctx, "performance_schema", text, func(r [][]byte) {
			owner, _ := strconv.ParseUint(string(r[1]), 10, 64)
			name := string(r[2])
			if string(r[0]) == "g" {
				global[strings.ToLower(name)] = string(r[3])
				return
			}
			d := byThread[owner]
			if string(r[0]) == "a" {
				d = byID[owner]
			}
			if d != nil {
				d.take(r[0][0], name, r[3])
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return byID, o.innodb(ctx, byID)
}

// threadQuery is the query for all that performance_schema tells of some threads.
// Its rows are of a kind, an owner, a name and a value.
func (o *Observer) threadQuery(ids, threads []string) string {
	v := o.server
	in := " IN (" + strings.Join(threads, ",") + ")"
	var parts []string
	part := func(has bool, text string, args ...any) {
		if has && len(threads) > 0 {
			parts = append(parts, fmt.Sprintf(text, args...))
		}
	}
	names := " VARIABLE_NAME IN ('" + strings.Join(restored, "','") + "')"
	part(v.variables, "SELECT 'v', THREAD_ID, CAST(VARIABLE_NAME AS BINARY), CAST(VARIABLE_VALUE AS BINARY) FROM performance_schema.variables_by_thread WHERE THREAD_ID%s AND%s", in, names)
	part(v.variables, "SELECT 'g', 0, CAST(VARIABLE_NAME AS BINARY), CAST(VARIABLE_VALUE AS BINARY) FROM performance_schema.global_variables WHERE%s", names)
	part(v.userVariables, "SELECT 'u', THREAD_ID, CAST(VARIABLE_NAME AS BINARY), CAST(VARIABLE_VALUE AS BINARY) FROM performance_schema.user_variables_by_thread WHERE THREAD_ID%s", in)
	part(v.statements, "SELECT 's', OWNER_THREAD_ID, CAST(CONCAT(STATEMENT_ID, ':', IFNULL(STATEMENT_NAME, '')) AS BINARY), CAST(SQL_TEXT AS BINARY) FROM performance_schema.prepared_statements_instances WHERE OWNER_THREAD_ID%s", in)
	part(v.locks, "SELECT 'l', OWNER_THREAD_ID, '', '' FROM performance_schema.metadata_locks WHERE OWNER_THREAD_ID%s AND LOCK_DURATION = 'EXPLICIT'", in)
	part(v.attributes, "SELECT 'a', PROCESSLIST_ID, CAST(ATTR_NAME AS BINARY), CAST(ATTR_VALUE AS BINARY) FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID IN (%s)", strings.Join(ids, ","))
	return strings.Join(parts, " UNION ALL ")
}

// take takes one row of it.
func (d *details) take(kind byte, name string, value []byte) {
	switch kind {
	case 'v':
		d.variables[strings.ToLower(name)] = string(value)
	case 'u':
		d.userVariables = append(d.userVariables, variable{name, value})
	case 's':
		id, stmt, _ := strings.Cut(name, ":")
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			d.statements = append(d.statements, statement{uint32(n), stmt, value})
		}
	case 'l':
		d.locks = true
	case 'a':
		d.attributes = mysql.AppendAttribute(d.attributes, name, string(value))
	}
}

// innodb asks which connections have a transaction open, and which temporary
// tables.
func (o *Observer) innodb(ctx context.Context, byID map[uint64]*details) error {
	var parts []string
	if o.server.transactions {
		parts = append(parts, "SELECT 't', CAST(trx_mysql_thread_id AS CHAR) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> 0")
	}
	if o.server.temporary {
		parts = append(parts, "SELECT 'm', NAME FROM information_schema.INNODB_TEMP_TABLE_INFO")
	}
	if len(parts) == 0 {
		return nil
	}
	return o.query(ctx, "transactions", strings.Join(parts, " UNION ALL "), func(r [][]byte) {
		if string(r[0]) == "t" {
			id, _ := strconv.ParseUint(string(r[1]), 10, 64)
			if d := byID[id]; d != nil {
				d.transaction = true
			}
		} else if d := byID[temporaryOwner(string(r[1]))]; d != nil {
			d.temporary = true
		}
	})
}

// temporaryOwner returns the connection that owns a temporary table, by its name:
// #sql<process id>_<connection id>_<n>, in hexadecimal digits. 0: unknown.
func temporaryOwner(name string) uint64 {
	parts := strings.Split(name, "_")
	if len(parts) < 3 {
		return 0
	}
	id, _ := strconv.ParseUint(parts[len(parts)-2], 16, 64)
	return id
}
