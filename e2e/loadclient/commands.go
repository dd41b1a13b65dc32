package main

import (
	"context"
	"fmt"
	"strings"

	"mrtecopy/internal/mysql"
)

// Errors of the servers.
const (
	duplicateEntry   = 1062
	noSuchTable      = 1146
	parseError       = 1064
	unknownDatabase  = 1049
	unknownCommand   = 1047
	unknownStatement = 1243
	noOpenCursor     = 1421
)

// statements prepares -n times a dozen statements on one session, some of which
// fail, executes them by turns, closes some, twice too, and prepares them anew.
// Each writes its own mark, so that one executed for another would show.
func (c *client) statements(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		if err := r.query("DROP TABLE IF EXISTS marks", "CREATE TABLE marks (id INT PRIMARY KEY, mark VARCHAR(20), v VARCHAR(200))"); err != nil {
			return err
		}
		var open []uint32
		var typed []bool
		row := int32(0)
		for round := range c.n {
			for k := range 12 {
				if k%5 == 3 { // takes an id with it
					a, err := r.do(mysql.ComStmtPrepare, []byte("INSERT INTO missing VALUES (?)"))
					if err != nil {
						return err
					}
					if err := expect(a, noSuchTable, "prepare"); err != nil {
						return err
					}
				}
				if k%7 == 2 { // so does a statement in SQL
					if err := r.query("PREPARE s FROM 'SELECT ?'", "SET @a = 1", "EXECUTE s USING @a", "DEALLOCATE PREPARE s"); err != nil {
						return err
					}
				}
				id, err := r.prepare(fmt.Sprintf("INSERT INTO marks (id, mark, v) VALUES (?, '%d-%d', ?)", round, k))
				if err != nil {
					return err
				}
				open, typed = append(open, id), append(typed, false)
			}
			for range 30 {
				row++
				i := int(row*7) % len(open)
				a, err := r.execute(open[i], !typed[i], long(row), str(typeVarString, text(int(row)%150, uint64(row))))
				if err != nil {
					return err
				}
				if err := expect(a, 0, "execute"); err != nil {
					return err
				}
				typed[i] = true
			}
			// A row that is there already: an error, and the statement is none the worse.
			a, err := r.execute(open[0], true, long(row), str(typeVarString, "again"))
			if err != nil {
				return err
			}
			if err := expect(a, duplicateEntry, "execute"); err != nil {
				return err
			}
			typed[0] = true
			// Every other one is closed, some twice, and cannot be used any more.
			var kept []uint32
			var keptTyped []bool
			for i, id := range open {
				if i%2 == 0 {
					kept, keptTyped = append(kept, id), append(keptTyped, typed[i])
					continue
				}
				r.askClose(id)
				if i%3 == 0 {
					r.askClose(id)
				}
				if i%5 == 0 {
					a, err := r.execute(id, true, long(-1), str(typeVarString, "closed"))
					if err != nil {
						return err
					}
					if err := expect(a, unknownStatement, "execute what is closed"); err != nil {
						return err
					}
				}
			}
			open, typed = kept, keptTyped
			if len(open) > 24 {
				for _, id := range open[:12] {
					r.askClose(id)
				}
				open, typed = open[12:], typed[12:]
			}
			if err := r.query("SELECT COUNT(*) FROM marks"); err != nil {
				return err
			}
		}
		return nil
	})
}

// longData sends a parameter of -size bytes in pieces of 500 kB, twice, with a RESET
// in between that takes back a third. (InnoDB of MySQL 5.6 takes no value longer
// than a tenth of its log.)
func (c *client) longData(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		if err := r.query("DROP TABLE IF EXISTS longdata", "CREATE TABLE longdata (id INT PRIMARY KEY, v LONGBLOB, w LONGTEXT) ENGINE = MyISAM DEFAULT CHARSET utf8mb4"); err != nil {
			return err
		}
		id, err := r.prepare("INSERT INTO longdata VALUES (?, ?, ?)")
		if err != nil {
			return err
		}
		for i := range int32(3) {
			for b := []byte(text(c.size, uint64(i))); len(b) > 0; {
				n := min(len(b), 500_000)
				r.askLongData(id, 1, b[:n])
				b = b[n:]
				if err := r.flush(); err != nil {
					return err
				}
			}
			if i == 1 {
				if _, err := r.must(mysql.ComStmtReset, number(id)); err != nil {
					return err
				}
				continue
			}
			r.askLongData(id, 2, []byte("the other one"))
			a, err := r.execute(id, i == 0, long(i), value{kind: typeBlob, long: true}, value{kind: typeVarString, long: true})
			if err != nil {
				return err
			}
			if err := expect(a, 0, "execute"); err != nil {
				return err
			}
		}
		r.askClose(id)
		return r.query("SELECT id, LENGTH(v), w FROM longdata")
	})
}

