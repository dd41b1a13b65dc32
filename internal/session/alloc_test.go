package session

import (
	"testing"
	"time"
	"unsafe"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/simulation"
	"mrtecopy/internal/wire"
)

// ready returns a replay whose session has logged in, with nothing unanswered.
func ready(tb testing.TB, c *simulation.Client) *sim {
	m := newSim(tb)
	m.play(c, lockstep)
	if m.sess.Phase() != Ready || m.sess.Busy() {
		tb.Fatalf("phase %d", m.sess.Phase())
	}
	return m
}

// answer reports that the target took everything and answered n commands.
func (m *sim) answer(n int) {
	r := wire.Report{Flags: wire.ACK, Ack: m.sess.Conn.Written(), Window: 8192, RcvNxt: m.sess.Conn.RcvNxt().Add(11 * n)}
	m.sess.Report(&m.env, &r, n, 0, [16]byte{})
}

func TestCommandDoesNotAllocate(t *testing.T) {
	packet := func(payload string) []byte {
		return append(mysql.AppendHeader(nil, len(payload), 0), payload...)
	}
	execute := string(rune(mysql.ComStmtExecute)) + "\x01\x00\x00\x00\x00\x01\x00\x00\x00"
	tests := []struct {
		name     string
		b        []byte
		commands int
	}{
		{"a query", packet("\x03select c from sbtest1 where id=4711"), 1},
		{"an execution", packet(execute), 1},
		{"four pipelined queries", append(append(packet("\x03select 1"), packet("\x03select 2")...), append(packet("\x03select 3"), packet("\x0e")...)...), 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := simulation.NewClient().Login()
			c.Prepare("p0c0 a")
			m := ready(t, c)
			ack, end := c.Read, c.Nxt
			n := testing.AllocsPerRun(1000, func() {
				m.env.Now += time.Millisecond
				m.env.At = m.env.Now
				end = end.Add(len(tt.b))
				m.sess.Data(&m.env, tt.b, ack, end)
				m.sess.Poll(&m.env)
				if len(m.env.Out.Segments) == 0 || len(m.env.Out.Kinds) != tt.commands {
					t.Fatalf("%d segments and %d kinds", len(m.env.Out.Segments), len(m.env.Out.Kinds))
				}
				m.env.Out.Segments, m.env.Out.Kinds = m.env.Out.Segments[:0], m.env.Out.Kinds[:0]
				ack = ack.Add(11 * tt.commands)
				m.answer(tt.commands)
				if m.sess.Pending() != 0 {
					t.Fatal("not answered")
				}
				m.sess.Poll(&m.env)
				m.env.Out.Segments = m.env.Out.Segments[:0]
			})
			if n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
			m.check()
		})
	}
}

// TestIdleSessionIsSmall checks what an open session costs that does nothing.
func TestIdleSessionIsSmall(t *testing.T) {
	c := simulation.NewClient().Login().Queries(3)
	m := ready(t, c)
	if n := m.env.Pool.InUse(); n != 0 {
		t.Errorf("%d octets of the pool are in use, want 0", n)
	}
	if n := int(unsafe.Sizeof(m.sess)) + m.sess.Storage(); n > 640 {
		t.Errorf("an idle session takes %d octets, want at most 640: with the shard's share, less than 1 KiB", n)
	}
}

func TestStorage(t *testing.T) {
	m := newSim(t)
	m.up = false
	c := simulation.NewClient().Login().Query(string(make([]byte, 10000)))
	m.play(c, atOnce)
	if n := m.sess.Storage(); n < 10000 || n > 40000 {
		t.Errorf("a session that keeps a command of 10,000 octets says that it holds %d", n)
	}
}

var sink seq.Num

func BenchmarkCommand(b *testing.B) {
	c := simulation.NewClient().Login()
	m := ready(b, c)
	payload := "\x03select c from sbtest1 where id=4711"
	p := append(mysql.AppendHeader(nil, len(payload), 0), payload...)
	end := c.Nxt
	b.ReportAllocs()
	for b.Loop() {
		m.env.Now += time.Millisecond
		end = end.Add(len(p))
		m.sess.Data(&m.env, p, c.Read, end)
		m.sess.Poll(&m.env)
		m.env.Out.Segments, m.env.Out.Kinds = m.env.Out.Segments[:0], m.env.Out.Kinds[:0]
		m.answer(1)
	}
	sink = end
}
