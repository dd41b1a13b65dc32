package program

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// outletLines is how many writes an Outlet keeps for a reader that is late.
	outletLines = 1 << 10
	// outletPatience is how long Close waits for the reader.
	outletPatience = 5 * time.Second
)

// An Outlet hands what is written to it to another writer, without ever waiting
// for that: behind it are terminals that somebody has stopped, pagers, and log
// collectors that hang, and in front of it the loops that capture. What is too
// much is dropped, and the number of dropped lines written in its place.
type Outlet struct {
	to      io.Writer
	lines   chan []byte
	mu      sync.Mutex
	dropped int // lines; until this is told, what comes is dropped
	closing chan struct{}
	done    chan struct{}
}

// NewOutlet returns an Outlet to w.
func NewOutlet(w io.Writer) *Outlet {
	o := &Outlet{to: w, lines: make(chan []byte, outletLines), closing: make(chan struct{}), done: make(chan struct{})}
	go o.run()
	return o
}

// Write never fails. It may be called at any time, and from any goroutine.
func (o *Outlet) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped == 0 {
		select {
		case o.lines <- bytes.Clone(b):
			return len(b), nil
		default:
		}
	}
	o.dropped += max(1, bytes.Count(b, []byte("\n")))
	return len(b), nil
}

// Close writes what is kept, if that is read within a few seconds.
func (o *Outlet) Close() { o.close(outletPatience) }

func (o *Outlet) close(patience time.Duration) {
	close(o.closing)
	select {
	case <-o.done:
	case <-time.After(patience):
	}
}

func (o *Outlet) run() {
	defer close(o.done)
	for {
		select {
		case b := <-o.lines:
			o.write(b)
		case <-o.closing:
			for len(o.lines) > 0 {
				o.write(<-o.lines)
			}
			return
		}
	}
}

// write writes one piece. There is nobody to tell of an error.
func (o *Outlet) write(b []byte) {
	_, _ = o.to.Write(b)
	n := 0
	o.mu.Lock()
	if len(o.lines) == 0 { // else they come first
		n, o.dropped = o.dropped, 0
	}
	o.mu.Unlock()
	if n > 0 {
		fmt.Fprintf(o.to, "(%d lines were dropped here, since nobody read them in time)\n", n)
	}
}
