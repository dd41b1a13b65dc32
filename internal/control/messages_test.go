package control

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// A codec is a message's two functions, its type hidden.
type codec struct {
	parse  func(body []byte) (any, bool)
	append func(b []byte, m any) []byte
}

func codecOf[M any](parse func([]byte) (M, bool), appendTo func([]byte, *M) []byte) codec {
	return codec{
		func(body []byte) (any, bool) { return parse(body) },
		func(b []byte, m any) []byte { v := m.(M); return appendTo(b, &v) },
	}
}

var codecs = map[Type]codec{
	typeHello:      codecOf(parseHello, appendHello),
	typeWelcome:    codecOf(parseWelcome, appendWelcome),
	typeRefusal:    codecOf(parseRefusal, appendRefusal),
	TypeRegister:   codecOf(ParseRegister, AppendRegister),
	TypeLogin:      codecOf(ParseLogin, AppendLogin),
	TypeKinds:      codecOf(ParseKinds, AppendKinds),
	TypeUnregister: codecOf(ParseUnregister, AppendUnregister),
	TypeRegistered: codecOf(ParseRegistered, AppendRegistered),
	TypeReport:     codecOf(ParseReport, AppendReport),
	TypeHead:       codecOf(ParseHead, AppendHead),
	TypeLost:       codecOf(ParseLost, AppendLost),
}

var (
	client = wire.EndpointFrom(netip.MustParseAddrPort("192.0.2.7:50123"))
	target = wire.EndpointFrom(netip.MustParseAddrPort("[2001:db8::6]:3306"))
	frame  = [16]byte{1, 2, 3, 15: 16}

	register = Register{
		ID: 7, Client: client, Target: target, Resume: true, RcvNxt: 0xfffffff0, SndUna: 12,
		Caps: 0x81bea205, Extended: 0x1d, Frame: frame, Kinds: []byte{0xf0, 0xf1, 3, 0x16},
	}
	report = Report{
		ID: 9,
		Report: wire.Report{
			Flags: wire.SYN | wire.ACK, Seq: 1000, Ack: 2001, Window: 65160, RcvNxt: 1001, DupAcks: 3, AckNow: true,
			Options: wire.Options{
				MSS: 1460, WScale: 7, HasWScale: true, SACKPermitted: true,
				NSACK: 2, SACK: [3]wire.Block{{Start: 5, End: 9}, {Start: 20, End: 21}},
			},
			NHeld: 3, Held: [3]wire.Block{{Start: 1, End: 2}, {Start: 3, End: 4}, {Start: 5, End: 6}},
		},
		Ended: 300, Errors: 2, Frame: frame,
	}
)

// The sizes are those of docs/control-protocol.md, whole frames.
var messages = []struct {
	name    string
	t       Type
	message any
	size    int
}{
	{"hello", typeHello, Hello{Owner: frame, Shard: 3, Shards: 4, Target: target}, 5 + 38},
	{"welcome", typeWelcome, Welcome{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")}}, 5 + 32},
	{"welcome without addresses", typeWelcome, Welcome{}, 5},
	{"refusal", typeRefusal, refusal{refusedHello, "not here"}, 5 + 9},
	{"refusal without text", typeRefusal, refusal{code: refusedProof}, 5 + 1},
	{"register", TypeRegister, register, 5 + 73 + 4},
	{"register anew", TypeRegister, Register{ID: 1, Client: client, Target: target, Kinds: []byte{}}, 5 + 73},
	{"login", TypeLogin, Login{1, 2, 0xffffffff}, 5 + 12},
	{"kinds", TypeKinds, Kinds{0x01020304, []byte{3, 3, 0x17}}, 5 + 7},
	{"unregister", TypeUnregister, Unregister{5}, 5 + 4},
	{"registered", TypeRegistered, Registered{5, RegMismatch}, 5 + 5},
	{"report, all of it", TypeReport, report, 5 + 41 + 4 + 16 + 24},
	{"report, plain", TypeReport, Report{ID: 1, Report: wire.Report{Flags: wire.ACK, Ack: 5, RcvNxt: 6}, Ended: 1}, 5 + 41},
	{"report, window scale of 0", TypeReport, Report{Report: wire.Report{Options: wire.Options{HasWScale: true}}}, 5 + 41 + 4},
	{"head", TypeHead, Head{6, 0x16, 1, []byte("\x00\x01\x00\x00\x00")}, 5 + 6 + 5},
	{"head of an empty packet", TypeHead, Head{6, 3, 1, []byte{}}, 5 + 6},
	{"lost", TypeLost, Lost{5, LostMemory}, 5 + 5},
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			prefix := []byte("before")
			b := codecs[tt.t].append(prefix, tt.message)
			if !bytes.HasPrefix(b, prefix) {
				t.Fatalf("appending changed what was there: %q", b)
			}
			b = b[len(prefix):]
			if len(b) != tt.size {
				t.Errorf("%d octets, want %d", len(b), tt.size)
			}
			typ, body, rest := Next(append(b, "rest"...))
			if typ != tt.t || string(rest) != "rest" {
				t.Fatalf("Next returned %v and %q", typ, rest)
			}
			got, ok := codecs[tt.t].parse(body)
			if !ok || !reflect.DeepEqual(got, tt.message) {
				t.Errorf("got %+v, %v\nwant %+v", got, ok, tt.message)
			}
			for n := range body {
				if m, ok := codecs[tt.t].parse(body[:n]); ok && reflect.DeepEqual(m, tt.message) {
					t.Errorf("the first %d of %d octets are the same message", n, len(body))
				}
			}
		})
	}
}

