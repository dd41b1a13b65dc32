package session

import (
	"strings"
	"testing"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/simulation"
)

// adopted plays what a client says behind its login to a session that has not
// seen that, and is told st before the nth item.
func adopted(t *testing.T, c *simulation.Client, st *State, nth int) *sim {
	t.Helper()
	m := newSim(t)
	m.env.Adopt = true
	m.call(func(e *Env) { m.sess.Captured(e, false) })
	if !m.sess.AwaitsState() || m.sess.Phase() != Reading {
		t.Fatal("it does not wait to be adopted")
	}
	for i := range c.Items {
		if i == nth {
			m.call(func(e *Env) { m.sess.Adopt(e, st) })
		}
		if i > 0 { // the login
			m.feed(&c.Items[i])
		}
		m.settle(1e8)
	}
	m.settle(300e9)
	return m
}

func TestAdopt(t *testing.T) {
	const id = 41 // production's, of a statement prepared before
	prepared := []Prepared{{ID: 40}, {ID: id, Text: "select 41"}}
	client := func(f func(c *simulation.Client)) *simulation.Client {
		c := simulation.NewClient().Login()
		c.Statements[id] = "select 41"
		c.NextID = id + 1
		f(c)
		return c
	}
	queries := func(c *simulation.Client) { c.Query("select 1").Query("select 2").Quit() }
	setUp := []string{`COM_QUERY "SET @a = 1"`, `COM_STMT_PREPARE "select 41"`, `COM_QUERY "SET autocommit = 0"`}
	state := State{User: "app", Before: []string{"SET @a = 1"}, Statements: prepared, After: []string{"SET autocommit = 0"}, AllStatements: true, Quiet: true, Completeness: ledger.Partly}
	for _, tt := range []struct {
		name    string
		client  *simulation.Client
		state   State
		nth     int
		before  []string // executed in front of what the client says
		account string
	}{
		{"bare", client(queries), State{User: "app", Completeness: ledger.Bare}, 1, nil, "answered=3 session replayed"},
		{"told later", client(queries), State{User: "app", Completeness: ledger.Bare}, 3, nil, "answered=3 session replayed"},
		{"with its state", client(queries), state, 1, setUp, "answered=3 session replayed"},
		{"with its state, told later", client(queries), state, 3, setUp, "answered=3 session replayed"},
		{"a statement from before", client(func(c *simulation.Client) { c.Execute(id).Quit() }), state, 1, setUp, "answered=2 session replayed"},
		{"one of unknown text", client(func(c *simulation.Client) { c.Execute(40).Forget(1).Query("select 1").Quit() }), state, 1, setUp, "answered=2 skipped.unseen_statement=1 session replayed"},
		{"one that nothing tells", client(func(c *simulation.Client) { c.Query("select 1").Execute(id).Forget(1).Quit() }), State{User: "app", Completeness: ledger.Bare}, 1, nil, "answered=2 skipped.unseen_statement=1 session replayed"},
		{"one prepared since", client(func(c *simulation.Client) { c.Execute(c.Prepare("select 7")).Quit() }), state, 1, setUp, "answered=3 session replayed"},
		{"no account", client(func(c *simulation.Client) { queries(c); c.Expect = nil }), State{User: "stranger"}, 1, nil, "skipped.unknown_user=3 session skipped unknown_user"},
		{"encrypted", client(func(c *simulation.Client) { queries(c); c.Expect = nil }), State{User: "app", Encrypted: true}, 1, nil, "session skipped tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := adopted(t, tt.client, &tt.state, tt.nth)
			m.executed(append(tt.before, tt.client.Expect...))
			if got := m.account(); got != tt.account {
				t.Errorf("account: %s, want %s", got, tt.account)
			}
		})
	}
}

// What is not MySQL's protocol in plaintext is told from it.
func TestJoining(t *testing.T) {
	zlib := []byte{0x0d, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 3, 's', 'e', 'l', 'e', 'c', 't', ' ', '1'}
	for _, tt := range []struct {
		name   string
		b      []byte
		packed bool
		skips  ledger.Reason
	}{
		{"plain", []byte("\x09\x00\x00\x00\x03select 1"), false, ledger.None},
		{"TLS", append([]byte{0x17, 3, 3, 0, 22}, make([]byte, 22)...), false, ledger.TLS},
		{"compressed, as it is", zlib, true, ledger.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			m.env.Adopt = true
			m.call(func(e *Env) { m.sess.Captured(e, false) })
			m.call(func(e *Env) { m.sess.Data(e, tt.b, 100, 200) })
			if got := m.sess.packed != nil; got != tt.packed || m.sess.reason != tt.skips {
				t.Errorf("compressed %v, skipped for %v", got, m.sess.reason)
			}
		})
	}
}

// A quiet session is joined however its first packet is cut, compressed or not;
// Node's mysql2 sends a compressed packet's header in a segment of its own.
func TestJoiningInPieces(t *testing.T) {
	long := "\x03select '" + strings.Repeat("x", 100) + "'"
	for name, payload := range map[string]string{"COM_PING": "\x0e", "short": "\x03select 1", "long": long} {
		plain := append(mysql.AppendHeader(nil, len(payload), 0), payload...)
		for _, how := range []mysql.Compression{mysql.CompressionNone, mysql.CompressionZlib, mysql.CompressionZstd} {
			stream := plain
			if how != mysql.CompressionNone {
				stream = simulation.Compressed(how, plain, 0)
			}
			for first := range len(stream) {
				for _, then := range []int{1, 3, len(stream)} {
					m := newSim(t)
					m.env.Adopt = true
					m.call(func(e *Env) { m.sess.Captured(e, false) })
					m.call(func(e *Env) { m.sess.Adopt(e, &State{User: "app", Quiet: true, AllStatements: true}) })
					for at, size := 0, first+1; at < len(stream); at, size = at+size, then {
						size = min(size, len(stream)-at)
						piece := stream[at : at+size]
						m.call(func(e *Env) { m.sess.Data(e, piece, 100, seq.Num(1000+at+size)) })
					}
					if n := m.env.Counts.Commands.Captured; n != 1 {
						t.Fatalf("%s, %v, cut at %d and by %d: %d commands", name, how, first+1, then, n)
					}
				}
			}
		}
	}
}

// FuzzJoining throws anything at a session that was not seen from its beginning.
func FuzzJoining(f *testing.F) {
	f.Add([]byte("\x09\x00\x00\x00\x03select 1"), []byte("\x01\x00\x00\x00\x0e"), true)
	f.Add([]byte{0x17, 3, 3, 0, 22}, []byte{}, false)
	f.Add(mysql.AppendHeader(nil, 1<<20, 0), []byte("x"), true)
	f.Fuzz(func(t *testing.T, a, b []byte, quiet bool) {
		m := newSim(t)
		m.env.Adopt = true
		m.call(func(e *Env) { m.sess.Captured(e, false) })
		m.call(func(e *Env) { m.sess.Data(e, a, 100, 200) })
		m.call(func(e *Env) {
			m.sess.Adopt(e, &State{User: "app", Before: []string{"SET @a = 1"}, Statements: []Prepared{{ID: 1, Text: "select 1"}}, Quiet: quiet, AllStatements: quiet})
		})
		m.call(func(e *Env) { m.sess.Data(e, b, 150, 300) })
		m.call(m.sess.ClientClosed)
		m.settle(1e9)
	})
}
