package observer

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/session"
)

// restored are the session variables that are set on the target where a session's
// value is not the global one: those that clients set, and that every user may.
// Character sets and collation come with the connection, so they are always
// looked at.
var restored = append([]string{
	"character_set_client", "character_set_results", "collation_connection", "transaction_isolation", "transaction_read_only", "autocommit", "last_insert_id",
}, plain...)

// plain are those of them that SET restores as they are.
var plain = []string{
	"sql_mode", "time_zone", "lc_time_names", "foreign_key_checks", "unique_checks", "sql_safe_updates", "sql_select_limit", "sql_big_selects",
	"sql_auto_is_null", "sql_notes", "sql_warnings", "sql_quote_show_create", "sql_buffer_result", "max_execution_time", "max_join_size", "max_sort_length",
	"max_error_count", "max_heap_table_size", "max_length_for_sort_data", "max_seeks_for_key", "max_sp_recursion_depth", "tmp_table_size",
	"sort_buffer_size", "join_buffer_size", "read_buffer_size", "read_rnd_buffer_size", "bulk_insert_buffer_size",
	"group_concat_max_len", "div_precision_increment", "default_week_format", "auto_increment_increment", "auto_increment_offset",
	"innodb_lock_wait_timeout", "lock_wait_timeout", "wait_timeout", "net_read_timeout", "net_write_timeout", "completion_type",
	"optimizer_switch", "optimizer_search_depth", "optimizer_prune_level", "eq_range_index_dive_limit", "range_optimizer_max_mem_size", "cte_max_recursion_depth",
	"default_storage_engine", "default_tmp_storage_engine", "low_priority_updates", "updatable_views_with_limit", "block_encryption_mode",
	"explicit_defaults_for_timestamp", "information_schema_stats_expiry", "windowing_use_high_precision",
}

const (
	// cutText is the length at which performance_schema cuts a prepared statement's
	// text.
	cutText = 1024
	// maxState bounds what one connection's set-up may take, in octets.
	maxState = 1 << 20
)

// state returns what brings a new connection to the state of c.
func (o *Observer) state(c conn, d *details) session.State {
	st := session.State{User: c.user, Schema: c.db, ID: uint32(c.id), Encrypted: c.encrypted}
	lack := func(is bool, l ledger.Lack) {
		if is {
			st.Lacks = st.Lacks.With(l)
		}
	}
	v := *o.server
	if c.thread == 0 || d == nil { // performance_schema does not instrument it
		v.variables, v.userVariables, v.statements = false, false, false
	}
	if d == nil {
		d = &details{}
	}
	st.Attributes = d.attributes
	lack(!v.variables, ledger.LacksVariables)
	lack(!v.userVariables, ledger.LacksUserVariables)
	lack(!v.statements, ledger.LacksStatements)
	lack(d.transaction, ledger.LacksTransaction)
	lack(d.temporary, ledger.LacksTemporaryTables)
	lack(d.locks, ledger.LacksLocks)

	// What is prepared and set below is text in utf8mb4, with which the session logs
	// in; the client's own character set is set last.
	st.Before = d.settings()
	user, whole := d.setUserVariables()
	st.Before = append(st.Before, user...)
	lack(!whole, ledger.LacksUserVariables)
	st.AllStatements = v.statements
	slices.SortFunc(d.statements, func(a, b statement) int { return cmp.Compare(a.id, b.id) })
	for _, s := range d.statements {
		text := string(s.text)
		if len(text) >= cutText || len(text) == 0 || st.Size() > maxState {
			text = ""
			lack(true, ledger.LacksStatements)
		}
		switch {
		case s.name == "":
			st.Statements = append(st.Statements, session.Prepared{ID: s.id, Text: text})
		case text != "":
			const scratch = "@`mrtecopy adopts`"
			st.Before = append(st.Before, "SET "+scratch+" = "+literal([]byte(text)), "PREPARE "+name(s.name)+" FROM "+scratch, "SET "+scratch+" = NULL")
		}
	}
	st.After = d.lastSettings()
	if st.Lacks != 0 {
		st.Completeness = ledger.Partly
	}
	return st
}

