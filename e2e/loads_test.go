package e2e

import (
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Each load is replayed by programs started for it and stopped behind it, and
// must arrive whole.
func TestLoads(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		writes bool // a single writer: the tables must be equal
	}{
		{"one connection, 1000 SELECTs", []string{"-n", "1000", "select"}, false},
		{"500 short connections in sequence", []string{"-n", "500", "short"}, false},
		{"50 loops of short connections", []string{"-threads", "50", "-n", "60", "-each", "2", "loop"}, false},
		{"100 sessions at once, idle a moment", []string{"-threads", "100", "-pause", "1s", "-each", "3", "idle"}, false},
		{"a result of 10 MB", []string{"-n", "2", "-size", "10000000", "result"}, false},
		{"a result of 20 MB in one value", []string{"-size", "20000000", "result"}, false},
		{"inserts of 1 MB", []string{"-n", "10", "-size", "1000000", "insert"}, true},
		{"inserts just above the limit of streaming", []string{"-n", "4", "-size", "1048577", "insert"}, true},
		// 31 bytes of command and statement before and behind the value: the packet is full, so an empty one follows.
		{"a packet of exactly 16 MiB - 1", []string{"-size", "16777184", "insert"}, true},
		{"inserts of 40 MB", []string{"-n", "2", "-size", "40000000", "insert"}, true},
		{"inserts of 40 MB as long data", []string{"-n", "2", "-size", "40000000", "-prepared", "insert"}, true},
		{"prepared SELECTs", []string{"-n", "500", "-prepared", "select"}, false},
		{"LOAD DATA LOCAL", []string{"-n", "20000", "-size", "100", "infile"}, true},
		{"responses of every shape", []string{"-n", "50", "mixed"}, true},
		{"a single writer", []string{"-n", "3000", "write"}, true},
		{"a single writer, prepared", []string{"-n", "500", "-prepared", "write"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := labtest.Begin(t, lab.Run{})
			if l := r.Load(tt.args...); l.Commands == 0 || l.Errors != 0 {
				t.Fatalf("the load itself went wrong: %+v", l)
			}
			r.Whole()
			if tt.writes {
				r.SameTables("app")
			}
		})
	}
}

// A client that is not Go's: COM_INIT_DB, COM_FIELD_LIST, attributes, a session
// without a schema.
func TestCommandLineClient(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	for range 5 {
		r.Client("mariadb", "--no-defaults", "--skip-ssl", "-h", r.Lab.Production.V4.String(), "-u", lab.AppUser, "-p"+lab.AppPassword,
			"-e", "CREATE TABLE IF NOT EXISTS app.c (a INT, b TEXT); USE app; SHOW TABLES; INSERT INTO c VALUES (1, 'x'); SELECT * FROM c")
	}
	r.Whole()
	r.SameTables("app")
}

// Every option that changes how packets are captured and sent.
func TestWays(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  lab.Run
	}{
		{"one interface", lab.Run{Mrtecopy: []string{"--interface", "eth0"}}},
		{"three shards", lab.Run{Mrtecopy: []string{"--shards", "3"}}},
		{"link layer", lab.Run{Mrtecopy: []string{"--send", "link"}}},
		{"streaming from 64 KiB", lab.Run{Mrtecopy: []string{"--stream-above", "64KiB"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := labtest.Begin(t, tt.run)
			r.Load("-threads", "20", "-n", "20", "-each", "3", "loop")
			r.Load("-n", "3", "-size", "1500000", "insert")
			r.Whole()
			r.SameTables("app")
		})
	}
}