// cursors reads -n times the 95 rows of a table 10 at a time.
func (c *client) cursors(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		rows := make([]string, 95)
		for i := range rows {
			rows[i] = fmt.Sprintf("(%d, '%s')", i, text(i*3, uint64(i)))
		}
		if err := r.query("DROP TABLE IF EXISTS fetched", "CREATE TABLE fetched (id INT PRIMARY KEY, v TEXT)", "INSERT INTO fetched VALUES "+strings.Join(rows, ", ")); err != nil {
			return err
		}
		for i := range c.n {
			id, err := r.prepare("SELECT id, v FROM fetched WHERE id >= ? ORDER BY id")
			if err != nil {
				return err
			}
			other, err := r.prepare("UPDATE fetched SET v = CONCAT(v, ?) WHERE id = ?")
			if err != nil {
				return err
			}
			for again := range 2 {
				if err := r.fetch(id, again == 0, other, i); err != nil {
					return err
				}
			}
			r.askClose(id)
			r.askClose(other)
		}
		return nil
	})
}

// fetch opens a cursor and reads it to its end, with another statement in
// between, and once beyond.
func (r *raw) fetch(id uint32, types bool, other uint32, i int) error {
	r.askExecute(id, readOnlyCursor, types, []value{long(0)})
	all, err := r.answers()
	if err != nil {
		return err
	}
	if err := expect(all[0], 0, "open a cursor"); err != nil {
		return err
	}
	for n := range 11 {
		r.askFetch(id, 10)
		all, err := r.answers()
		if err != nil {
			return err
		}
		want := uint16(0)
		if n == 10 { // behind the last row
			want = noOpenCursor
		}
		if err := expect(all[0], want, fmt.Sprintf("fetch %d", n)); err != nil {
			return err
		}
		if n == 4 {
			a, err := r.execute(other, true, str(typeVarString, "+"), short(int16(i%95)))
			if err != nil {
				return err
			}
			if err := expect(a, 0, "execute beside a cursor"); err != nil {
				return err
			}
		}
	}
	return nil
}

// local loads a file of -size bytes with LOAD DATA LOCAL, an empty one, and one
// into a table that is missing, which the server does not ask for.
func (c *client) local(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		if err := r.query("DROP TABLE IF EXISTS loaded", "CREATE TABLE loaded (id INT PRIMARY KEY, v TEXT)"); err != nil {
			return err
		}
		var b strings.Builder
		for i := 0; b.Len() < c.size; i++ {
			fmt.Fprintf(&b, "%d\t%s\n", i, text(300, uint64(i)))
		}
		const load = "LOAD DATA LOCAL INFILE 'rows' INTO TABLE "
		r.file = []byte(b.String())
		if err := r.query(load + "loaded"); err != nil {
			return err
		}
		r.file = nil
		if err := r.query(load+"loaded", "SELECT 'behind it'"); err != nil {
			return err
		}
		r.file = []byte("nobody asks for it\n")
		if err := r.fails(noSuchTable, load+"missing"); err != nil {
			return err
		}
		return r.query("INSERT INTO loaded VALUES (-1, 'behind it')")
	})
}

// chains sends -n times commands of several statements, one of which fails, with
// the option for them switched off and on, and the session reset and another
// user's in between.
func (c *client) chains(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		if err := r.query("DROP TABLE IF EXISTS chained", "CREATE TABLE chained (id INT PRIMARY KEY, v VARCHAR(40))"); err != nil {
			return err
		}
		for i := range c.n {
			at := i * 10
			insert := func(k int) string { return fmt.Sprintf("INSERT INTO app.chained VALUES (%d, 'chain %d')", at+k, i) }
			steps := []func() error{
				func() error { return r.query(strings.Join([]string{insert(0), "SELECT 1", insert(1)}, "; ")) },
				// What follows the one that fails is not done.
				func() error {
					return r.chainFails(strings.Join([]string{insert(2), "SELECT * FROM app.missing", insert(3)}, "; "))
				},
				func() error {
					return r.chainFails(strings.Join([]string{insert(4), "this is no SQL", insert(5)}, "; "))
				},
				func() error { return r.setOption(1) },
				func() error { return r.fails(parseError, strings.Join([]string{insert(6), insert(7)}, "; ")) },
				func() error { return r.setOption(0) },
				func() error {
					return r.query("SET @x = "+fmt.Sprint(i), "CREATE TEMPORARY TABLE app.passing (id INT)", insert(8)+"; SELECT @x; INSERT INTO app.passing VALUES (1)")
				},
				func() error { return r.prepared(insert(9)) },
				func() error { return r.forget(i) },
				// Another user's session has neither.
				func() error { return r.query("SELECT @x") },
				func() error { return r.fails(noSuchTable, "SELECT * FROM app.passing") },
			}
			for _, step := range steps {
				if err := step(); err != nil {
					return fmt.Errorf("round %d: %w", i, err)
				}
			}
		}
		return nil
	})
}

