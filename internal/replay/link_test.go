package replay

import (
	"encoding/binary"
	"testing"
	"time"

	"mrtecopy/internal/control"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// An intercept that goes away after long is dialed at once; one that ends each
// connection at its beginning, as seldom as one that does not answer.
func TestRedial(t *testing.T) {
	var r redial
	for i, tt := range []struct{ lived, want time.Duration }{
		{steady, 0}, {time.Hour, 0},
		{0, redialMin}, {0, 2 * redialMin}, {0, 4 * redialMin}, {time.Second, 8 * redialMin}, {steady - 1, redialMax}, {time.Millisecond, redialMax},
		{steady, 0}, {0, redialMin},
	} {
		if got := r.after(tt.lived); got != tt.want {
			t.Errorf("attempt %d: %v, want %v", i+1, got, tt.want)
		}
	}
}

// What FuzzHostileIntercept's input is made of: an octet that says what happens,
// and with opFrame int<2> size | type and body of a message.
const (
	opClient = iota // a client does something
	opFrame         // the intercept says something
	opTime          // time passes: int<1> tenths of a second
	opLink          // the connection to the intercept ends, or begins
	numOps
)

// frameOp appends a message, of which the length field is left out.
func frameOp(b, message []byte) []byte {
	m := message[4:]
	b = binary.BigEndian.AppendUint16(append(b, opFrame), uint16(len(m)))
	return append(b, m...)
}

// repeat appends n times the same.
func repeat(b []byte, n int, op ...byte) []byte {
	for range n {
		b = append(b, op...)
	}
	return b
}

// FuzzHostileIntercept has an intercept that has the key say what it likes.
// Whatever that is, the shard's tables fit, the ledger balances, memory stays
// within its limit, and no packet is made for anybody but the target.
func FuzzHostileIntercept(f *testing.F) {
	begin := append(repeat(nil, 30, opClient), opLink, opTime, 1)
	f.Add(begin, uint64(1))
	session := func(b []byte, id uint32) []byte {
		b = frameOp(b, control.AppendRegistered(nil, &control.Registered{ID: id, Status: control.RegOK}))
		b = append(b, opTime, 0)
		b = frameOp(b, control.AppendReport(nil, &control.Report{ID: id, Report: wire.Report{Flags: wire.SYN | wire.ACK, Seq: 100, RcvNxt: 101, Window: 0xffff,
			Options: wire.Options{MSS: 1460, HasWScale: true, WScale: 14}}}))
		g := mysql.Greeting{Version: "8.0.1", Capabilities: ^mysql.ClientSSL & 0xffffff, Plugin: "mysql_native_password"}
		b = frameOp(b, control.AppendHead(nil, &control.Head{ID: id, Kind: uint8(mysql.KindGreeting), Payload: g.Append(nil)}))
		b = frameOp(b, control.AppendHead(nil, &control.Head{ID: id, Kind: uint8(mysql.KindLogin), Sequence: 2, Payload: []byte{0, 0, 0, 2, 0, 0, 0}}))
		return append(repeat(b, 10, opClient), opTime, 1)
	}
	whole := begin
	for id := range uint32(4) {
		whole = session(whole, 1+id)
	}
	f.Add(whole, uint64(2))
	for _, m := range [][]byte{
		control.AppendReport(nil, &control.Report{ID: 1, Ended: 0xffff, Errors: 0xffff}),
		control.AppendReport(nil, &control.Report{ID: 1, Report: wire.Report{Flags: wire.ACK, Ack: 1 << 31, RcvNxt: 1 << 31, DupAcks: 255, AckNow: true,
			NHeld: 3, Held: [3]wire.Block{{Start: 5, End: 1}, {Start: 1, End: 1 << 31}}}}),
		control.AppendReport(nil, &control.Report{ID: 1, Report: wire.Report{Flags: wire.FIN | wire.ACK}}),
		control.AppendHead(nil, &control.Head{ID: 1, Kind: uint8(mysql.ComStmtPrepare), Payload: make([]byte, 12)}),
		control.AppendHead(nil, &control.Head{ID: 1, Kind: uint8(mysql.ComQuery), Payload: []byte("\xfbfile")}),
		control.AppendHead(nil, &control.Head{ID: 1, Kind: uint8(mysql.ComChangeUser), Payload: []byte("\xfemysql_native_password\x00aaaaaaaaaaaaaaaaaaaa\x00")}),
		control.AppendLost(nil, &control.Lost{ID: 1, Reason: control.LostMemory}),
		control.AppendRegistered(nil, &control.Registered{ID: 1, Status: control.RegDuplicate}),
	} {
		f.Add(append(frameOp(frameOp(whole, m), m), opLink, opTime, 1, opLink, opTime, 100), uint64(3))
	}
	sender := rigSender(f)
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		const budget = 64 << 10
		r := newRig(t, sender, seed, budget)
		r.refuse, r.mute = 0, true
		refused := sender.Stats().Refused
		for steps := 0; len(script) > 0 && steps < 2000; steps++ {
			op := script[0] % numOps
			script = script[1:]
			switch op {
			case opClient:
				r.client()
			case opLink:
				r.link()
			case opTime:
				d := time.Duration(0)
				if len(script) > 0 {
					d, script = time.Duration(script[0])*100*time.Millisecond, script[1:]
				}
				r.turn(d)
			case opFrame:
				if len(script) < 2 {
					return
				}
				n := min(int(binary.BigEndian.Uint16(script)), len(script)-2)
				if n == 0 || !r.s.up {
					script = script[2+n:]
					continue
				}
				frame := append(binary.BigEndian.AppendUint32(nil, uint32(n)), script[2:2+n]...)
				script = script[2+n:]
				r.aim(frame)
				if r.s.messages(frame) != nil {
					r.s.linkDown() // as the end of the connection does
				}
			}
			if m := r.s.memory(); m > budget+32<<10 {
				t.Fatalf("%d octets are held", m)
			}
		}
		r.turn(time.Millisecond)
		r.check()
		if n := sender.Stats().Refused - refused; n != 0 {
			t.Errorf("%d packets were not for the target", n)
		}
	})
}

// aim makes a message fit its session half of the time: one with numbers that TCP
// does not take ends there.
func (r *rig) aim(frame []byte) {
	t, body, _ := control.Next(frame)
	m, ok := control.ParseReport(body)
	if t != control.TypeReport || !ok || r.s.ids[m.ID] == nil || m.Flags&wire.RST != 0 || r.rng.IntN(2) == 0 {
		return
	}
	e := r.s.ids[m.ID]
	at := seq.Num(0)
	switch {
	case m.Flags.Has(wire.SYN):
		at = e.iss.Add(1)
	case e.sess.Conn.Synchronized():
		at = e.sess.Conn.Written()
	}
	m.Ack = at
	copy(frame, control.AppendReport(nil, &m))
}
