package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"mrtecopy/internal/mysql"
)

// random is -threads clients, each with session after session of -each commands
// or so, all of them drawn from -seed: for the time of -for, or for -n sessions,
// with a -pause behind each step.
// Nothing in them depends on time, chance or a connection's id, so that two
// servers come to the same tables. Each session makes a table of its own, so that
// the order between sessions cannot matter, and at its end adds it up in app.sums.
// Errors that the servers answer are part of it.
func (c *client) random(ctx context.Context) error {
	return c.parallel(func(thread int) error {
		for i := 0; c.more(ctx, i); i++ {
			if err := c.randomSession(ctx, thread, i); err != nil {
				return fmt.Errorf("seed %d, thread %d, session %d: %w", c.seed, thread, i, err)
			}
		}
		return nil
	})
}

// A draw is one session of the random load.
type draw struct {
	*raw
	*rand.Rand
	table     string
	row       int32 // the last one made
	open      []*drawn
	closed    []uint32
	single    bool // the option for several statements is off
	unsettled bool // a PREPARE waits for its answer
	renewal   int  // the user is to be changed: see renew
}

// A drawn statement is one that is prepared. values are its next execution's.
type drawn struct {
	id     uint32
	values func() []value
	typed  bool // it was executed with types
	cursor bool // it is executed with a cursor always: see MySQL 9.7.4
}

// A move is what a session does next: it asks, and takes the answers, which are
// as many as what it asked has.
type move struct {
	weight int
	alone  bool // nothing may be asked behind it before it is answered
	ask    func(*draw) (take func([]answer))
}

func (c *client) randomSession(ctx context.Context, thread, session int) error {
	rng := rand.New(rand.NewPCG(c.seed, uint64(thread)<<32|uint64(session)))
	caps := mysql.ClientMultiStatements | mysql.ClientQueryAttributes*mysql.Capabilities(rng.IntN(2)) | mysql.ClientDeprecateEOF*mysql.Capabilities(rng.IntN(2))
	r, err := c.dial(caps, mysql.MariaDBStmtBulk|mysql.MariaDBCacheMetadata*mysql.Extended(rng.IntN(2)))
	if err != nil {
		return err
	}
	d := &draw{raw: r, Rand: rng, table: fmt.Sprintf("app.r%d_%d", thread, session)}
	if err := d.play(ctx); err != nil {
		r.conn.Close()
		return err
	}
	if d.IntN(8) == 0 {
		return r.hangUp() // its table stays
	}
	const sum = "INSERT INTO app.sums SELECT %d, COUNT(*), SUM(CRC32(CONCAT_WS('|', id, n, f, HEX(s), HEX(b), d, t, x))) FROM %s"
	if err := r.query("ROLLBACK", "SET autocommit = 1", fmt.Sprintf(sum, thread<<20|session, d.table), "DROP TABLE "+d.table); err != nil {
		return err
	}
	return r.Close()
}

// play makes the moves of one session.
func (d *draw) play(ctx context.Context) error {
	if err := d.query("CREATE TABLE " + d.table +
		" (id INT PRIMARY KEY, n BIGINT, f DOUBLE, s LONGTEXT, b LONGBLOB, d DATETIME(6), t TIME(6), x DECIMAL(20,5)) DEFAULT CHARSET utf8mb4"); err != nil {
		return err
	}
	for left := d.c.each/2 + d.IntN(d.c.each+1); left > 0 && !expired(ctx); {
		batch := 1
		if d.IntN(4) == 0 {
			batch += d.IntN(6)
		}
		var takes []func([]answer)
		var counts []int
		for ; batch > 0; batch-- {
			left--
			m := d.choose()
			if m.alone && len(takes) > 0 {
				continue
			}
			before := len(d.asked)
			takes = append(takes, m.ask(d))
			counts = append(counts, len(d.asked)-before)
			if m.alone {
				break
			}
		}
		all, err := d.answers()
		if err != nil {
			return err
		}
		for i, take := range takes {
			if take != nil {
				take(all[:counts[i]])
			}
			all = all[counts[i]:]
		}
		d.unsettled = false
		if err := d.renew(); err != nil {
			return err
		}
		d.c.rest(ctx)
	}
	return nil
}

