// Package commands holds the end-to-end tests of every command: prepared
// statements whose ids differ, files, cursors, long data, commands of several
// statements, random mixes of them, and what is not replayed by policy. The
// target's tables must be production's in the end.
package commands

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// A pair is a production server and a target.
type pair struct{ production, target string }

func (p pair) String() string { return p.production + " to " + p.target }

// same reports whether both servers are of one version, so that they count alike.
func (p pair) same() bool { return p.production == p.target }

var pairs = []pair{
	{"mariadb-10.11", "mariadb-10.11"},
	{"mysql-5.6", "mysql-9.7"},
	{"mysql-9.7", "mariadb-11.8"},
}

// The account that clients change to.
const otherUser, otherPassword, otherTargetPassword = "second", "app-secret", "second-target-secret"

const credentials = lab.DefaultCredentials + otherUser + ":" + otherTargetPassword + "\n"

// flags are the servers': those of other tests, but threads are cached.
var flags = append([]string{"--thread-cache-size=32"}, lab.SmallServer[1:]...)

// raise raises the pair's lab. MariaDB's cached threads have numbered statements
// already, more of them on the target, so that the ids differ.
func (p pair) raise(t *testing.T) *lab.Lab {
	t.Helper()
	l := labtest.Own(t, lab.Options{Production: lab.Server{Version: p.production, Flags: flags}, Target: lab.Server{Version: p.target, Flags: flags}})
	for i, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
		must(t, s.Exec(t.Context(), "CREATE USER "+otherUser+"@'%' IDENTIFIED BY '"+[]string{otherPassword, otherTargetPassword}[i]+"'", "GRANT ALL ON *.* TO "+otherUser+"@'%'"))
		bench(t, l, s, "oltp_read_write", "prepare")
		for range 1 + 2*i {
			bench(t, l, s, "oltp_point_select", "--threads=4", "--events=40", "run")
		}
	}
	return l
}

// bench runs sysbench on a server's socket, which no capture sees.
func bench(t *testing.T, l *lab.Lab, s *lab.Server, load string, args ...string) {
	t.Helper()
	_, err := l.Client.Run(t.Context(), "sysbench", append([]string{load, "--mysql-socket=" + s.Socket(), "--mysql-user=root", "--tables=4", "--table-size=5000"}, args...)...)
	must(t, err)
}

// sameBench gives the target's bench tables the rows of production's. Each server
// has made them itself: the definitions of one family may say nothing to another.
func sameBench(t *testing.T, l *lab.Lab) {
	t.Helper()
	for i := range 4 {
		table := fmt.Sprintf("sbtest.sbtest%d", i+1)
		file := filepath.Join(l.Dir(), table+".rows")
		must(t, l.ProductionServer.Exec(t.Context(), "SELECT * FROM "+table+" INTO OUTFILE '"+file+"'"))
		must(t, l.TargetServer.Exec(t.Context(), "TRUNCATE TABLE "+table, "LOAD DATA INFILE '"+file+"' INTO TABLE "+table))
		must(t, os.Remove(file))
	}
}

// schema is what both servers have before a load.
var schema = []string{
	"DROP DATABASE IF EXISTS other",
	"CREATE DATABASE other",
	"CREATE PROCEDURE app.several(IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1, 'two'; SET b = a * 2; END",
	"CREATE TABLE app.sums (session BIGINT PRIMARY KEY, n BIGINT, crc BIGINT)",
	"CREATE TABLE app.steps (id INT PRIMARY KEY)",
	"CREATE TABLE app.numbers (id INT PRIMARY KEY, v VARCHAR(20))",
	"INSERT INTO app.numbers VALUES " + numbers(35),
}

func numbers(n int) string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, 'number %d')", i, i)
	}
	return strings.Join(rows, ", ")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