// chainFails runs statements in the middle of which one fails.
func (r *raw) chainFails(sql string) error {
	r.askQuery(sql)
	all, err := r.answers()
	if err == nil && all[0].err == nil {
		err = fmt.Errorf("%s: no error", sql)
	}
	return err
}

// setOption switches commands of several statements on (0) or off (1).
func (r *raw) setOption(off byte) error {
	_, err := r.must(mysql.ComSetOption, []byte{off, 0})
	return err
}

// prepared executes a statement, and leaves it and another one open.
func (r *raw) prepared(sql string) error {
	for _, s := range []string{sql, "SELECT * FROM app.chained WHERE id = ?"} {
		id, err := r.prepare(s)
		if err != nil {
			return err
		}
		if strings.HasPrefix(s, "SELECT") {
			break
		}
		if a, err := r.execute(id, false); err != nil || a.err != nil {
			return fmt.Errorf("execute: %v, %v", err, a.err)
		}
	}
	return nil
}

// forget makes the session a new one, in one way or the other.
func (r *raw) forget(i int) error {
	if i%2 == 0 && r.resets() {
		_, err := r.must(mysql.ComResetConnection, nil)
		return err
	}
	if i%4 == 1 {
		return r.changeUser(r.c.other, r.c.otherPassword, "app")
	}
	return r.changeUser(r.c.user, r.c.password, "")
}

// resets reports whether the server has COM_RESET_CONNECTION.
func (r *raw) resets() bool { return r.version.MariaDB || r.version.AtLeast(5, 7, 3) }

// resetting prepares and then sends -n times COM_RESET_CONNECTION. A server that
// has it forgets the statement; MySQL 5.6 answers an error, and the statement is
// there as before.
func (c *client) resetting(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		row := int32(0)
		for range c.n {
			id, err := r.prepare("INSERT INTO app.steps VALUES (?)")
			if err != nil {
				return err
			}
			want := [2]uint16{0, unknownStatement}
			if !r.resets() {
				want = [2]uint16{unknownCommand, 0}
			}
			for i := range 2 {
				row++
				a, err := r.execute(id, true, long(row))
				if err == nil {
					err = expect(a, uint16(i)*want[1], "execute")
				}
				if err != nil {
					return err
				}
				if i == 1 {
					break
				}
				if a, err = r.do(mysql.ComResetConnection, nil); err == nil {
					err = expect(a, want[0], "reset")
				}
				if err != nil {
					return err
				}
			}
		}
		return r.query("SELECT * FROM app.steps ORDER BY id")
	})
}