// The document's example, octet for octet.
func TestLayout(t *testing.T) {
	b := AppendKinds(nil, &Kinds{0x01020304, []byte{0x03, 0x16}})
	b = AppendLost(b, &Lost{0x0a0b0c0d, LostFraming})
	if got, want := fmt.Sprintf("% x", b), "00 00 00 07 12 01 02 03 04 03 16 00 00 00 06 23 0a 0b 0c 0d 01"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParsersRefuse(t *testing.T) {
	change := func(m any, typ Type, at int, to byte) []byte {
		b := codecs[typ].append(nil, m)[headerSize:]
		b[at] = to
		return b
	}
	plain := Report{ID: 1}
	tests := []struct {
		name string
		t    Type
		body []byte
	}{
		{"a hello of a shard that is not", typeHello, change(Hello{Shards: 1}, typeHello, 17, 1)},
		{"a hello without shards", typeHello, change(Hello{Shards: 1}, typeHello, 19, 0)},
		{"half an address", typeWelcome, make([]byte, 24)},
		{"too many addresses", typeWelcome, make([]byte, 16*(maxAddrs+1))},
		{"an unknown refusal", typeRefusal, []byte{3}},
		{"a long refusal", typeRefusal, append([]byte{1}, make([]byte, maxRefusalText+1)...)},
		{"unknown flags of a register", TypeRegister, change(register, TypeRegister, 4, 2)},
		{"too many kinds in a register", TypeRegister, make([]byte, 73+maxKinds+1)},
		{"a login with a tail", TypeLogin, make([]byte, 13)},
		{"no kinds", TypeKinds, make([]byte, 4)},
		{"too many kinds", TypeKinds, make([]byte, 4+maxKinds+1)},
		{"an unregister with a tail", TypeUnregister, make([]byte, 5)},
		{"status 0", TypeRegistered, make([]byte, 5)},
		{"status 5", TypeRegistered, []byte{0, 0, 0, 0, 5}},
		{"unknown contents of a report", TypeReport, change(plain, TypeReport, 5, 0x40)},
		{"a report with more errors than ends", TypeReport, change(plain, TypeReport, 24, 1)},
		{"a shift count TCP forbids", TypeReport, change(report, TypeReport, 43, wire.MaxWScale+1)},
		{"a report with options that are none", TypeReport, append(change(plain, TypeReport, 5, reportOptions), 0, 0, 0, 0)},
		{"a report with unknown options", TypeReport, append(change(plain, TypeReport, 5, reportOptions), 1, 1, 0, 4)},
		{"a shift count without its bit", TypeReport, append(change(plain, TypeReport, 5, reportOptions), 1, 1, 3, 0)},
		{"a report that lacks a block", TypeReport, append(change(plain, TypeReport, 5, 2<<reportHeldShift), make([]byte, 8)...)},
		{"a long head", TypeHead, make([]byte, 6+MaxHead+1)},
		{"reason 0", TypeLost, make([]byte, 5)},
		{"reason 3", TypeLost, []byte{0, 0, 0, 0, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if m, ok := codecs[tt.t].parse(tt.body); ok {
				t.Errorf("% x is %+v", tt.body, m)
			}
		})
	}
}

// What exceeds a message's bound is split where that is possible, else cut, so
// that the other side never has to refuse what this one wrote.
func TestLargeMessages(t *testing.T) {
	kinds := make([]byte, 2*maxKinds+5)
	for i := range kinds {
		kinds[i] = byte(i)
	}
	var got []byte
	count := 0
	b := AppendRegister(nil, &Register{ID: 8, Kinds: kinds})
	for typ, body, rest := Next(b); typ != 0; typ, body, rest = Next(rest) {
		var part []byte
		if typ == TypeRegister {
			m, ok := ParseRegister(body)
			if !ok || m.ID != 8 || count != 0 {
				t.Fatalf("message %d: %v", count, ok)
			}
			part = m.Kinds
		} else {
			m, ok := ParseKinds(body)
			if !ok || m.ID != 8 || count == 0 {
				t.Fatalf("message %d: %v", count, ok)
			}
			part = m.Kinds
		}
		got = append(got, part...)
		count++
	}
	if count != 3 || !bytes.Equal(got, kinds) {
		t.Errorf("%d messages, kinds equal: %v", count, bytes.Equal(got, kinds))
	}

	b = AppendHead(nil, &Head{Payload: make([]byte, MaxFrame)})
	_, body, _ := Next(b)
	if m, ok := ParseHead(body); !ok || len(m.Payload) != MaxHead {
		t.Errorf("a long head came back with %d octets, %v", len(m.Payload), ok)
	}
	b = appendWelcome(nil, &Welcome{Addrs: make([]netip.Addr, maxAddrs+1)})
	if len(b) > lengthSize+maxHandshakeFrame {
		t.Errorf("a long welcome has %d octets", len(b))
	}
	b = appendRefusal(nil, &refusal{refusedHello, string(make([]byte, 2*maxRefusalText))})
	if _, ok := parseRefusal(b[headerSize:]); !ok {
		t.Error("a long refusal was written and is not understood")
	}
	out := Report{Report: wire.Report{NHeld: 200, Options: wire.Options{NSACK: 200, HasWScale: true, WScale: 99}}}
	b = AppendReport(nil, &out)
	if _, ok := ParseReport(b[headerSize:]); !ok {
		t.Error("a report with impossible counts was written and is not understood")
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	b := make([]byte, 0, 4096)
	var sum seq.Num // so that nothing is optimized away
	n := testing.AllocsPerRun(1000, func() {
		b = b[:0]
		b = AppendRegister(b, &register)
		b = AppendLogin(b, &Login{ID: 1})
		b = AppendKinds(b, &Kinds{1, register.Kinds})
		b = AppendUnregister(b, &Unregister{1})
		b = AppendRegistered(b, &Registered{1, RegOK})
		b = AppendReport(b, &report)
		b = AppendHead(b, &Head{Payload: frame[:]})
		b = AppendLost(b, &Lost{1, LostFraming})
		count := 0
		for typ, body, rest := Next(b); typ != 0; typ, body, rest = Next(rest) {
			var ok bool
			switch typ {
			case TypeRegister:
				var m Register
				m, ok = ParseRegister(body)
				sum += m.RcvNxt
			case TypeLogin:
				_, ok = ParseLogin(body)
			case TypeKinds:
				_, ok = ParseKinds(body)
			case TypeUnregister:
				_, ok = ParseUnregister(body)
			case TypeRegistered:
				_, ok = ParseRegistered(body)
			case TypeReport:
				var m Report
				m, ok = ParseReport(body)
				sum += m.RcvNxt
			case TypeHead:
				_, ok = ParseHead(body)
			case TypeLost:
				_, ok = ParseLost(body)
			}
			if !ok {
				t.Fatalf("%v is not understood", typ)
			}
			count++
		}
		if count != 8 {
			t.Fatalf("%d messages", count)
		}
	})
	if n != 0 {
		t.Errorf("writing and reading eight messages allocates %v times, want 0 (%v)", n, sum)
	}
}

func BenchmarkReport(b *testing.B) {
	m := report
	m.Options, m.NHeld = wire.Options{}, 0
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		buf = AppendReport(buf[:0], &m)
		_, body, _ := Next(buf)
		if _, ok := ParseReport(body); !ok {
			b.Fatal("not understood")
		}
	}
}

func TestNamesForPeople(t *testing.T) {
	for typ := range codecs {
		if s := typ.String(); strings.Contains(s, "type") {
			t.Errorf("type %d has no name", uint8(typ))
		}
	}
	for _, tt := range []struct {
		v    fmt.Stringer
		want string
	}{
		{typeProof, "Proof"}, {typePing, "Ping"}, {Type(99), "type 99"},
		{RegOK, "registered"}, {RegDuplicate, "already"}, {RegLimit, "as many"}, {RegMismatch, "watch"}, {RegStatus(9), "status 9"},
		{LostFraming, "told apart"}, {LostMemory, "held"}, {LostReason(9), "reason 9"},
		{modeTLS, "--key-file"}, {modePlain, "--insecure"}, {mode(7), "mode 7"},
	} {
		if !strings.Contains(tt.v.String(), tt.want) {
			t.Errorf("%q, want %q in it", tt.v, tt.want)
		}
	}
}