// differs returns a variable's value, and reports whether it is not the global
// one.
func (d *details) differs(variable string) (value string, ok bool) {
	value, ok = d.variables[variable]
	return value, ok && value != d.global[variable]
}

// settings are the statements that set session variables, each by itself, for the
// target may not know one. MySQL's come with their values as texts.
func (d *details) settings() (sql []string) {
	const generalCI = "utf8mb4_general_ci"
	if c := d.variables["collation_connection"]; c != "" && c != generalCI {
		sql = append(sql, "SET collation_connection = "+literal([]byte(c)))
	}
	for _, v := range plain {
		if value, ok := d.differs(v); ok {
			sql = append(sql, "SET SESSION "+v+" = "+number(value))
		}
	}
	return sql
}

// lastSettings are those that follow what is set up by statements of ours.
func (d *details) lastSettings() (sql []string) {
	if value, ok := d.variables["last_insert_id"]; ok && value != "0" && value != "" {
		sql = append(sql, "SET last_insert_id = "+number(value))
	}
	if value, ok := d.differs("transaction_isolation"); ok {
		sql = append(sql, "SET SESSION TRANSACTION ISOLATION LEVEL "+strings.ReplaceAll(keyword(value), "-", " "))
	}
	if value, ok := d.differs("transaction_read_only"); ok {
		sql = append(sql, "SET SESSION TRANSACTION READ "+map[bool]string{true: "ONLY", false: "WRITE"}[value == "ON"])
	}
	if value, ok := d.differs("autocommit"); ok {
		sql = append(sql, "SET SESSION autocommit = "+number(value))
	}
	results, ok := d.variables["character_set_results"]
	switch {
	case !ok || results == "utf8mb4":
	case results == "":
		sql = append(sql, "SET character_set_results = NULL")
	default:
		sql = append(sql, "SET character_set_results = "+literal([]byte(results)))
	}
	if client := d.variables["character_set_client"]; client != "" && client != "utf8mb4" {
		sql = append(sql, "SET character_set_client = "+literal([]byte(client)))
	}
	return sql
}

// setUserVariables are the statements that set the user variables; whole is false
// where there are too many.
func (d *details) setUserVariables() (sql []string, whole bool) {
	const most = 16 << 10 // in one statement
	var b strings.Builder
	n := 0
	for _, v := range d.userVariables {
		value := "NULL"
		if v.value != nil {
			value = literal(v.value)
			if isNumber(string(v.value)) {
				value = string(v.value)
			}
		}
		if n += len(v.name) + len(value); n > maxState {
			return sql, false
		}
		if b.Len() > most {
			sql = append(sql, b.String())
			b.Reset()
		}
		b.WriteString(map[bool]string{true: "SET ", false: ", "}[b.Len() == 0])
		b.WriteString("@" + name(v.name) + " = " + value)
	}
	if b.Len() > 0 {
		sql = append(sql, b.String())
	}
	return sql, true
}

// name quotes an identifier.
func name(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// literal writes a text, or octets, as a literal that reads the same in every
// sql_mode.
func literal(b []byte) string {
	switch {
	case !utf8.Valid(b):
		return fmt.Sprintf("X'%X'", b)
	case bytes.ContainsAny(b, "'\\\x00"):
		return fmt.Sprintf("CONVERT(X'%X' USING utf8mb4)", b)
	}
	return "'" + string(b) + "'"
}

// number is literal, but for numbers.
func number(value string) string {
	if isNumber(value) {
		return value
	}
	return literal([]byte(value))
}

// keyword returns what of a value can be part of a keyword.
func keyword(value string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || r == '-' {
			return r
		}
		return -1
	}, strings.ToUpper(value))
}

// isNumber reports whether s is a number as servers write them: user variables
// are told as texts, and a text that looks so is a number in all likelihood.
func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if len(digits) > 18 || whole == "" || point && fraction == "" || whole[0] == '0' && len(whole) > 1 || s == "-0" {
		return false
	}
	return strings.Trim(whole+fraction, "0123456789") == ""
}
