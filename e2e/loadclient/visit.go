package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// visit is one session of everything that the driver can do, as the matrix test's
// other clients do it: the statements of the file -queries, a prepared one, and
// one that fails. Errors are counted, and are the caller's to judge.
func (c *client) visit(ctx context.Context) error {
	file, err := os.ReadFile(c.queries)
	if err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	queries := strings.Split(strings.TrimSpace(string(file)), "\n")
	for _, q := range append([]string{"USE other", "USE " + c.schema}, queries...) {
		s.do(ctx, strings.TrimSuffix(q, ";")) // counted
	}
	if err := s.visitPrepared(ctx); err != nil {
		return err
	}
	if s.do(ctx, "SELECT * FROM missing") == nil {
		return errors.New("a table that is missing can be read")
	}
	return nil
}

// visitPrepared executes two prepared statements in turn, with values of several
// types.
func (s *session) visitPrepared(ctx context.Context) error {
	insert, err := s.PrepareContext(ctx, "INSERT INTO t (id, v, n) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	choose, err := s.PrepareContext(ctx, "SELECT id, v, n FROM t WHERE id = ? OR v = ?")
	if err != nil {
		return err
	}
	defer choose.Close()
	for i, v := range []any{"ten", nil, "zwölf"} {
		s.c.commands.Add(2)
		if _, err := insert.ExecContext(ctx, 10+i, v, int64(1)<<(20*i)); err != nil {
			s.c.errors.Add(1)
			fmt.Fprintln(os.Stderr, err)
		}
		rows, err := choose.QueryContext(ctx, 10+i, "zwölf")
		if err != nil {
			s.c.errors.Add(1)
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		for rows.Next() {
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}
