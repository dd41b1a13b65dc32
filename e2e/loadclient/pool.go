package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"
)

// pool opens -threads sessions and brings each to a state of its own: character
// set, schema, session and user variables, prepared statements. It says "warm" on
// standard error, waits until the file -until is there, and then uses each for -n
// rounds, which write down what of the state the server still has. With -temporary
// every second session has a temporary table, with -transactions every third a
// transaction open.
func (c *client) pool(ctx context.Context) error {
	sessions := make([]*pooled, c.threads)
	for i := range sessions {
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		sessions[i] = &pooled{session: s, nth: c.first + i}
		if err := sessions[i].warm(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stderr, "warm")
	for {
		if _, err := os.Stat(c.until); err == nil {
			break
		}
		if expired(ctx) {
			return ctx.Err()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return c.parallel(func(i int) error { return sessions[i].use(ctx) })
}

// A pooled session is one of the pool.
type pooled struct {
	*session
	nth             int
	insert, sum     *sql.Stmt // kept over the whole visit
	state, negative *sql.Stmt
}

func (p *pooled) warm(ctx context.Context) error {
	statements := []string{
		"USE other",
		"SET NAMES latin1",
		"USE app",
		fmt.Sprintf("SET time_zone = '+%02d:00', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', sql_safe_updates = 1, group_concat_max_len = %d", p.nth%12, 2000+p.nth),
		fmt.Sprintf("SET @n = %d, @text = 'it''s \\ %d', @`odd ``name` = NULL, @bytes = X'00FF%02X'", 100+p.nth, p.nth, p.nth%256),
	}
	if p.owns() {
		statements = append(statements, "CREATE TEMPORARY TABLE own (a INT)")
	}
	if p.begins() {
		statements = append(statements, "START TRANSACTION", fmt.Sprintf("INSERT INTO pool (thread, round, word) VALUES (%d, -1, 'open')", p.nth))
	}
	for _, s := range statements {
		if err := p.do(ctx, s); err != nil {
			return err
		}
	}
	for text, to := range map[string]**sql.Stmt{
		"INSERT INTO pool (thread, round, n, word, at) VALUES (?, ?, ?, ?, ?)":   &p.insert,
		"SELECT SUM(n) FROM pool WHERE thread = ? AND word <> ?":                 &p.sum,
		"INSERT INTO pool (thread, round, n, word) VALUES (?, ?, @n + ?, @text)": &p.state,
		"UPDATE pool SET n = n + 1 WHERE thread = ? AND round = ?":               &p.negative,
	} {
		var err error
		if *to, err = p.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// owns reports whether the session has a temporary table.
func (p *pooled) owns() bool { return p.c.temporary && p.nth%2 == 1 }

// begins reports whether the session has a transaction open.
func (p *pooled) begins() bool { return p.c.transactions && p.nth%3 == 0 }

// use writes rows whose contents depend on what warm has set.
func (p *pooled) use(ctx context.Context) error {
	for i := 0; p.c.more(ctx, i); i++ {
		round := 10 * i
		if err := p.do(ctx, fmt.Sprintf("INSERT INTO pool (thread, round, n, word, bytes, state) VALUES (%d, %d, @n, @text, @bytes, "+
			"CONCAT_WS('|', DATABASE(), @@sql_mode, @@time_zone, @@character_set_client, @@character_set_results, @@collation_connection, @@sql_safe_updates + 0, @@group_concat_max_len, FROM_UNIXTIME(1700000000)))", p.nth, round)); err != nil {
			return err
		}
		for _, e := range []struct {
			s    *sql.Stmt
			args []any
		}{
			{p.insert, []any{p.nth, round + 1, i * 1000, "word", time.Unix(1700000000+int64(i), 0).UTC()}},
			{p.insert, []any{p.nth, round + 2, nil, "word", nil}},
			{p.state, []any{p.nth, round + 3, i}},
			{p.negative, []any{p.nth, round + 3}},
		} {
			if _, err := e.s.ExecContext(ctx, e.args...); err != nil {
				return err
			}
			p.c.commands.Add(1)
		}
		var sum sql.NullInt64
		if err := p.sum.QueryRowContext(ctx, p.nth, "none").Scan(&sum); err != nil {
			return err
		}
		p.c.commands.Add(1)
		if p.owns() {
			if err := p.do(ctx, fmt.Sprintf("INSERT INTO own VALUES (%d)", i)); err != nil {
				return err
			}
		}
		if i == 0 && p.begins() {
			if err := p.do(ctx, "COMMIT"); err != nil {
				return err
			}
		}
		p.c.rest(ctx)
	}
	return nil
}
