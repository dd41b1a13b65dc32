package observer

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

func TestClientOf(t *testing.T) {
	for _, tt := range []struct {
		host, want string
		ok         bool
	}{
		{"10.0.0.1:4000", "10.0.0.1:4000", true},
		{"fd00::1:4000", "[fd00::1]:4000", true},
		{"[fd00::1]:4000", "[fd00::1]:4000", true},
		{"app.example.org:4000", "[::]:4000", true},
		{"localhost", "", false},
		{"10.0.0.1:0", "", false},
		{"", "", false},
	} {
		got, ok := clientOf(tt.host)
		if ok != tt.ok || ok && got != wire.EndpointFrom(netip.MustParseAddrPort(tt.want)) {
			t.Errorf("%s: %v, %v", tt.host, got, ok)
		}
	}
}

// FuzzClientOf checks that what is read names the port it ends with.
func FuzzClientOf(f *testing.F) {
	f.Add("10.0.0.1:4000")
	f.Add("::1:1")
	f.Fuzz(func(t *testing.T, host string) {
		if e, ok := clientOf(host); ok && (e.Port == 0 || !strings.Contains(host, ":")) {
			t.Errorf("%q: %v", host, e)
		}
	})
}

func TestLiteral(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "'plain'", "zwölf": "'zwölf'", "it's": "CONVERT(X'69742773' USING utf8mb4)", `a\b`: "CONVERT(X'615C62' USING utf8mb4)", "\xff": "X'FF'", "": "''",
	} {
		if got := literal([]byte(in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]bool{"0": true, "-17": true, "1.50": true, "007": false, "-0": false, "1e5": false, "": false, ".5": false, "1.": false, "12345678901234567890": false} {
		if isNumber(in) != want {
			t.Errorf("isNumber(%q) is not %v", in, want)
		}
	}
}

// FuzzLiteral checks that no text gets out of its literal.
func FuzzLiteral(f *testing.F) {
	f.Add([]byte("a'b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := literal(b)
		if quoted, ok := strings.CutPrefix(s, "'"); ok && strings.ContainsAny(strings.TrimSuffix(quoted, "'"), "'\\") {
			t.Errorf("%q", s)
		}
	})
}

func TestState(t *testing.T) {
	all := &server{threads: true, variables: true, userVariables: true, statements: true, attributes: true, locks: true, temporary: true, transactions: true}
	c := conn{id: 7, thread: 9, user: "app", db: "shop"}
	long := []byte(strings.Repeat("x", cutText))
	d := &details{
		variables: map[string]string{"sql_mode": "ANSI", "time_zone": "SYSTEM", "autocommit": "OFF", "transaction_isolation": "READ-COMMITTED",
			"character_set_client": "latin1", "character_set_results": "", "collation_connection": "latin1_swedish_ci"},
		global:        map[string]string{"sql_mode": "", "time_zone": "SYSTEM", "autocommit": "ON", "transaction_isolation": "REPEATABLE-READ"},
		userVariables: []variable{{"a`b", []byte("1")}, {"c", nil}},
		statements:    []statement{{3, "", []byte("SELECT 3")}, {1, "", long}, {2, "s", []byte("SELECT 2")}},
	}
	st := (&Observer{server: all}).state(c, d)
	before := []string{"SET collation_connection = 'latin1_swedish_ci'", "SET SESSION sql_mode = 'ANSI'", "SET @`a``b` = 1, @`c` = NULL",
		"SET @`mrtecopy adopts` = 'SELECT 2'", "PREPARE `s` FROM @`mrtecopy adopts`", "SET @`mrtecopy adopts` = NULL"}
	after := []string{"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION autocommit = 'OFF'", "SET character_set_results = NULL", "SET character_set_client = 'latin1'"}
	if !slices.Equal(st.Before, before) || !slices.Equal(st.After, after) {
		t.Errorf("before %q\nafter %q", st.Before, st.After)
	}
	if want := []session.Prepared{{ID: 1}, {ID: 3, Text: "SELECT 3"}}; !slices.Equal(st.Statements, want) {
		t.Errorf("%+v", st.Statements)
	}
	if !st.AllStatements || st.Completeness != ledger.Partly || st.Lacks != ledger.Lacks(0).With(ledger.LacksStatements) || st.User != "app" || st.Schema != "shop" || st.ID != 7 {
		t.Errorf("%+v", st)
	}
	// A server that tells nothing but its processlist.
	st = (&Observer{server: &server{}}).state(c, nil)
	for _, l := range []ledger.Lack{ledger.LacksVariables, ledger.LacksUserVariables, ledger.LacksStatements} {
		if !st.Lacks.Has(l) {
			t.Errorf("does not lack %v", l)
		}
	}
	if st.AllStatements || len(st.Before)+len(st.After) > 0 {
		t.Errorf("%+v", st)
	}
}

func TestParseDSNKeepsTheSecret(t *testing.T) {
	for _, dsn := range []string{"u:hunter2@tcp(h", "hunter2", "u:hunter2@tcp(h:1)/?tls=%zz"} {
		if _, err := ParseDSN(dsn); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
