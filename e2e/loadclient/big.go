package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// result asks -n times for -size bytes: in rows of 1,000 bytes, then in one value.
func (c *client) result(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for range c.n {
		if err := s.do(ctx, fmt.Sprintf("SELECT seq, REPEAT('r', 1000) FROM seq_1_to_%d", max(1, c.size/1000))); err != nil {
			return err
		}
		if err := s.do(ctx, "SELECT REPEAT('v', ?)", c.size); err != nil {
			return err
		}
		if err := s.do(ctx, "SELECT 'behind it'"); err != nil {
			return err
		}
	}
	return nil
}

// insert makes -n rows with a value of -size bytes each, which differ and do not
// compress to nothing.
func (c *client) insert(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.do(ctx, "CREATE TABLE IF NOT EXISTS big (id INT PRIMARY KEY, v LONGBLOB)"); err != nil {
		return err
	}
	for i := range c.n {
		if err := s.do(ctx, "INSERT INTO big VALUES (?, ?)", i, text(c.size, uint64(i))); err != nil {
			return err
		}
		if err := s.do(ctx, "SELECT 'behind it'"); err != nil {
			return err
		}
	}
	return nil
}

// infile loads -n rows of -size bytes with LOAD DATA LOCAL, and then what the
// server must refuse to take, so that no file is sent.
func (c *client) infile(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.do(ctx, "CREATE TABLE IF NOT EXISTS loaded (id INT PRIMARY KEY, v LONGTEXT)"); err != nil {
		return err
	}
	var b strings.Builder
	for i := range c.n {
		fmt.Fprintf(&b, "%d\t%s\n", i, text(c.size, uint64(i)))
	}
	mysql.RegisterReaderHandler("rows", func() io.Reader { return strings.NewReader(b.String()) })
	if err := s.do(ctx, "LOAD DATA LOCAL INFILE 'Reader::rows' INTO TABLE loaded"); err != nil {
		return err
	}
	return s.do(ctx, "SELECT 'behind it'")
}

// text is size letters and digits, the same for the same seed.
func text(size int, seed uint64) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, size)
	for i := 0; i < size; {
		for x, k := r.Uint64(), 0; k < 10 && i < size; k, i, x = k+1, i+1, x>>6 {
			b[i] = letters[x&63]
		}
	}
	return string(b)
}