// moves are what a session can do next.
var moves = []move{
	{12, false, func(d *draw) func([]answer) {
		return d.sql("INSERT INTO %s (id, n, s) VALUES (%d, %d, '%s'), (%d, NULL, '')", d.table, d.next(), d.IntN(1e6), d.word(200), d.next())
	}},
	{1, false, func(d *draw) func([]answer) {
		return d.sql("INSERT INTO %s (id, b) VALUES (%d, '%s')", d.table, d.next(), text(10_000+d.IntN(200_000), d.Uint64()))
	}},
	{6, false, func(d *draw) func([]answer) {
		return d.sql("UPDATE %s SET n = (n * 3 + %d) %% 1000003 WHERE id %% 7 = %d ORDER BY id LIMIT 20", d.table, d.IntN(100), d.IntN(7))
	}},
	{3, false, func(d *draw) func([]answer) {
		return d.sql("DELETE FROM %s WHERE id %% 5 = %d ORDER BY id LIMIT 3", d.table, d.IntN(5))
	}},
	{8, false, func(d *draw) func([]answer) {
		return d.sql("SELECT id, n, LEFT(s, 50) FROM %s WHERE id > %d ORDER BY id LIMIT 10", d.table, d.IntN(100))
	}},
	{4, false, func(d *draw) func([]answer) {
		return d.sql([]string{"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT p", "ROLLBACK TO SAVEPOINT p", "SET autocommit = 0", "SET autocommit = 1", "COMMIT"}[d.IntN(8)])
	}},
	{1, false, func(d *draw) func([]answer) { return d.sql("TRUNCATE TABLE %s", d.table) }},
	{4, false, func(d *draw) func([]answer) {
		middle := []string{"SELECT 1", "SELECT * FROM app.missing", "CALL app.several(3, @b)", "this is no SQL", "SET @m = 1"}[d.IntN(5)]
		return d.sql("INSERT INTO %s (id, s) VALUES (%d, 'chain'); %s; INSERT INTO %s (id, s) VALUES (%d, 'behind it')", d.table, d.next(), middle, d.table, d.next())
	}},
	{4, false, func(d *draw) func([]answer) {
		return d.sql([]string{"SELECT * FROM app.missing", "nor is this", "INSERT INTO " + d.table + " (id) VALUES (1), (1)", "USE missing", "EXECUTE nothing", ""}[d.IntN(6)])
	}},
	{3, false, func(d *draw) func([]answer) {
		return d.sql([]string{"SET @a = " + fmt.Sprint(d.IntN(100)), "SELECT @a", "SET NAMES utf8mb4", "SHOW WARNINGS", "CALL app.several(4, @b)", "SELECT @b",
			"CREATE TEMPORARY TABLE IF NOT EXISTS passing (id INT)", "USE app", "USE other", "SET SESSION sort_buffer_size = 262144"}[d.IntN(10)])
	}},
	{3, false, func(d *draw) func([]answer) {
		return d.sql([]string{"PREPARE s FROM 'SELECT ? + 1'", "EXECUTE s USING @a", "DEALLOCATE PREPARE s", "PREPARE s FROM 'SELECT * FROM app.missing'"}[d.IntN(4)])
	}},
	{8, false, (*draw).prepareOne},
	{25, false, (*draw).executeOne},
	{3, false, (*draw).longData},
	{4, false, (*draw).closeOne},
	{4, false, (*draw).cursor},
	{2, true, (*draw).load},
	{3, false, func(d *draw) func([]answer) {
		d.ask(mysql.ComInitDB, []byte([]string{"app", "other", "missing", "app"}[d.IntN(4)]))
		return nil
	}},
	{1, false, func(d *draw) func([]answer) {
		d.ask(mysql.ComFieldList, []byte([]string{"numbers\x00", "missing\x00", "numbers\x00v%"}[d.IntN(3)]))
		return nil
	}},
	{2, false, func(d *draw) func([]answer) { d.ask(mysql.ComPing, nil); return nil }},
	{1, false, func(d *draw) func([]answer) { d.ask(mysql.ComStatistics, nil); return nil }},
	{2, false, func(d *draw) func([]answer) {
		d.single = d.IntN(3) == 0
		option := []byte{0, 0}
		if d.single {
			option[0] = 1
		}
		d.ask(mysql.ComSetOption, option)
		return nil
	}},
	{1, true, (*draw).reset},
	{1, true, (*draw).another},
	{4, false, (*draw).bulkInsert},
	{3, false, (*draw).last},
}

var weights = func() (sum int) {
	for _, m := range moves {
		sum += m.weight
	}
	return sum
}()

