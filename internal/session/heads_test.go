package session

import (
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
	"mrtecopy/internal/wire"
)

// The intercept returns more than 65,535 packets before it reports: an answer to a
// PREPARE behind these is not taken for a repeated one.
func TestManyHeadsWithoutAReport(t *testing.T) {
	c := simulation.NewClient().Login()
	m := ready(t, c)
	r := wire.Report{Flags: wire.ACK, Ack: m.sess.Conn.Written(), Window: 8192, RcvNxt: m.sess.Conn.RcvNxt()}
	m.sess.Report(&m.env, &r, 0, 0, [16]byte{})
	// What the client says: errors, then one PREPARE.
	bad := append(mysql.AppendHeader(nil, 2, 0), "\x03x"...)
	const n = 1<<16 - 1
	end := c.Nxt
	say := func(b []byte) {
		end = end.Add(len(b))
		m.sess.Data(&m.env, b, c.Read, end)
		m.sess.Poll(&m.env)
		m.env.Out.Segments, m.env.Out.Kinds = m.env.Out.Segments[:0], m.env.Out.Kinds[:0]
	}
	for range n {
		say(bad)
	}
	p := "\x16select ?"
	say(append(mysql.AppendHeader(nil, len(p), 0), p...))
	if m.sess.Pending() != n+1 || len(m.sess.statements.all) != 1 {
		t.Fatalf("%d pending", m.sess.Pending())
	}
	// What the target answers, as the intercept passes it on.
	e := []byte("\xff\x28\x04#42000You have an error")
	for range n {
		m.sess.Head(&m.env, mysql.Kind(mysql.ComQuery), 1, e)
	}
	ok := simulation.PrepareOK(7, 1, 1)
	m.sess.Head(&m.env, mysql.Kind(mysql.ComStmtPrepare), 1, ok[mysql.HeaderSize:])
	for left := n + 1; left > 0; {
		k := min(left, 0xffff)
		m.answer(k)
		left -= k
	}
	if s := &m.sess.statements.all[0]; s.flags&answered == 0 {
		t.Errorf("the target's answer to the PREPARE was thrown away: %d commands pending, flags %b", m.sess.Pending(), s.flags)
	}
}
