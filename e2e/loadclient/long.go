package main

import (
	"context"
	"errors"
	"time"
)

// more reports whether the ith round is due: by time if -for was given, else by
// -n.
func (c *client) more(ctx context.Context, i int) bool {
	if expired(ctx) {
		return false
	}
	return c.duration > 0 || i < c.n
}

// rest pauses between two commands.
func (c *client) rest(ctx context.Context) {
	if c.pause == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(c.pause):
	}
}

// idle opens -threads sessions, lets them lie for -pause, and uses each for
// -each commands before it closes them.
func (c *client) idle(ctx context.Context) error {
	var sessions []*session
	var errs []error
	for range c.threads {
		s, err := c.open(ctx)
		if err != nil {
			errs = append(errs, err)
			break
		}
		defer s.Close()
		sessions = append(sessions, s)
		errs = append(errs, s.do(ctx, "SELECT 'before'"))
	}
	c.rest(ctx)
	for _, s := range sessions {
		for range c.each {
			errs = append(errs, s.do(ctx, "SELECT 'after'"))
		}
	}
	return errors.Join(errs...)
}

// trickle holds -threads sessions open until -for is over, each with one command
// every -pause.
func (c *client) trickle(ctx context.Context) error {
	return c.parallel(func(int) error { return c.selects(ctx) })
}