func (d *draw) choose() *move {
	n := d.IntN(weights)
	for i := range moves {
		if n -= moves[i].weight; n < 0 {
			return &moves[i]
		}
	}
	panic("weights")
}

func (d *draw) next() int32       { d.row++; return d.row }
func (d *draw) word(n int) string { return text(d.IntN(n+1), d.Uint64()) }

// sql asks a statement, with attributes at times.
func (d *draw) sql(format string, args ...any) func([]answer) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	if d.IntN(3) == 0 {
		d.askQuery(format, "shard", fmt.Sprint(d.IntN(100)), "trace", d.word(30))
	} else {
		d.askQuery(format)
	}
	return nil
}

// prepareOne prepares one of several statements; some cannot be.
func (d *draw) prepareOne() func([]answer) {
	if d.unsettled || len(d.open) > 15 {
		return d.closeOne()
	}
	s := &drawn{}
	var sql string
	switch d.IntN(8) {
	case 0, 1:
		sql = "INSERT INTO " + d.table + " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
		s.values = func() []value { return rowOfTypes(d.next(), d.IntN(60)) }
	case 2:
		sql = "INSERT INTO " + d.table + " (id, s) VALUES (?, ?)"
		s.values = func() []value { return []value{long(d.next()), str(typeVarString, d.word(500))} }
	case 3:
		sql = "UPDATE " + d.table + " SET n = (COALESCE(n, 1) * 5 + ?) % 1000003 WHERE id = ?"
		s.values = func() []value { return []value{short(int16(d.IntN(1000))), long(1 + d.Int32N(max(d.row, 1)))} }
	case 4:
		sql = "SELECT id, n, f, d, t, x, LEFT(s, 100) FROM " + d.table + " WHERE id >= ? ORDER BY id LIMIT 5"
		s.values = func() []value { return []value{longlong(d.Int64N(200))} }
	case 5:
		sql = "CALL app.several(?, ?)"
		s.values = func() []value { return []value{long(d.Int32N(100)), null(typeLong)} }
	case 6:
		sql = "SELECT id, v FROM app.numbers WHERE id >= ? ORDER BY id"
		s.values, s.cursor = func() []value { return []value{tiny(0)} }, true
	default:
		if len(d.asked) > 0 {
			// Its error may follow another answer in one segment, where it is not
			// captured: then the next PREPARE's statement is not known for certain.
			return d.closeOne()
		}
		sql = []string{"INSERT INTO app.missing VALUES (?)", "no SQL at all ?", "", "SELECT 1; SELECT 2"}[d.IntN(4)]
	}
	d.unsettled = true
	d.ask(mysql.ComStmtPrepare, []byte(sql))
	return func(a []answer) {
		if s.id = a[0].id; a[0].err == nil && s.values != nil {
			d.open = append(d.open, s)
		}
	}
}

