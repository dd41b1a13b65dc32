package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mrtecopy/internal/mysql"
)

// paced asks -rate commands a second, 0 is as many as can be, on -threads
// connections, until -for is over or -n were asked. A connection waits for its
// answer before it is used again; what falls due while all wait is asked late.
// One thread does it all, so that the load takes little from what is measured.
func (c *client) paced(ctx context.Context) error {
	p := &pacer{c: c, buf: make([]byte, 64<<10)}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	raiseFiles()
	if err := p.open(); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.began = time.Now()
	err = p.run(ctx)
	c.ended = time.Now()
	c.latency = p.quantiles()
	return errors.Join(err, p.quit())
}

// A pacer is the connections and what is due.
type pacer struct {
	c      *client
	epoll  int
	all    []*paceable
	byFD   map[int]*paceable
	free   []*paceable // wait for something to do; the one that has waited longest comes first
	first  int         // of free
	asked  int
	done   int
	buf    []byte
	events []mysql.Event
	took   []time.Duration // of each answer
}

// A paceable is a logged-in connection that always asks the same.
type paceable struct {
	fd      int
	command []byte
	tracker mysql.Tracker
	in      []byte // read and not yet taken by tracker
	asked   time.Time
}

// open logs in. A driver's connection costs too much; its socket is all we keep.
func (p *pacer) open() error {
	p.byFD = make(map[int]*paceable)
	for range p.c.threads {
		r, err := p.c.dial(0, 0)
		if err != nil {
			return err
		}
		q := &paceable{tracker: r.tracker}
		if q.command, err = r.standing(); err != nil {
			return err
		}
		q.tracker = r.tracker
		if q.fd, err = r.socket(); err != nil {
			return err
		}
		if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, q.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(q.fd)}); err != nil {
			return err
		}
		p.all, p.byFD[q.fd] = append(p.all, q), q
	}
	p.free = slices.Clone(p.all)
	return nil
}

// standing returns the packet that -what asks for.
func (r *raw) standing() ([]byte, error) {
	packet := func(payload []byte) []byte { return append(mysql.AppendHeader(nil, len(payload), 0), payload...) }
	switch r.c.what {
	case "select":
		return packet([]byte("\x03SELECT c FROM sbtest.sbtest1 WHERE id=4711")), nil
	case "insert":
		values := make([]byte, r.c.size)
		for i := range values {
			values[i] = 'a' + byte(i%26)
		}
		return packet(fmt.Appendf(nil, "\x03INSERT INTO blob_table VALUES ('%s')", values)), nil
	case "execute":
		id, err := r.prepare("SELECT c FROM sbtest.sbtest1 WHERE id=?")
		if err != nil {
			return nil, err
		}
		r.askExecute(id, 0, true, []value{longlong(4711)})
		b := slices.Clone(r.out)
		_, err = r.answers()
		return b, err
	}
	return nil, fmt.Errorf("-what %s: not select, execute or insert", r.c.what)
}

// socket takes the socket out of a connection.
func (r *raw) socket() (fd int, err error) {
	c, err := r.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if cerr := c.Control(func(have uintptr) { fd, err = unix.Dup(int(have)) }); cerr != nil {
		return 0, cerr
	}
	return fd, errors.Join(err, r.conn.Close())
}

// run is the load.
func (p *pacer) run(ctx context.Context) error {
	start := time.Now()
	ready := make([]unix.EpollEvent, 256)
	for {
		now := time.Now()
		over := p.c.duration > 0 && now.Sub(start) >= p.c.duration || p.c.duration == 0 && p.asked >= p.c.n || ctx.Err() != nil
		if over && p.done == p.asked {
			return nil
		}
		wait := time.Duration(-1) // until an answer comes
		if !over {
			due := p.due(now.Sub(start))
			for p.asked < due && p.first < len(p.free) {
				if err := p.ask(now); err != nil {
					return err
				}
			}
			if p.asked >= due && p.c.rate > 0 {
				wait = max(start.Add(time.Duration(float64(p.asked+1)/p.c.rate*1e9)).Sub(now), 0)
			}
		}
		n, err := epollWait(p.epoll, ready, wait)
		if err != nil {
			return err
		}
		now = time.Now()
		for _, e := range ready[:n] {
			if err := p.read(p.byFD[int(e.Fd)], now); err != nil {
				return err
			}
		}
	}
}

