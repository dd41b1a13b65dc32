package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// selects runs -n SELECTs on one connection, or as many as fit into -for.
func (c *client) selects(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for i := 0; c.more(ctx, i); i++ {
		if err := s.do(context.Background(), "SELECT ?, 'select'", i); err != nil {
			return err
		}
		c.rest(ctx)
	}
	return nil
}

// short opens -n connections one after the other, with -each SELECTs on each.
func (c *client) short(ctx context.Context) error {
	for i := 0; c.more(ctx, i); i++ {
		if err := c.once(i); err != nil {
			if !c.lax {
				return err
			}
			c.errors.Add(1)
		}
		c.rest(ctx)
	}
	return nil
}

// once is one short connection.
func (c *client) once(i int) error {
	ctx := context.Background() // a run's end does not cut a connection short
	s, err := c.open(ctx)
	if err != nil {
		return fmt.Errorf("connection %d: %w", i, err)
	}
	defer s.Close()
	for range c.each {
		if err := s.do(ctx, "SELECT ?, 'short'", i); err != nil {
			return err
		}
	}
	return nil
}

// loop is -threads shorts at once.
func (c *client) loop(ctx context.Context) error {
	return c.parallel(func(int) error { return c.short(ctx) })
}

// parallel runs a load -threads times at once.
func (c *client) parallel(load func(thread int) error) error {
	errs := make([]error, c.threads)
	var all sync.WaitGroup
	for i := range c.threads {
		all.Go(func() { errs[i] = load(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}