// any is one of the statements that are open; nil if there is none.
func (d *draw) any(cursor bool) *drawn {
	var all []*drawn
	for _, s := range d.open {
		if s.cursor == cursor {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[d.IntN(len(all))]
}

// executeOne executes a statement: with types the first time, later at times.
func (d *draw) executeOne() func([]answer) {
	s := d.any(false)
	if s == nil {
		return d.prepareOne()
	}
	values := s.values()
	types := !s.typed || d.kindsDiffer(s, values) || d.IntN(3) == 0
	if types && d.IntN(4) == 0 {
		d.askExecute(s.id, 0, true, values, "tenant", d.word(10))
	} else {
		d.askExecute(s.id, 0, types, values)
	}
	s.typed = true
	return nil
}

// kindsDiffer reports whether a statement's next values may have other types than
// the last.
func (d *draw) kindsDiffer(_ *drawn, values []value) bool { return len(values) == 8 }

// longData sends a parameter in pieces and executes, or takes it back.
func (d *draw) longData() func([]answer) {
	var s *drawn
	for _, o := range d.open {
		if v := o.values(); len(v) == 2 && v[1].kind == typeVarString {
			s = o
		}
	}
	if s == nil {
		return d.executeOne()
	}
	for range 1 + d.IntN(4) {
		d.askLongData(s.id, 1, []byte(d.word(20_000)))
	}
	if d.IntN(3) == 0 {
		d.ask(mysql.ComStmtReset, number(s.id))
		return nil
	}
	d.askExecute(s.id, 0, !s.typed, []value{long(d.next()), {kind: typeVarString, long: true}})
	s.typed = true
	return nil
}

// closeOne closes a statement, or once more one that is closed, or uses that.
func (d *draw) closeOne() func([]answer) {
	if len(d.closed) > 0 && d.IntN(4) == 0 {
		id := d.closed[d.IntN(len(d.closed))]
		if d.IntN(2) == 0 {
			d.askClose(id)
		} else {
			d.askExecute(id, 0, true, []value{long(1)})
		}
		return nil
	}
	if len(d.open) == 0 {
		d.askClose(1 << 30)
		return nil
	}
	i := d.IntN(len(d.open))
	id := d.open[i].id
	d.open = append(d.open[:i:i], d.open[i+1:]...)
	d.closed = append(d.closed, id)
	d.askClose(id)
	return nil
}

// cursor opens one, and fetches from it, to its end or not.
func (d *draw) cursor() func([]answer) {
	s := d.any(true)
	if s == nil {
		return d.prepareOne()
	}
	d.askExecute(s.id, readOnlyCursor, !s.typed, s.values())
	s.typed = true
	for range d.IntN(6) {
		d.askFetch(s.id, 10)
	}
	if d.IntN(3) == 0 {
		d.ask(mysql.ComStmtReset, number(s.id))
	}
	return nil
}

// load loads a file, which may be empty, into the session's table or a missing one.
func (d *draw) load() func([]answer) {
	var b strings.Builder
	for range d.IntN(50) {
		fmt.Fprintf(&b, "%d\t%d\t%s\n", d.next(), d.IntN(1e6), d.word(1000))
	}
	d.file = []byte(b.String())
	table := d.table
	if d.IntN(5) == 0 {
		table = "app.missing"
	}
	return d.sql("LOAD DATA LOCAL INFILE 'rows' INTO TABLE %s (id, n, s)", table)
}

// reset makes the session a new one, where the server can.
func (d *draw) reset() func([]answer) {
	if !d.resets() {
		return d.another()
	}
	d.ask(mysql.ComResetConnection, nil)
	return func([]answer) { d.forgotten() }
}

// another changes the user, which is done behind the answers to what is asked:
// see renew.
func (d *draw) another() func([]answer) {
	return func([]answer) {
		d.forgotten()
		d.renewal = 1 + d.IntN(3)
	}
}

// forgotten says that the session has no statements any more.
func (d *draw) forgotten() {
	for _, s := range d.open {
		d.closed = append(d.closed, s.id)
	}
	d.open = nil
}

// renew changes the user where that is due.
func (d *draw) renew() (err error) {
	switch d.renewal {
	case 1:
		err = d.changeUser(d.c.other, d.c.otherPassword, "app")
	case 2:
		err = d.changeUser(d.c.user, d.c.password, "app")
	case 3:
		err = d.changeUser(d.c.user, d.c.password, "")
	default:
		return nil
	}
	d.renewal = 0
	return err
}

// bulkInsert inserts rows at once, where the server can; the last may be there
// already.
func (d *draw) bulkInsert() func([]answer) {
	var s *drawn
	for _, o := range d.open {
		if v := o.values(); len(v) == 2 && v[1].kind == typeVarString {
			s = o
		}
	}
	if s == nil || !d.bulks() {
		return d.executeOne()
	}
	var rows [][]value
	for range 1 + d.IntN(20) {
		rows = append(rows, s.values())
	}
	if d.IntN(6) == 0 {
		rows = append(rows, rows[0])
	}
	d.askBulk(s.id, rows)
	s.typed = true
	return nil
}

// last prepares, and executes what is prepared as -1, without waiting; the
// PREPARE may fail, and -1 with it.
func (d *draw) last() func([]answer) {
	if d.unsettled || !d.version.MariaDB {
		return d.executeOne()
	}
	sql := "INSERT INTO " + d.table + " (id, s) VALUES (?, ?)"
	if d.IntN(4) == 0 && len(d.asked) == 0 { // as in prepareOne
		sql = "INSERT INTO app.missing VALUES (?, ?)"
	}
	d.unsettled = true
	d.ask(mysql.ComStmtPrepare, []byte(sql))
	d.askExecute(lastPrepared, 0, true, []value{long(d.next()), str(typeVarString, d.word(100))})
	return func(a []answer) {
		if a[0].err == nil {
			s := &drawn{id: a[0].id, typed: true}
			s.values = func() []value { return []value{long(d.next()), str(typeVarString, d.word(500))} }
			d.open = append(d.open, s)
		}
	}
}