// due is how many commands should have been asked after a time.
func (p *pacer) due(after time.Duration) int {
	n := 1 << 62
	if p.c.rate > 0 {
		n = int(after.Seconds() * p.c.rate)
	}
	if p.c.duration == 0 {
		n = min(n, p.c.n)
	}
	return n
}

// ask has the connection that has waited longest ask.
func (p *pacer) ask(now time.Time) error {
	q := p.free[p.first]
	if p.first++; p.first == len(p.free) {
		p.free, p.first = p.free[:0], 0
	}
	q.asked = now
	q.tracker.Push(mysql.Kind(q.command[mysql.HeaderSize]))
	for b := q.command; len(b) > 0; {
		n, err := unix.Write(q.fd, b)
		if err == unix.EAGAIN { // a large one; the server reads
			time.Sleep(50 * time.Microsecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		b = b[n:]
	}
	p.asked++
	p.c.commands.Add(1)
	return nil
}

// read reads an answer, or a part of it.
func (p *pacer) read(q *paceable, now time.Time) error {
	n, err := unix.Read(q.fd, p.buf)
	if err == unix.EAGAIN {
		return nil
	}
	if n <= 0 {
		return fmt.Errorf("the server has ended a connection: %w", err)
	}
	b := p.buf[:n]
	if len(q.in) > 0 {
		q.in = append(q.in, b...)
		b = q.in
	}
	n, p.events = q.tracker.Feed(b, p.events[:0])
	q.in = append(q.in[:0], b[n:]...)
	if q.tracker.Broken() {
		return fmt.Errorf("the response cannot be read: % x", b[:min(len(b), 32)])
	}
	for _, e := range p.events {
		if e.Type == mysql.End {
			p.done++
			p.took = append(p.took, now.Sub(q.asked))
			p.release(q)
		} else if len(e.Payload) > 0 && e.Payload[0] == 0xff {
			p.c.errors.Add(1)
		}
	}
	return nil
}

// release puts a connection at the end of the line.
func (p *pacer) release(q *paceable) {
	if len(p.free) == cap(p.free) && p.first > 0 {
		p.free = p.free[:copy(p.free, p.free[p.first:])]
		p.first = 0
	}
	p.free = append(p.free, q)
}

// quit leaves in order.
func (p *pacer) quit() error {
	quit := append(mysql.AppendHeader(nil, 1, 0), byte(mysql.ComQuit))
	for _, q := range p.all {
		p.c.commands.Add(1)
		unix.Write(q.fd, quit)
	}
	for _, q := range p.all {
		for wait := 0; wait < 100; wait++ { // the server closes
			if n, err := unix.Read(q.fd, p.buf); n == 0 || err != nil && err != unix.EAGAIN {
				break
			}
			time.Sleep(time.Millisecond)
		}
		unix.Close(q.fd)
	}
	return nil
}

// quantiles are how long answers took: the median, 95, 99 of 100, in microseconds.
func (p *pacer) quantiles() (q [3]float64) {
	slices.Sort(p.took)
	for i, share := range []int{50, 95, 99} {
		if n := len(p.took); n > 0 {
			q[i] = float64(p.took[(n-1)*share/100]) / 1e3
		}
	}
	return q
}

// epollWait is epoll_pwait2, whose time is finer than a millisecond; a negative
// wait has no end.
func epollWait(epoll int, ready []unix.EpollEvent, wait time.Duration) (int, error) {
	var limit *unix.Timespec
	if wait >= 0 {
		t := unix.NsecToTimespec(int64(wait))
		limit = &t
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&ready[0])), uintptr(len(ready)), uintptr(unsafe.Pointer(limit)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("epoll: %w", errno)
}

// raiseFiles allows for many connections, where we may.
func raiseFiles() { unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}) }
