package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// crowd opens -n connections, -rate a second, from the addresses of -from in turn,
// and has them lie until it is told to end; with -each, every one says that many
// commands first. Then their sockets are closed without a word, as those of a
// client that dies are.
func (c *client) crowd(ctx context.Context) error {
	raiseFiles()
	var from []netip.Addr
	for _, text := range c.from {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		from = append(from, a)
	}
	const dialers = 16 // logins take their time: several are under way
	errs := make(chan error, dialers)
	next := make(chan int)
	var all sync.WaitGroup
	for range dialers {
		all.Go(func() {
			for i := range next {
				if err := c.member(from, i); err != nil {
					select {
					case errs <- fmt.Errorf("connection %d: %w", i, err):
					default:
					}
				}
			}
		})
	}
	c.began = time.Now()
	for i := 0; i < c.n && ctx.Err() == nil; i++ {
		if c.rate > 0 {
			time.Sleep(time.Until(c.began.Add(time.Duration(float64(i) / c.rate * 1e9))))
		}
		next <- i
	}
	close(next)
	all.Wait()
	c.ended = time.Now()
	select {
	case err := <-errs:
		return err
	default:
	}
	runtime.GC()
	<-ctx.Done()
	return nil
}

// member opens the ith connection. Of it the socket alone is left.
func (c *client) member(from []netip.Addr, i int) error {
	local := netip.Addr{}
	if len(from) > 0 {
		local = from[i%len(from)]
	}
	r, err := c.dialFrom(local, 0, 0)
	if err != nil {
		return err
	}
	for range c.each {
		if err := r.query("SELECT 1"); err != nil {
			return err
		}
	}
	_, err = r.socket()
	return err
}
