package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mrtecopy/internal/mysql"
)

// forbidden sends what is not replayed, among what is: as statements, prepared,
// and within a command of several.
func (c *client) forbidden(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		step := 0
		insert := func() string { step++; return fmt.Sprintf("INSERT INTO app.steps VALUES (%d)", step) }
		for _, sql := range []string{
			"SET GLOBAL max_connect_errors = 77",
			"CREATE USER forbidden@'%' IDENTIFIED BY 'x'",
			"/* a note */ ALTER USER forbidden@'%' IDENTIFIED BY 'y'",
			"SELECT id FROM app.steps INTO OUTFILE '../forbidden.txt'",
			"FLUSH TABLES WITH READ LOCK",
			"UNLOCK TABLES",
		} {
			if err := r.query(sql); err != nil {
				return err
			}
			if !strings.HasPrefix(sql, "FLUSH") {
				if err := r.query(insert()); err != nil {
					return err
				}
			}
		}
		if err := r.query("SELECT 1; SET GLOBAL max_connect_errors = 78; SELECT 2", insert()); err != nil {
			return err
		}
		id, err := r.prepare("SET GLOBAL max_connect_errors = ?")
		if err != nil {
			return err
		}
		other, err := r.prepare("INSERT INTO app.steps VALUES (?)")
		if err != nil {
			return err
		}
		for n, id := range []uint32{id, other, id} {
			if a, err := r.execute(id, true, long(int32(100+n))); err != nil || a.err != nil {
				return fmt.Errorf("execute: %v, %v", err, a.err)
			}
		}
		r.askClose(id)
		r.askClose(other)
		return r.query("SET GLOBAL max_connect_errors = 79", insert(), "SELECT COUNT(*) FROM app.steps")
	})
}

// last prepares -n times two statements and executes each as -1 before it is
// answered. Each adds a row; the second one says "left out". It needs MariaDB.
func (c *client) last(ctx context.Context) error {
	return c.raws(ctx, func(r *raw) error {
		const sql = "INSERT INTO app.steps SELECT COALESCE(MAX(id), 0) + 1 FROM app.steps"
		for range c.n {
			var open []uint32
			for _, sql := range []string{sql, sql + " /* left out */"} {
				r.ask(mysql.ComStmtPrepare, []byte(sql))
				r.askExecute(lastPrepared, 0, false, nil)
				all, err := r.answers()
				if err != nil {
					return err
				}
				for _, a := range all {
					if a.err != nil {
						return fmt.Errorf("%s: %w", sql, a.err)
					}
				}
				open = append(open, all[0].id)
			}
			for _, id := range open {
				r.askClose(id)
			}
		}
		return r.query("SELECT COUNT(*) FROM app.steps")
	})
}

// kill has one session kill another's statement, then that session, by
// statements and by COM_PROCESS_KILL; a third one goes on through all of it. -pause
// is for the target to follow.
func (c *client) kill(ctx context.Context) error {
	var r [4]*raw
	for i := range r {
		var err error
		if r[i], err = c.dial(0, 0); err != nil {
			return err
		}
		if err := r[i].query(fmt.Sprintf("SET @me = %d", i)); err != nil {
			return err
		}
	}
	killer, first, second, bystander := r[0], r[1], r[2], r[3]
	c.rest(ctx)
	// first and bystander sleep; first is woken.
	for _, s := range []*raw{first, bystander} {
		s.askQuery(fmt.Sprintf("SELECT SLEEP(%g)", 2*c.pause.Seconds()))
		if err := s.flush(); err != nil {
			return err
		}
	}
	c.rest(ctx)
	if err := killer.query(fmt.Sprintf("KILL QUERY %d", first.id)); err != nil {
		return err
	}
	for _, s := range []*raw{first, bystander} {
		if _, err := s.answers(); err != nil {
			return err
		}
	}
	if err := first.query("INSERT INTO app.steps VALUES (1)"); err != nil {
		return err
	}
	c.rest(ctx)
	if err := killer.query(fmt.Sprintf("KILL /* hard */ %d", first.id)); err != nil {
		return err
	}
	if _, err := killer.must(mysql.ComProcessKill, number(second.id)); err != nil {
		return err
	}
	for _, s := range []*raw{first, second} {
		s.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, s.conn); err != nil {
			return fmt.Errorf("a session that was killed: %w", err)
		}
		s.conn.Close()
	}
	// Nobody's: the servers say so.
	if err := killer.fails(1094, "KILL 4000000000"); err != nil {
		return err
	}
	for i, s := range []*raw{killer, bystander} {
		if err := s.query(fmt.Sprintf("INSERT INTO app.steps VALUES (%d)", 10+i)); err != nil {
			return err
		}
	}
	c.rest(ctx)
	c.rest(ctx)
	return errors.Join(killer.Close(), bystander.Close())
}
