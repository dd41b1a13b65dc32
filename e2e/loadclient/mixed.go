package main

import (
	"context"
	"fmt"
)

// mixed goes -n times through what a session can ask for that has a response of
// another shape: OK, ERR, several results, a prepared statement, a changed
// schema, an empty result, a warning, a transaction rolled back.
func (c *client) mixed(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, q := range []string{
		"DROP TABLE IF EXISTS mixed",
		"CREATE TABLE mixed (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200), n BIGINT)",
		"DROP PROCEDURE IF EXISTS two_results",
		"CREATE PROCEDURE two_results() BEGIN SELECT 1; SELECT 2, 3; END",
	} {
		if err := s.do(ctx, q); err != nil {
			return err
		}
	}
	for i := range c.n {
		for _, q := range []string{
			fmt.Sprintf("INSERT INTO mixed (v, n) VALUES ('a%d', %d), ('b', NULL), ('', -1)", i, i),
			"SELECT * FROM mixed ORDER BY id DESC LIMIT 5",
			"SELECT * FROM mixed WHERE id < 0",
			"SELECT 1; SELECT 2; INSERT INTO mixed (v) VALUES ('multi'); SELECT 3",
			"CALL two_results()",
			"USE " + c.schema,
			"SELECT 1/0",
			"BEGIN", "DELETE FROM mixed", "ROLLBACK",
			"UPDATE mixed SET n = n + 1 WHERE n > 2",
			"SET @x = 5", "SELECT @x",
			"SHOW WARNINGS",
		} {
			if err := s.do(ctx, q); err != nil {
				return err
			}
		}
		for _, q := range []string{"SELECT * FROM missing", "this is no SQL", "SELECT 1; this neither; SELECT 2"} {
			if s.do(ctx, q) == nil {
				return fmt.Errorf("%s: no error", q)
			}
			c.errors.Add(-1) // it was asked for
		}
		if err := s.prepared(ctx, i); err != nil {
			return err
		}
		if err := s.PingContext(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepared prepares, executes twice and closes.
func (s *session) prepared(ctx context.Context, i int) error {
	st, err := s.PrepareContext(ctx, "SELECT id, v FROM mixed WHERE id = ? OR v = ?")
	if err != nil {
		return err
	}
	defer st.Close()
	for k := range 2 {
		rows, err := st.QueryContext(ctx, i+k, "b")
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		if err := rows.Close(); err != nil {
			return err
		}
		s.c.commands.Add(1)
	}
	return nil
}

// write is a single writer: -n rounds of changes whose sum is the same only if
// all of them arrive, in order.
func (c *client) write(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, q := range []string{
		"DROP TABLE IF EXISTS written",
		"CREATE TABLE written (id INT PRIMARY KEY, n BIGINT NOT NULL, v VARCHAR(64) NOT NULL)",
	} {
		if err := s.do(ctx, q); err != nil {
			return err
		}
	}
	whole := context.Background() // a run's end does not cut a command short
	for i := 0; c.more(ctx, i); i++ {
		if err := s.do(whole, "INSERT INTO written VALUES (?, ?, ?)", i, i*i, text(40, uint64(i))); err != nil {
			return err
		}
		// The order matters: n*3+i does not commute.
		if err := s.do(whole, "UPDATE written SET n = (n * 3 + ?) % 1000003 WHERE id % 7 = ?", i, i%7); err != nil {
			return err
		}
		if i%10 == 9 {
			if err := s.do(whole, "DELETE FROM written WHERE id = ?", i-5); err != nil {
				return err
			}
		}
		c.rest(ctx)
	}
	return nil
}
