package session

import (
	"bytes"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
	"mrtecopy/internal/wire"
)

// FuzzData gives a session arbitrary octets of a client, in arbitrary pieces
// with holes, and a target that answers what it likes. Whatever comes, the
// ledger balances after every call, and nothing is kept that was not sent.
func FuzzData(f *testing.F) {
	seed := func(c *simulation.Client, plan string) {
		var b []byte
		for _, it := range c.Items {
			b = append(b, it.B...)
		}
		f.Add(b, []byte(plan))
	}
	seed(simulation.NewClient().Login().Queries(3).Quit(), "\x40\x01\x02")
	seed(linkClient(), "\x7f")
	seed(linkClient(), "\x10\x81\x20\x05\xc3")
	seed(linkClient().ChangeUser("stranger", ""), "\x03")
	seed(simulation.NewClient().Query("no login"), "\x01")
	seed(simulation.NewClient().Login().Query("insert "+string(make([]byte, 500))), "\x33\x88")
	f.Fuzz(func(t *testing.T, b, plan []byte) {
		m := newSim(t)
		m.peer.Silent = true // the plan is the target
		m.env.StreamAbove = 100
		m.call(func(e *Env) { m.sess.Captured(e, len(plan)%7 != 6) })
		c := simulation.NewClient()
		size := len(b)
		for i := 0; len(b) > 0; i++ {
			var k byte
			if len(plan) > 0 {
				k = plan[i%len(plan)] ^ byte(i/len(plan)*29)
			}
			n := min(int(k&63)+1, len(b))
			c.Nxt = c.Nxt.Add(n)
			if k&0xc0 == 0xc0 {
				m.call(func(e *Env) { m.sess.Gap(e, n, c.Nxt) })
			} else {
				c.Read = c.Read.Add(int(k >> 6 & 1 * 11))
				m.call(func(e *Env) { m.sess.Data(e, b[:n], c.Read, c.Nxt) })
			}
			b = b[n:]
			m.answerAnyhow(k)
			if most := m.env.Pool.InUse(); most > 8*(size+4096) {
				t.Fatalf("%d octets are held for %d captured", most, size)
			}
		}
		if len(plan)%2 == 0 {
			m.call(m.sess.ClientClosed)
		} else {
			m.call(m.sess.ClientReset)
		}
		m.call(func(e *Env) { m.sess.Lose(e, 1) })
		for range 100 {
			m.env.Now += time.Minute // until the connection gives up
			m.call(m.sess.Poll)
		}
		if n := m.env.Pool.InUse(); n != 0 {
			t.Fatalf("%d octets of the pool are in use at the end", n)
		}
	})
}

// answerAnyhow makes something happen on the target's side.
func (m *sim) answerAnyhow(k byte) {
	m.env.Now += time.Duration(k) * time.Millisecond
	m.register()
	m.call(m.sess.Poll)
	m.toTarget = nil
	ack := m.sess.Conn.Written()
	if m.sess.Phase() == Opening {
		g := mysql.Greeting{Version: "8.0", Capabilities: simulation.ModelCaps}
		r := wire.Report{Flags: wire.SYN | wire.ACK, Seq: 99, Ack: m.iss.Add(1), Window: 8192, RcvNxt: 100}
		m.call(func(e *Env) { m.sess.Report(e, &r, 0, 0, [16]byte{}) })
		m.call(func(e *Env) { m.sess.Head(e, mysql.KindGreeting, 0, g.Append(nil)) })
		return
	}
	heads := []struct {
		kind    mysql.Kind
		payload string
	}{
		{mysql.KindLogin, "\x00\x00\x00\x02\x00\x00\x00"},
		{mysql.KindLogin, "\xfe" + mysql.PluginNativePassword + "\x00twenty octets, truly\x00"},
		{mysql.Kind(mysql.ComStmtPrepare), "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{mysql.Kind(mysql.ComStmtPrepare), "\xff\x28\x04#42000no"},
		{mysql.Kind(mysql.ComChangeUser), "\x00\x00\x00\x02\x00\x00\x00"},
		{mysql.Kind(mysql.ComChangeUser), "\xfe" + mysql.PluginNativePassword + "\x00"},
		{mysql.Kind(mysql.ComQuery), "\xfbfile"},
		{0xfe, "\xff\x86\x04#08S01bye"},
	}
	h := heads[k%8]
	m.call(func(e *Env) { m.sess.Head(e, h.kind, k, []byte(h.payload)) })
	if k%5 == 0 {
		seg := wire.Segment{Seq: 0, Ack: 0, Payload: simulation.PrepareOK(uint32(k%3), 0, 0)}
		m.call(func(e *Env) { m.sess.ProductionHead(e, &seg) })
	}
	r := wire.Report{Flags: wire.ACK, Ack: ack, Window: 8192, RcvNxt: m.sess.Conn.RcvNxt().Add(int(k))}
	switch k {
	case 250:
		r.Flags |= wire.FIN
	case 251:
		r.Flags |= wire.RST
		r.Seq = r.RcvNxt
	}
	m.call(func(e *Env) { m.sess.Report(e, &r, int(k%4), int(k%2), [16]byte{}) })
	if k%16 == 15 {
		m.call(m.sess.Pause)
		m.call(m.sess.Resume)
		if m.sess.Phase() == Queued {
			m.registered = false
		}
	}
}

func FuzzLoadsData(f *testing.F) {
	for _, s := range []string{"load data", "  LOAD", "/* x */ load", "/*!50000 load*/", "-- a\nload", "#\nload", "/**/load", "/*/ load */ load", "select", "/*", "--", "#", "/*M!100 load"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sql []byte) {
		if loadsData(sql) && !bytes.Contains(bytes.ToLower(sql), []byte("load")) {
			t.Errorf("%q is said to begin with LOAD", sql)
		}
	})
}

func TestLoadsData(t *testing.T) {
	tests := []struct {
		sql  string
		want bool
	}{
		{"load data local infile 'x'", true},
		{"\x00\x01LOAD DATA", true}, // query attributes: none
		{" \t\n(LoAd data", true},
		{"/* a */ /**/ load data", true},
		{"/*!40000 load data */", true},
		{"/*M!100000 load data */", true},
		{"-- x\n# y\nload data", true},
		{"/*/ load */ select", false},
		{"/* load data", false},
		{"-- load data", false},
		{"select 'load'", false},
		{"loa", false},
		{"", false},
		{"-", false},
		{"/", false},
	}
	for _, tt := range tests {
		if got := loadsData([]byte(tt.sql)); got != tt.want {
			t.Errorf("loadsData(%q) = %v, want %v", tt.sql, got, tt.want)
		}
	}
}

func FuzzProductionHead(f *testing.F) {
	f.Add([]byte("\x0c\x00\x00\x01\x00\x07\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00"))
	f.Add([]byte("\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Session
		a, ok := s.preparedID(b)
		if ok && (len(b) < 16 || b[3] != 1 || b[4] != 0 || a.id != uint32(b[5])|uint32(b[6])<<8|uint32(b[7])<<16|uint32(b[8])<<24) {
			t.Errorf("preparedID(%x) = %d", b, a.id)
		}
	})
}
