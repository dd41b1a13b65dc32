package session

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
	"mrtecopy/internal/wire"
)

// fuzzPassword is in nothing that a plugin sends, but mysql_clear_password.
const fuzzPassword = "in no packet of ours"

// A scriptedHead is what a hostile target's packet is made of in FuzzTargetLogin's
// input, and what the intercept says of it:
//
//	int<1> kind, and what is acknowledged | int<1> sequence id | int<2> size | payload
const scriptedHead = 4

// scriptedKinds are the kinds of response that a packet may be reported as.
var scriptedKinds = [8]mysql.Kind{mysql.KindGreeting, mysql.KindLogin, mysql.Kind(mysql.ComChangeUser), mysql.KindLogin,
	mysql.Kind(mysql.ComStmtPrepare), mysql.Kind(mysql.ComQuery), mysql.Kind(mysql.ComInitDB), 0xfe}

func appendScripted(b []byte, op, sequence uint8, payload []byte) []byte {
	b = append(b, op, sequence)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

// goldenTurns returns the packets of every capture.
func goldenTurns(tb testing.TB) (all [][]turn) {
	tb.Helper()
	for _, g := range append(goldenLogins, goldenRefusals...) {
		all = append(all, turns(tb, readGolden(tb, g.name)))
	}
	return all
}

// FuzzTargetLogin logs in to a target that says what it likes: any greeting, any
// packets in an authentication, in any order. The ledger balances after each,
// nothing is said before a greeting, there is an end to what we say, and the
// password is not in it unless that was allowed.
func FuzzTargetLogin(f *testing.F) {
	for _, ts := range goldenTurns(f) {
		var script []byte
		for i, t := range ts {
			if t.server {
				script = appendScripted(script, uint8(min(i, 1)), t.Sequence, t.payload)
			}
		}
		f.Add(script, false)
		// The same again, as the answer to a COM_CHANGE_USER.
		for _, t := range ts {
			if t.server {
				script = appendScripted(script, 2, t.Sequence, t.payload)
			}
		}
		f.Add(script, true)
	}
	clear := []byte("\xfe" + mysql.PluginClearPassword + "\x00")
	greeting := mysql.Greeting{Version: "9.7.4", Capabilities: simulation.ModelCaps, Plugin: mysql.PluginSHA256Password}
	for _, cleartext := range []bool{true, false} {
		f.Add(appendScripted(appendScripted(nil, 0, 0, greeting.Append(nil)), 1, 2, clear), cleartext)
	}
	// A target that asks again and again, at the login and later.
	endless := appendScripted(nil, 0, 0, greeting.Append(nil))
	for _, op := range []uint8{1, 2} {
		for i := range 5 * maxRounds {
			again := []byte("\xfe" + mysql.PluginNativePassword + "\x00twenty octets, truly\x00")
			endless = appendScripted(endless, op, uint8(2*i+2), again)
		}
		f.Add(endless, false)
		endless = appendScripted(nil, 0, 0, greeting.Append(nil))
		endless = appendScripted(endless, 1, 2, []byte("\x00\x00\x00\x02\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, script []byte, cleartext bool) {
		m := newSim(t)
		m.env.Auth.Cleartext = cleartext
		m.env.Credentials = func(user string) (string, string, bool) { return user, fuzzPassword, true }
		c := simulation.NewClient().Login().Query("select 1").ChangeUser("other", "").Query("select 2").ChangeUser("third", "").Query("select 3")
		m.call(func(e *Env) { m.sess.Captured(e, true) })
		m.greeted(c)
		for i := range c.Items {
			m.feed(&c.Items[i])
		}
		said := m.scripted(script)
		// A login, two COM_CHANGE_USERs, three queries and a COM_INIT_DB.
		const most = 3*(1+maxRounds) + 3 + 1
		var ps []turn
		if rest := cut(said, false, &ps); len(rest) > 0 || len(ps) > most {
			t.Errorf("we say %d packets and %d octets", len(ps), len(rest))
		}
		for _, p := range ps {
			if p.Length > 2048 { // RSA's longest answer has 1024, in a login
				t.Errorf("a packet of %d octets", p.Length)
			}
		}
		if bytes.Contains(said, []byte(fuzzPassword)) && !cleartext {
			t.Error("the password goes over the wire")
		}
		m.call(m.sess.ClientClosed)
		m.call(func(e *Env) { m.sess.Lose(e, 1) })
		if n := m.env.Pool.InUse(); n != 0 {
			t.Errorf("%d octets of the pool are in use at the end", n)
		}
	})
}

// scripted plays the script as the target, and returns all that we say to it.
func (m *sim) scripted(script []byte) (said []byte) {
	m.tb.Helper()
	m.register()
	m.call(m.sess.Poll)
	m.toTarget = nil
	rcv := m.iss.Add(1)
	r := wire.Report{Flags: wire.SYN | wire.ACK, Seq: 99, Ack: rcv, Window: 65535, RcvNxt: 100}
	greeted := false
	for {
		m.call(func(e *Env) { m.sess.Report(e, &r, 0, 0, [16]byte{}) })
		m.call(m.sess.Poll)
		for _, s := range m.toTarget {
			if s.Seq == rcv {
				said = append(said, s.Payload...)
				rcv = rcv.Add(s.Len())
			}
		}
		m.toTarget = nil
		if len(said) > 0 && !greeted {
			m.tb.Fatalf("%x is said before a greeting", said)
		}
		if len(script) < scriptedHead || m.sess.Phase() == Over {
			return said
		}
		op, sequence := script[0], script[1]
		payload := script[scriptedHead:]
		payload = payload[:min(len(payload), int(binary.LittleEndian.Uint16(script[2:])))]
		script = script[scriptedHead+len(payload):]
		kind := scriptedKinds[op%8]
		greeted = greeted || kind == mysql.KindGreeting
		m.call(func(e *Env) { m.sess.Head(e, kind, sequence, payload) })
		r = wire.Report{Flags: wire.ACK, Ack: rcv, Window: 65535, RcvNxt: r.RcvNxt.Add(len(payload))}
		if op&0x20 != 0 { // what the response amounts to, the intercept says apart
			m.call(func(e *Env) { m.sess.Report(e, &r, int(op>>6), int(op>>7), [16]byte{}) })
		}
	}
}

// FuzzClientLogin gives a session the first octets of a hostile client: headers
// of a proxy, logins, compressed packets, in pieces of any size; and greetings of
// both servers. What we make of a login is one packet, well-formed, for the same
// user and schema, and with no capability that the target did not offer.
func FuzzClientLogin(f *testing.F) {
	all := goldenTurns(f)
	for i, ts := range all {
		var b []byte
		for _, t := range ts[1:] {
			if !t.server {
				b = append(append(b, mysql.AppendHeader(nil, t.Length, t.Sequence)...), t.payload...)
			}
		}
		greeting, another := ts[0].payload, all[(7*i)%len(all)][0].payload
		f.Add(b, greeting, another, uint8(200))
		f.Add(append([]byte("PROXY TCP4 192.0.2.7 192.0.2.8 40000 3306\r\n"), b...), another, greeting, uint8(9))
	}
	for _, how := range []mysql.Compression{mysql.CompressionZlib, mysql.CompressionZstd} {
		l := simulation.TestLogin
		l.Capabilities |= simulation.Announce(how)
		b := l.Append(mysql.AppendHeader(nil, len(l.Append(nil)), 1))
		b = append(b, simulation.Compressed(how, []byte("\x09\x00\x00\x00\x03select 1"), 0)...)
		for _, ts := range all {
			f.Add(b, ts[0].payload, ts[0].payload, uint8(50))
		}
	}
	f.Fuzz(func(t *testing.T, b, production, target []byte, piece uint8) {
		m := newSim(t)
		m.env.StreamAbove = 200
		m.env.Credentials = func(user string) (string, string, bool) { return user, fuzzPassword, user != "stranger" }
		m.call(func(e *Env) { m.sess.Captured(e, true) })
		if g, err := mysql.ParseGreeting(production); err == nil { // else it was missed
			d := DialectOf(&g)
			m.sess.ProductionGreeted(&d, true)
		}
		size := len(b)
		c := simulation.NewClient()
		for len(b) > 0 {
			n := min(int(piece)+1, len(b))
			c.Nxt = c.Nxt.Add(n)
			m.call(func(e *Env) { m.sess.Data(e, b[:n], c.Read, c.Nxt) })
			b = b[n:]
			// A compressed packet may hold much; it is bounded by itself.
			if most := m.env.Pool.InUse(); m.sess.packed == nil && most > 8*(size+4096) {
				t.Fatalf("%d octets are held for %d captured", most, size)
			}
		}
		if m.sess.Phase() == Queued {
			m.greetAndCheck(target)
		}
		m.call(m.sess.ClientClosed)
		m.call(func(e *Env) { m.sess.Lose(e, 1) })
		if n := m.env.Pool.InUse(); n != 0 {
			t.Errorf("%d octets of the pool are in use at the end", n)
		}
	})
}

// TestLeavesWithinCompressedPacket has a client end in the middle of a
// compressed packet, before and behind its own login at the target: what came of
// the packet is given back. FuzzClientLogin found that it was not.
func TestLeavesWithinCompressedPacket(t *testing.T) {
	for _, end := range []func(*Session, *Env){(*Session).ClientClosed, (*Session).ClientReset, (*Session).ClientGone} {
		for _, turns := range []int{0, 100} {
			m := newSim(t)
			c := simulation.NewClient().Speak(false, mysql.CompressionZlib).LoginSpeaking().Query("select 1")
			m.call(func(e *Env) { m.sess.Captured(e, true) })
			m.greeted(c)
			for i := range c.Items {
				m.feed(&c.Items[i])
			}
			half := simulation.Compressed(c.How, []byte("\x09\x00\x00\x00\x03select 2"), 0)[:9]
			m.call(func(e *Env) { m.sess.Data(e, half, c.Read, c.Nxt.Add(len(half))) })
			for range turns {
				m.turn()
			}
			m.call(func(e *Env) { end(&m.sess, e) })
			m.settle(time.Hour)
			m.over()
		}
	}
}

// greetAndCheck greets a session that waits for the target and verifies what it
// answers, up to the OK.
func (m *sim) greetAndCheck(greeting []byte) {
	m.tb.Helper()
	want := m.sess.login.captured
	greeting = greeting[:min(len(greeting), 1<<16-1)]
	said := m.scripted(appendScripted(nil, 0, 0, greeting))
	offered, err := mysql.ParseGreeting(greeting)
	if err != nil {
		if len(said) > 0 || len(greeting) > 0 && len(m.refused) != 1 {
			m.tb.Errorf("%v, and we say %x; refused: %q", err, said, m.refused)
		}
		return
	}
	var ps []turn
	if rest := cut(said, false, &ps); len(rest) > 0 || len(ps) != 1 || ps[0].Sequence != 1 {
		m.tb.Fatalf("to the greeting we say %x", said)
	}
	l, err := mysql.ParseLogin(ps[0].payload)
	switch {
	case err != nil:
		m.tb.Fatal(err)
	case l.Capabilities&^(offered.Capabilities|mysql.ClientLongPassword) != 0 || l.Extended&^offered.Extended != 0:
		m.tb.Errorf("capabilities %#x, %#x of offered %#x, %#x", l.Capabilities, l.Extended, offered.Capabilities, offered.Extended)
	case l.User != want.User:
		m.tb.Errorf("user %q, want %q", l.User, want.User)
	case l.Capabilities.Has(mysql.ClientConnectWithDB) && l.Schema != want.Schema:
		m.tb.Errorf("schema %q, want %q", l.Schema, want.Schema)
	case l.Capabilities.Has(mysql.ClientConnectAttrs) && !bytes.Equal(l.Attributes, want.Attributes):
		m.tb.Errorf("attributes %q, want %q", l.Attributes, want.Attributes)
	case l.Capabilities.Compression() != mysql.CompressionNone || l.Capabilities.Has(mysql.ClientSSL):
		m.tb.Errorf("capabilities %#x change the stream", l.Capabilities)
	case bytes.Contains(said, []byte(fuzzPassword)) && !bytes.Contains([]byte(l.User+l.Schema+string(l.Attributes)), []byte(fuzzPassword)):
		m.tb.Error("the password goes over the wire")
	}
	m.call(func(e *Env) { m.sess.Head(e, mysql.KindLogin, 2, []byte("\x00\x00\x00\x02\x00\x00\x00")) })
	r := wire.Report{Flags: wire.ACK, Ack: m.sess.Conn.Written(), Window: 65535, RcvNxt: 300}
	m.call(func(e *Env) { m.sess.Report(e, &r, 2, 0, [16]byte{}) })
}
