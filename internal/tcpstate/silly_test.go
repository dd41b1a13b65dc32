package tcpstate

import (
	"bytes"
	"testing"

	"mrtecopy/internal/buffer"
)

// What filled a small window and got lost is repeated, though a sender would not
// begin with so little: nothing else tells that the window has opened since.
func TestLossInASmallWindow(t *testing.T) {
	var pool buffer.Pool
	c, p, now := opened(t, &pool)
	data := bytes.Repeat([]byte("select 1"), 1000)
	c.Write(&pool, data)
	p.wnd = 2 // scaled
	p.ack()
	r, _ := p.report()
	c.Receive(now, &pool, &r)
	if segs := c.Poll(now, &pool, nil); len(segs) != 1 {
		t.Fatalf("%d segments in a small window", len(segs))
	}
	sent := c.snd.max // and lost
	now = c.Deadline()
	segs := c.Poll(now, &pool, nil)
	if len(segs) != 1 || segs[0].Seq != c.SndUna() || segs[0].End() != sent {
		t.Fatalf("repeated: %+v, want what lies before %v", segs, sent)
	}
}
