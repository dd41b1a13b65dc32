package intercept

import (
	"bytes"
	"fmt"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/tcpstate"
	"mrtecopy/internal/wire"
)

// An ours is our end of a connection: both halves, with a report from one to
// the other at the end of each turn. Its clock jumps to what happens next.
type ours struct {
	conn   tcpstate.Conn
	pool   buffer.Pool
	recv   receiver
	w      work
	turn   turn
	any    bool // the turn has something to report
	merged bool // a turn lasts until something is expected
	now    time.Duration
	out    []wire.Segment
}

func newOurs(merged bool) *ours {
	o := &ours{merged: merged, now: time.Minute}
	o.w.limit = 64 << 20
	return o
}

func (o *ours) connect(f wire.Flow) {
	const iss seq.Num = 0xfffff800 // the wrap is near
	o.recv.listen(&o.w, iss)
	o.conn.Open(o.now, f, iss, 1460)
	o.poll()
}

// oneRow is a tracker in the middle of a row of 16 MiB: it takes any octet.
func oneRow() (t mysql.Tracker) {
	t.Push(query)
	b := append(packet(1, "\x01"), packet(2, "a column")...)
	b = append(b, packet(3, "\xfe\x00\x00\x02\x00")...)
	b = append(mysql.AppendHeader(b, mysql.MaxPayload, 4), "\xfd\xff\xff\xff row"...)
	if n, _ := t.Feed(b, nil); n != len(b) || t.Skippable() == 0 {
		panic("the tracker is in no row")
	}
	return t
}

func (o *ours) receive(g *wire.Segment) {
	if o.turn.full(o.recv.una, g) {
		o.report()
	}
	before := o.recv.is(synced)
	if o.recv.receive(o.now, g, 0, &o.w, &o.turn) {
		o.any = true
	}
	if !before && o.recv.is(synced) {
		o.recv.tracker = oneRow()
	}
	if !o.merged {
		o.report()
		o.poll()
	}
}

func (o *ours) report() {
	if o.any {
		r := o.recv.report(&o.turn)
		o.conn.Receive(o.now, &o.pool, &r)
	}
	o.turn, o.any = turn{}, false
}

func (o *ours) poll() {
	for again := true; again; again = o.conn.More() {
		at := len(o.out)
		o.out = o.conn.Poll(o.now, &o.pool, o.out)
		for i := range o.out[at:] {
			o.out[at+i].Payload = bytes.Clone(o.out[at+i].Payload)
		}
	}
}

func (o *ours) write(n int) {
	o.report()
	o.conn.Write(&o.pool, make([]byte, n))
	o.poll()
}

func (o *ours) close() {
	o.report()
	o.conn.Close()
	o.poll()
}

func (o *ours) abort() {
	o.report()
	o.poll()
	o.out = o.conn.Abort(&o.pool, o.out)
}

func (o *ours) keepAlive() {
	o.report()
	o.conn.KeepAlive()
	o.poll()
}

func (o *ours) next(within time.Duration) *wire.Segment {
	o.report()
	o.poll()
	for end := o.now + within; len(o.out) == 0; {
		d := o.conn.Deadline()
		if d == 0 || d > end {
			return nil
		}
		o.now = max(o.now, d)
		o.poll()
	}
	g := o.out[0]
	o.out = o.out[1:]
	return &g
}

func (o *ours) is(state string, _ time.Duration) error {
	o.report()
	got := o.conn.State().String()
	switch o.conn.Fate() {
	case tcpstate.Reset:
		got = "RESET"
	case tcpstate.Refused:
		got = "REFUSED"
	}
	if got != state {
		return fmt.Errorf("it is in %v", got)
	}
	return nil
}
