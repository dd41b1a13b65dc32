package tcpstate

import (
	"testing"
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/wire"
)

// BenchmarkCommand is a command and its response: a write, what is sent, and the
// report.
func BenchmarkCommand(b *testing.B) {
	var pool buffer.Pool
	c, now := new(Conn), time.Second
	c.Open(now, testFlow, 1000, 1460)
	out := c.Poll(now, &pool, nil)
	r := wire.Report{Flags: wire.SYN | wire.ACK, Seq: 5000, Ack: out[0].End(), Window: 0xffff, RcvNxt: 5001,
		Options: wire.Options{MSS: 1460, HasWScale: true, WScale: 7, SACKPermitted: true}}
	c.Receive(now, &pool, &r)
	out = c.Poll(now, &pool, out[:0])
	r = wire.Report{Flags: wire.ACK, Ack: r.Ack, Window: 0xffff, RcvNxt: r.RcvNxt}
	cmd := make([]byte, 60)
	b.ReportAllocs()
	for b.Loop() {
		now += time.Millisecond
		c.Write(&pool, cmd)
		if out = c.Poll(now, &pool, out[:0]); len(out) != 1 {
			b.Fatalf("%d segments", len(out))
		}
		r.Ack, r.RcvNxt = out[0].End(), r.RcvNxt.Add(200)
		c.Receive(now, &pool, &r)
	}
}