// others are -n rounds of the commands that nobody sends much: each has an answer
// of its own shape. Some fail.
func (c *client) others(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		if err := r.query("DROP TABLE IF EXISTS others", "CREATE TABLE others (id INT PRIMARY KEY, a BIGINT, b VARCHAR(20), c DATETIME)"); err != nil {
			return err
		}
		for range c.n {
			for _, s := range []struct {
				cmd     mysql.Command
				payload string
				code    uint16
			}{
				{mysql.ComPing, "", 0},
				{mysql.ComStatistics, "", 0},
				{mysql.ComInitDB, "other", 0},
				{mysql.ComInitDB, "missing", unknownDatabase},
				{mysql.ComFieldList, "others\x00", noSuchTable}, // not in this schema
				{mysql.ComInitDB, "app", 0},
				{mysql.ComFieldList, "others\x00", 0},
				{mysql.ComFieldList, "others\x00b%", 0},
				{mysql.ComSetOption, "\x00\x00", 0},
				{mysql.ComStmtReset, "\x99\x99\x99\x09", unknownStatement},
				{mysql.ComStmtClose, "\x99\x99\x99\x09", 0}, // no answer at all
				{mysql.ComStmtFetch, "\x99\x99\x99\x09\x0a\x00\x00\x00", unknownStatement},
				{mysql.Command(0x70), "nobody knows it", unknownCommand},
			} {
				a, err := r.do(s.cmd, []byte(s.payload))
				if err == nil {
					err = expect(a, s.code, s.cmd.String())
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// everyType sends each type of parameter in turn, with and without its types, to
// one row each.
func (c *client) everyType(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		if err := r.query("DROP TABLE IF EXISTS typed",
			"CREATE TABLE typed (id INT PRIMARY KEY, n BIGINT, f DOUBLE, s VARCHAR(200), b LONGBLOB, d DATETIME(6), t TIME(6), x DECIMAL(20,5)) DEFAULT CHARSET utf8mb4"); err != nil {
			return err
		}
		id, err := r.prepare("INSERT INTO typed VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		row := int32(0)
		for range c.n {
			for i := range 40 {
				for _, types := range []bool{true, false} {
					row++
					a, err := r.execute(id, types, rowOfTypes(row, i)...)
					if err == nil {
						err = expect(a, 0, fmt.Sprintf("row %d", i))
					}
					if err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// rowOfTypes are a row's values, of types that change with i.
func rowOfTypes(id int32, i int) []value {
	pick := func(values ...value) value { return values[i%len(values)] }
	return []value{
		long(id),
		pick(tiny(int8(i-20)), short(int16(i*300)), long(int32(i*-70000)), longlong(int64(i)<<50), null(typeLongLong),
			value{kind: typeTiny | unsigned, b: []byte{byte(255 - i)}}, str(typeVarString, fmt.Sprint(i)), null(typeNull)),
		pick(float(float32(i)+0.5), double(float64(i)*-1.25), null(typeDouble), short(int16(i)), str(typeDecimal, "12.5")),
		pick(str(typeVarString, text(i, 1)), str(typeString, "zwölf"), str(typeVarchar, strings.Repeat("ä", i)), null(typeVarString)),
		pick(str(typeBlob, "\x00\xff\x01"+text(i, 2)), str(typeTinyBlob, ""), str(typeMediumBlob, text(300, 3)), str(typeLongBlob, text(70000, 4)), null(typeBlob)),
		pick(date(typeDatetime, 2026, 11, 21, 10, 11, 12, 0), date(typeTimestamp, 2001, 2, 3, 4, 5, 6, 700000), date(typeDate, 1999, 12, 31, 0, 0, 0, 0),
			null(typeDatetime), str(typeVarString, "2020-01-02 03:04:05")),
		pick(clock(false, 11, 12, 13, 0), clock(true, 100, 59, 58, 250000), value{kind: typeTime, b: []byte{0}}, null(typeTime)),
		pick(str(typeNewDecimal, "-12345.678"), str(typeVarString, "0.00001"), long(int32(i)), null(typeNewDecimal)),
	}
}

// bulk inserts -n times several rows at once, by a statement's id and by -1,
// which is asked before the PREPARE is answered. It needs MariaDB.
func (c *client) bulk(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		if err := r.query("DROP TABLE IF EXISTS bulked", "CREATE TABLE bulked (id INT PRIMARY KEY, v VARCHAR(200), n BIGINT)"); err != nil {
			return err
		}
		const insert = "INSERT INTO bulked VALUES (?, ?, ?)"
		row := int32(0)
		rows := func(n int) (all [][]value) {
			for range n {
				row++
				v := []value{long(row), str(typeVarString, text(int(row)%90, 7)), longlong(int64(row) << 20)}
				if row%3 == 0 {
					v[1] = null(typeVarString)
				}
				all = append(all, v)
			}
			return all
		}
		for i := range c.n {
			id, err := r.prepare(insert)
			if err != nil {
				return err
			}
			r.askBulk(id, rows(5))
			r.askClose(id)
			r.ask(mysql.ComStmtPrepare, []byte(insert))
			if i%2 == 0 {
				r.askBulk(lastPrepared, rows(7))
			} else {
				r.askExecute(lastPrepared, 0, true, rows(1)[0])
			}
			all, err := r.answers()
			if err != nil {
				return err
			}
			for k, a := range all {
				if err := expect(a, 0, fmt.Sprintf("answer %d", k)); err != nil {
					return err
				}
			}
			r.askClose(all[1].id)
		}
		return nil
	})
}
