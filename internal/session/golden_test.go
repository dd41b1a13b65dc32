package session

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"mrtecopy/internal/flow"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/simulation"
	"mrtecopy/internal/wire"
)

// A golden is what the session must make of testdata/logins/NAME.pcap, a
// connection of a real client to a real server. The accounts and the commands
// that made them are record.sh's.
type golden struct {
	name     string
	user     string // also of the account; "": no login was captured
	password string
	schema   string
	other    string // the account of the COM_CHANGE_USER
	otherPw  string
	caps     mysql.Capabilities // in effect between client and server
	extended mysql.Extended
	skipped  ledger.Reason
	commands string
	// named is the plugin that the client's login names where ours names another:
	// the server's default one (caching_sha2_password on MySQL 9.7, otherwise
	// mysql_native_password). The recorded AuthSwitchRequest then answers ours as
	// well, which is compared from there on.
	named   string
	refused string // in the text of the target's refusal; "": it lets us in
}

// goldenLogins are the captures that hold a login in plaintext or TLS.
var goldenLogins = []golden{
	{name: "mariadb-10.11-go-native", user: "native", password: "secret", schema: "app", caps: 0x13ba28c, extended: 0x10, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-go-proxy1", user: "proxied", password: "secret", schema: "app", caps: 0x13ba28c, extended: 0x10, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-go-proxy2", user: "proxied", password: "secret", schema: "app", caps: 0x13ba28c, extended: 0x10, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-mariadb10-ed25519", user: "ed25519", password: "secret", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-mariadb10-zlib", user: "native", password: "secret", schema: "app", caps: 0xbfa2ac, extended: 0x1d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-mariadb11-nobody", user: "nobody", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-mysql-native", user: "native", password: "secret", schema: "app", caps: 0x1bfa28c, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-mysql2-changeuser", user: "native", password: "secret", schema: "app", other: "other", otherPw: "secret", caps: 0xbaf3ce, extended: 0x8, commands: "COM_QUERY COM_CHANGE_USER COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-nodemariadb-changeuser", user: "native", password: "secret", schema: "app", other: "ed25519", otherPw: "secret", caps: 0x1bea30a, extended: 0x1c, commands: "COM_QUERY COM_QUERY COM_CHANGE_USER COM_QUERY COM_QUIT"},
	{name: "mariadb-10.11-sysbench-ed25519", user: "ed25519", password: "secret", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-go-sha2", user: "sha2", password: "secret", schema: "app", caps: 0x13ba28c, extended: 0x10, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-mariadb10-ed25519", user: "ed25519", password: "secret", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-mariadb11-native", user: "native", password: "secret", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-mariadb11-parsec", user: "parsec", password: "secret", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-mariadb11-sha2", user: "sha2", password: "secret", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-mariadb11-tls", password: "secret", skipped: ledger.TLS},
	{name: "mariadb-11.8-mariadb11-wrong", user: "parsec", password: "wrong", schema: "app", caps: 0xbfa28c, extended: 0x1d, skipped: ledger.ProductionRefused},
	{name: "mariadb-11.8-mysql-native", user: "native", password: "secret", schema: "app", caps: 0x1bfa28c, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-mysql-sha2", user: "sha2", password: "secret", schema: "app", caps: 0x1bfa28c, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-mysql2-native", user: "native", password: "secret", schema: "app", caps: 0xbaf3ce, extended: 0x8, commands: "COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-nodemariadb-changeuser", user: "native", password: "secret", schema: "app", other: "ed25519", otherPw: "secret", caps: 0x1bea30a, extended: 0x3c, commands: "COM_QUERY COM_CHANGE_USER COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-nodemariadb-ed25519", user: "ed25519", password: "secret", schema: "app", caps: 0x1bea30a, extended: 0x3c, commands: "COM_QUERY COM_QUIT"},
	{name: "mariadb-11.8-sysbench-native", user: "native", password: "secret", schema: "app", caps: 0xbfa28c, extended: 0x1d, commands: "COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-go-native", user: "native", password: "secret", schema: "app", caps: 0x3ba28d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-mariadb10-native", user: "native", password: "secret", schema: "app", caps: 0x3fa28d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-mariadb11-native", user: "native", password: "secret", schema: "app", caps: 0x3fa28d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-mysql-native", user: "native", password: "secret", schema: "app", caps: 0x3fa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-mysql-nobody", user: "nobody", schema: "app", caps: 0x3fa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-mysql-wrong", user: "native", password: "wrong", schema: "app", caps: 0x3fa28d, skipped: ledger.ProductionRefused},
	{name: "mysql-5.6-mysql-zlib", user: "native", password: "secret", schema: "app", caps: 0x3fa2ad, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-mysql2-native", user: "native", password: "secret", schema: "app", caps: 0x3af3cf, commands: "COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-nodemariadb-native", user: "native", password: "secret", schema: "app", caps: 0x3ea30a, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-5.6-sysbench-native", user: "native", password: "secret", schema: "app", caps: 0x3fa28d, commands: "COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-go-cold", user: "sha2", password: "secret", schema: "app", caps: 0x13ba28d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-go-zlib", user: "sha2", password: "secret", schema: "app", caps: 0x13ba2ad, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mariadb10-cold", user: "sha2", password: "secret", schema: "app", caps: 0xbfa28d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mariadb11-warm", user: "sha2", password: "secret", schema: "app", caps: 0xbfa28d, commands: "COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql-attributes", user: "sha2", password: "secret", schema: "app", caps: 0x19bfa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql-cold", user: "sha2", password: "secret", schema: "app", caps: 0x19bfa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql-nobody", user: "nobody", schema: "app", caps: 0x19bfa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql-sha256", user: "sha256", password: "secret", schema: "app", caps: 0x19bfa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql-tls", password: "secret", skipped: ledger.TLS},
	{name: "mysql-9.7-mysql-warm", user: "sha2", password: "secret", schema: "app", caps: 0x19bfa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql-wrong", user: "sha2", password: "wrong", schema: "app", caps: 0x19bfa28d, skipped: ledger.ProductionRefused},
	{name: "mysql-9.7-mysql-zlib", user: "sha2", password: "secret", schema: "app", caps: 0x19bfa2ad, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql-zstd", user: "sha2", password: "secret", schema: "app", caps: 0x1dbfa28d, commands: "COM_QUERY COM_QUERY COM_QUERY COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql2-changeuser", user: "sha2", password: "secret", schema: "app", other: "sha256", otherPw: "secret", caps: 0x18baf3cf, commands: "COM_QUERY COM_CHANGE_USER COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-mysql2-warm", user: "sha2", password: "secret", schema: "app", caps: 0x18baf3cf, commands: "COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-nodemariadb-cold", user: "sha2", password: "secret", schema: "app", caps: 0x1bea30a, commands: "COM_QUERY COM_QUIT", named: mysql.PluginNativePassword},
	{name: "mysql-9.7-nodemariadb-warm", user: "sha2", password: "secret", schema: "app", caps: 0x1bea30a, commands: "COM_QUERY COM_QUIT", named: mysql.PluginNativePassword},
	{name: "mysql-9.7-sysbench-sha256", user: "sha256", password: "secret", schema: "app", caps: 0xbfa28d, commands: "COM_QUERY COM_QUIT"},
	{name: "mysql-9.7-sysbench-warm", user: "sha2", password: "secret", schema: "app", caps: 0xbfa28d, commands: "COM_QUERY COM_QUIT"},
}

// goldenRefusals are the captures in which the server's ERR comes in the
// greeting's place, and what is said of it if a target does so.
var goldenRefusals = []golden{
	{name: "mariadb-10.11-mysql-stranger", refused: "ERROR 1130"},
	{name: "mysql-5.6-mysql-stranger", refused: "ERROR 1130"},
	{name: "mysql-9.7-mysql-stranger", refused: "ERROR 1130"},
}

// TestGoldenTable has a line in the table for every capture, a capture for every
// line, and for each the command that made it.
func TestGoldenTable(t *testing.T) {
	files, err := filepath.Glob(goldenFile("*"))
	if err != nil {
		t.Fatal(err)
	}
	commands, err := os.ReadFile("testdata/logins/commands")
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, f := range files {
		count[f] |= 1
	}
	for _, g := range append(goldenLogins, goldenRefusals...) {
		count[goldenFile(g.name)] |= 2
	}
	for line := range strings.Lines(string(commands)) {
		name, _, _ := strings.Cut(line, ".pcap\t")
		count[goldenFile(name)] |= 4
	}
	for f, n := range count {
		if n != 7 {
			t.Errorf("%s: is a capture: %v, stands in the table: %v, has its command: %v", f, n&1 > 0, n&2 > 0, n&4 > 0)
		}
	}
}

// TestGoldenLogins reads the captures as a shard does, and then plays the
// recorded server as the target: our login must be one that it would have let
// in like the client's.
func TestGoldenLogins(t *testing.T) {
	for _, g := range goldenLogins {
		t.Run(g.name, func(t *testing.T) {
			segs := readGolden(t, g.name)
			m := newSim(t)
			m.env.Credentials = g.credentials
			capture(m, segs)
			g.checkCaptured(m)
			if g.skipped != ledger.None {
				if got, want := m.account(), "session skipped "+g.skipped.String(); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				m.over()
				return
			}
			g.play(m, turns(t, segs))
		})
	}
}

// TestGoldenRefusals has servers refuse a client's host in the greeting's place:
// a client that leaves then is one that never logged in, and a target that does
// so refuses the login.
func TestGoldenRefusals(t *testing.T) {
	for _, g := range goldenRefusals {
		t.Run(g.name, func(t *testing.T) {
			segs := readGolden(t, g.name)
			m := newSim(t)
			capture(m, segs)
			if got, want := m.account(), "session skipped no_login"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			m.over()

			m = newSim(t)
			m.call(func(e *Env) { m.sess.Captured(e, true) })
			c := simulation.NewClient().Login()
			m.feed(&c.Items[0])
			r := listen(m)
			r.say(turns(t, segs)[0])
			if got := r.heard(); len(got) > 0 {
				t.Errorf("%d packets go to a target that refused", len(got))
			}
			if got, want := m.account(), "session lost login_refused"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			g.checkRefused(m)
		})
	}
}

func (g *golden) credentials(user string) (target, password string, ok bool) {
	switch user {
	case g.user:
		return user, g.password, true
	case g.other:
		return user, g.otherPw, true
	}
	return "", "", false
}

// checkCaptured verifies what was captured, before anything is replayed.
func (g *golden) checkCaptured(m *sim) {
	m.tb.Helper()
	s := &m.sess
	got := golden{name: g.name, password: g.password, other: g.other, otherPw: g.otherPw, named: g.named, refused: g.refused, skipped: s.reason}
	if g.skipped == ledger.ProductionRefused { // the login is not kept
		got.user, got.schema = g.user, g.schema
	}
	if s.login != nil {
		got.user, got.schema = s.login.captured.User, s.login.captured.Schema
	}
	got.caps, got.extended = s.spoken()
	var commands []string
	for i := range s.queue.all {
		if r := &s.queue.all[i]; r.has(counts) { // else it is an authentication's
			commands = append(commands, r.cmd.String())
		}
	}
	got.commands = strings.Join(commands, " ")
	if got != *g {
		m.tb.Errorf("\n got %+v\nwant %+v", got, *g)
	}
	if !s.heard && g.skipped == ledger.None {
		m.tb.Error("production's greeting was not seen")
	}
}

func (g *golden) checkRefused(m *sim) {
	m.tb.Helper()
	if got := strings.Join(m.refused, ", "); g.refused == "" && got != "" || !strings.Contains(got, g.refused) {
		m.tb.Errorf("refused: %q, want %q", got, g.refused)
	}
}

// play plays the recorded server as the target of what was captured.
func (g *golden) play(m *sim, ts []turn) {
	t := m.tb
	r := listen(m)
	if got := r.heard(); len(got) > 0 {
		t.Fatal("the client speaks before the greeting")
	}
	r.say(ts[0])
	g.checkLogin(m, ts[0], ts[1], r.one())
	ts = r.authenticate(ts[2:])
	if g.refused != "" {
		g.checkRefused(m)
		if got, want := m.account(), "session lost login_refused"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		return
	}
	// The rest of the capture has another dialect than the connection to the
	// target; of a model's answers there is but one, OK.
	var commands []string
	for packets := r.heard(); len(packets) > 0; packets = r.heard() {
		for _, p := range packets {
			cmd := mysql.Command(p.payload[0])
			commands = append(commands, cmd.String())
			switch {
			case p.Sequence != 0:
				t.Fatalf("a command has the sequence id %d", p.Sequence)
			case cmd == mysql.ComChangeUser:
				for ts[0].server || ts[0].Sequence != 0 || ts[0].payload[0] != byte(mysql.ComChangeUser) {
					ts = ts[1:]
				}
				g.checkChangeUser(m, p)
				ts = r.authenticate(ts[1:])
			case cmd.HasResponse():
				r.say(turn{server: true, Header: mysql.Header{Sequence: 1}, payload: []byte("\x00\x00\x00\x02\x00\x00\x00")})
			}
		}
	}
	if got := strings.Join(commands, " "); got != g.commands {
		t.Errorf("the target takes %q, want %q", got, g.commands)
	}
	r.hangUp()
	if got, want := m.account(), fmt.Sprintf("answered=%d session replayed", len(commands)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	g.checkRefused(m)
	m.over()
	for _, password := range []string{g.password, g.otherPw} {
		if password != "" && bytes.Contains(r.all, []byte(password)) {
			t.Error("the password goes over the wire")
		}
	}
}

// checkLogin compares our login with the client's.
func (g *golden) checkLogin(m *sim, greeting, client, ours turn) {
	t := m.tb
	t.Helper()
	offered, err := mysql.ParseGreeting(greeting.payload)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := mysql.ParseLogin(client.payload)
	if err != nil {
		t.Fatal(err)
	}
	l, err := mysql.ParseLogin(ours.payload)
	if err != nil {
		t.Fatal(err)
	}
	if ours.Sequence != 1 {
		t.Errorf("our login has the sequence id %d", ours.Sequence)
	}
	// The lowest bit says here that the client is not MariaDB's.
	may := offered.Capabilities | mysql.ClientLongPassword
	if more := l.Capabilities &^ may; more != 0 || l.Extended&^offered.Extended != 0 {
		t.Errorf("capabilities %#x, %#x were not offered", more, l.Extended)
	}
	if want := g.caps &^ cannotReplay &^ mysql.ClientLongPassword; l.Capabilities&want != want {
		t.Errorf("capabilities %#x of the client's are missing", want&^l.Capabilities)
	}
	if l.Extended != g.extended&^mysql.MariaDBProgress {
		t.Errorf("extended capabilities %#x, want %#x", l.Extended, g.extended)
	}
	if l.User != g.user || l.Schema != g.schema || !bytes.Equal(l.Attributes, theirs.Attributes) && l.Capabilities.Has(mysql.ClientConnectAttrs) {
		t.Errorf("login %q, %q, %q", l.User, l.Schema, l.Attributes)
	}
	charset := theirs.Charset
	if !mysql.ParseVersion(offered.Version).KnowsCollation(uint16(charset)) {
		charset = offered.Charset // as that server took it
	}
	if l.Charset != charset {
		t.Errorf("collation %d, want %d", l.Charset, charset)
	}
	if (l.Plugin != theirs.Plugin) != (g.named != "") || g.named != "" && theirs.Plugin != g.named {
		t.Errorf("our login names %s, the client's %s", l.Plugin, theirs.Plugin)
	}
	if l.Plugin == theirs.Plugin && proof(l.AuthResponse) != proof(theirs.AuthResponse) {
		t.Errorf("%s: we answer %x, the client %x", l.Plugin, l.AuthResponse, theirs.AuthResponse)
	}
}

// checkChangeUser verifies our COM_CHANGE_USER; the server asks for the proof
// itself.
func (g *golden) checkChangeUser(m *sim, ours turn) {
	m.tb.Helper()
	caps, _ := m.sess.InEffect()
	u, err := mysql.ParseChangeUser(ours.payload, caps)
	if err != nil || u.User != g.other || u.Schema != g.schema || len(u.AuthResponse) > 0 {
		m.tb.Errorf("COM_CHANGE_USER to %q, schema %q, with %d octets: %v", u.User, u.Schema, len(u.AuthResponse), err)
	}
}

// proof describes an answer of a plugin; two to the same nonce are described the
// same. What RSA encrypted, and parsec's answer, are random. A NUL is as good as
// no password.
func proof(b []byte) string {
	switch {
	case len(b) == 256, len(b) == 96:
		return fmt.Sprintf("%d octets", len(b))
	case len(b) == 1 && b[0] == 0:
		return ""
	}
	return fmt.Sprintf("%x", b)
}

// A turn is a packet of one side.
type turn struct {
	mysql.Header
	server  bool
	payload []byte
}

// A recordedTarget is the target's end of the connection, which says what it is
// told to.
type recordedTarget struct {
	m        *sim
	nxt, rcv seq.Num
	all, in  []byte // all that came, and what of it is not read
	fin      bool
}

// listen lets m's session connect.
func listen(m *sim) *recordedTarget {
	m.tb.Helper()
	m.register()
	m.call(m.sess.Poll)
	if len(m.toTarget) != 1 || !m.toTarget[0].Flags.Has(wire.SYN) {
		m.tb.Fatalf("%d segments, not one with SYN", len(m.toTarget))
	}
	r := &recordedTarget{m: m, nxt: 0xfffffff0, rcv: m.toTarget[0].Seq.Add(1)}
	m.toTarget = nil
	r.send(wire.SYN|wire.ACK, nil)
	return r
}

// send gives the intercept a segment.
func (r *recordedTarget) send(f wire.Flags, payload []byte) {
	r.m.tb.Helper()
	s := wire.Segment{Flow: testFlow.Reverse(), Seq: r.nxt, Ack: r.rcv, Flags: f, Window: 8192, Payload: payload}
	if f.Has(wire.SYN) {
		s.Options = wire.Options{MSS: 1460, WScale: 7, HasWScale: true}
	}
	r.nxt = r.nxt.Add(s.Len())
	r.m.back = append(r.m.back, s)
	r.m.wayBack()
	r.m.call(r.m.sess.Poll)
}

func (r *recordedTarget) say(p turn) {
	r.m.tb.Helper()
	r.send(wire.ACK, append(mysql.AppendHeader(nil, len(p.payload), p.Sequence), p.payload...))
}

// heard returns the packets that came.
func (r *recordedTarget) heard() (ps []turn) {
	r.m.tb.Helper()
	for len(r.m.toTarget) > 0 {
		segs := r.m.toTarget
		r.m.toTarget = nil
		for _, s := range segs {
			if s.Seq != r.rcv || s.Len() == 0 {
				continue
			}
			r.rcv = r.rcv.Add(s.Len())
			r.fin = r.fin || s.Flags.Has(wire.FIN)
			r.all, r.in = append(r.all, s.Payload...), append(r.in, s.Payload...)
		}
		r.send(wire.ACK, nil)
	}
	r.in = cut(r.in, false, &ps)
	return ps
}

// one returns the packet that came, and fails unless there is exactly one.
func (r *recordedTarget) one() turn {
	r.m.tb.Helper()
	ps := r.heard()
	if len(ps) != 1 {
		r.m.tb.Fatalf("we say %d packets, want 1", len(ps))
	}
	return ps[0]
}

// authenticate says the server's packets up to OK or ERR, and compares our
// answers with the client's. It returns the turns behind.
func (r *recordedTarget) authenticate(ts []turn) []turn {
	t := r.m.tb
	t.Helper()
	for i := 0; i < len(ts); i++ {
		p := ts[i]
		if !p.server {
			t.Fatalf("packet %d of the authentication is not the server's", i)
		}
		r.say(p)
		if p.payload[0] == headerOK || p.payload[0] == headerErr {
			return ts[i+1:]
		}
		if i+1 == len(ts) || ts[i+1].server {
			if got := r.heard(); len(got) > 0 {
				t.Fatalf("we answer %x to %x, the client did not", got[0].payload, p.payload)
			}
			continue
		}
		i++
		got := r.one()
		if got.Sequence != ts[i].Sequence {
			t.Errorf("our answer has the sequence id %d, the client's %d", got.Sequence, ts[i].Sequence)
		}
		if proof(got.payload) != proof(ts[i].payload) {
			t.Errorf("to %.40x we answer %x, the client %x", p.payload, got.payload, ts[i].payload)
		}
	}
	t.Fatal("the authentication has no end")
	return nil
}

// hangUp closes the target's side behind ours.
func (r *recordedTarget) hangUp() {
	r.m.tb.Helper()
	if !r.fin {
		r.m.tb.Error("the session does not end")
	}
	r.send(wire.FIN|wire.ACK, nil)
	r.m.settle(10 * time.Minute) // TIME-WAIT
}

// cut takes whole packets off the front of b.
func cut(b []byte, server bool, ps *[]turn) (rest []byte) {
	for {
		h, ok := mysql.ParseHeader(b)
		if !ok || len(b) < mysql.HeaderSize+h.Length {
			return b
		}
		*ps = append(*ps, turn{h, server, b[mysql.HeaderSize : mysql.HeaderSize+h.Length]})
		b = b[mysql.HeaderSize+h.Length:]
	}
}

func goldenFile(name string) string {
	return filepath.Join("testdata", "logins", name+".pcap")
}

// readGolden returns the segments of a capture in order.
func readGolden(tb testing.TB, name string) (segs []wire.Segment) {
	tb.Helper()
	f, err := os.Open(goldenFile(name))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	if r.LinkType() != layers.LinkTypeEthernet {
		tb.Fatalf("link type %v", r.LinkType())
	}
	for {
		frame, info, err := r.ReadPacketData()
		if err == io.EOF {
			return segs
		}
		const ethernet = 14
		var s wire.Segment
		if err != nil || !wire.Parse(frame[ethernet:], info.Length-ethernet, &s) || s.Missing > 0 {
			tb.Fatalf("frame %d is no whole segment: %v", len(segs)+1, err)
		}
		segs = append(segs, s)
	}
}

// capture gives the segments of a connection to m's session as a shard does.
func capture(m *sim, segs []wire.Segment) {
	m.tb.Helper()
	var stream flow.Stream
	client := segs[0].Flow
	m.call(func(e *Env) { m.sess.Captured(e, segs[0].Flags&(wire.SYN|wire.ACK) == wire.SYN) })
	for i := range segs {
		s := &segs[i]
		if s.Flow == client {
			for _, ev := range stream.Segment(m.env.Now, &m.env.Pool, s, nil) {
				m.call(func(e *Env) { happens(&m.sess, e, &ev) })
			}
		} else if len(s.Payload) > 0 && m.sess.AwaitsLogin() {
			if g, ok := greetingIn(s.Payload); ok {
				d := DialectOf(&g)
				m.sess.ProductionGreeted(&d, true)
			}
		} else if len(s.Payload) > 0 {
			m.call(func(e *Env) { m.sess.ProductionHead(e, s) })
		}
	}
}

// happens hands an event of the client's flow on.
func happens(s *Session, e *Env, ev *flow.Event) {
	switch ev.Type {
	case flow.Data:
		s.Data(e, ev.Payload, ev.Ack, ev.End)
	case flow.Gap:
		s.Gap(e, ev.Missing, ev.End)
	case flow.FIN:
		s.ClientClosed(e)
	case flow.RST:
		s.ClientReset(e)
	}
}

// greetingIn returns the greeting that b begins with.
func greetingIn(b []byte) (g mysql.Greeting, ok bool) {
	h, ok := mysql.ParseHeader(b)
	if !ok || h.Sequence != 0 || len(b) < mysql.HeaderSize+h.Length {
		return g, false
	}
	g, err := mysql.ParseGreeting(b[mysql.HeaderSize : mysql.HeaderSize+h.Length])
	return g, err == nil
}

// turns returns the packets of a captured connection as far as they are neither
// encrypted nor compressed.
func turns(tb testing.TB, segs []wire.Segment) (ts []turn) {
	tb.Helper()
	client := segs[0].Flow
	var way [2]struct {
		stream flow.Stream
		rest   []byte
	}
	var m sim // for its pool
	var offered mysql.Greeting
	login := false
	for i := range segs {
		s := &segs[i]
		side := 0
		if s.Flow != client {
			side = 1
		}
		w := &way[side]
		for _, ev := range w.stream.Segment(0, &m.env.Pool, s, nil) {
			if ev.Type != flow.Data {
				continue
			}
			w.rest = append(w.rest, ev.Payload...)
			if n, more := mysql.ProxyHeader(w.rest); side == 0 && !login {
				if more {
					continue
				}
				w.rest = w.rest[n:]
			}
			w.rest = cut(w.rest, side == 1, &ts)
		}
		switch {
		case len(ts) == 0:
		case !ts[len(ts)-1].server && !login:
			l, err := mysql.ParseLogin(ts[len(ts)-1].payload)
			if err != nil {
				return ts
			}
			login = true
			offered, _ = mysql.ParseGreeting(ts[0].payload)
			offered.Capabilities &= l.Capabilities
		case login && offered.Capabilities.Compression() != mysql.CompressionNone && ts[len(ts)-1].server && ts[len(ts)-1].payload[0] == headerOK:
			return ts
		}
	}
	return ts
}
