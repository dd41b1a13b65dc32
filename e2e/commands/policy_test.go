package commands

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"os"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// policies show what is not replayed, and that the sessions go on beside it.
func (p pair) policies(t *testing.T, l *lab.Lab) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, pair, *lab.Lab)
	}{
		{"what would harm the target", forbidden},
		{"the same, allowed", allowed},
		{"KILL", kill},
		{"only read", onlyRead},
		{"users", users},
		{"schemas", schemas},
		{"exclude", exclude},
		{"exclude what is executed as -1", excludeLast},
		{"response timeout", responseTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, p, l) })
	}
}

// harmless takes back what the load forbidden does to a server.
func harmless(t *testing.T, l *lab.Lab) {
	t.Helper()
	for _, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
		must(t, s.Exec(t.Context(), "SET GLOBAL max_connect_errors = 50", "DROP USER IF EXISTS forbidden@'%'"))
		if err := os.Remove(outfile(t, s)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// outfile is what the load forbidden writes, beside each server's own data.
func outfile(t *testing.T, s *lab.Server) (file string) {
	t.Helper()
	db, err := sql.Open("mysql", "root@unix("+s.Socket()+")/")
	must(t, err)
	defer db.Close()
	must(t, db.QueryRowContext(t.Context(), "SELECT CONCAT(@@datadir, '../forbidden.txt')").Scan(&file))
	return file
}

// done says what of the load forbidden a server has done.
func done(t *testing.T, s *lab.Server) (threshold, users, file int64) {
	t.Helper()
	for _, q := range []struct {
		n   *int64
		sql string
	}{
		{&threshold, "SELECT @@GLOBAL.max_connect_errors"},
		{&users, "SELECT COUNT(*) FROM mysql.user WHERE user = 'forbidden'"},
	} {
		var err error
		*q.n, err = s.Number(t.Context(), q.sql)
		must(t, err)
	}
	if _, err := os.Stat(outfile(t, s)); err == nil {
		file = 1
	}
	return threshold, users, file
}

func forbidden(t *testing.T, p pair, l *lab.Lab) {
	harmless(t, l)
	o := replay(t, l, "forbidden")
	// SET GLOBAL, CREATE USER, ALTER USER, INTO OUTFILE, FLUSH … WITH READ LOCK; one in a
	// command of three statements; one prepared, with its two executions and its
	// CLOSE; one more.
	o.judge(t, p, expected{skipped: map[string]int64{"policy": 11}})
	if got, want := o.Summary.Commands.Classes, map[string]int64{"global_variables": 4, "accounts": 2, "outfile": 1, "flush_lock": 1}; !maps.Equal(got, want) {
		t.Errorf("skipped %v, want %v", got, want)
	}
	if e, u, f := done(t, l.ProductionServer); e != 79 || u != 1 || f != 1 {
		t.Errorf("production has max_connect_errors %d, %d users, %d files: the load is none", e, u, f)
	}
	if e, u, f := done(t, l.TargetServer); e != 50 || u != 0 || f != 0 {
		t.Errorf("the target has max_connect_errors %d, %d users, %d files, want 50, 0, 0", e, u, f)
	}
	for _, name := range []string{"Com_flush", "Com_create_user", "Com_alter_user"} {
		if o.production[name] != 1 || o.target[name] != 0 {
			t.Errorf("%s is %d on production and %d on the target, want 1 and 0", name, o.production[name], o.target[name])
		}
	}
	sameContents(t, l, "app")
}

func allowed(t *testing.T, p pair, l *lab.Lab) {
	harmless(t, l)
	r := begin(t, l, "--policy", "global_variables=replay,accounts=replay", "--policy", "outfile=replay", "--policy", "flush_lock=replay")
	said := r.Load("forbidden")
	o := end(t, r)
	o.load = said
	o.judge(t, p, expected{})
	if e, u, f := done(t, l.TargetServer); e != 79 || u != 1 || f != 1 {
		t.Errorf("the target has max_connect_errors %d, %d users, %d files, want 79, 1, 1", e, u, f)
	}
	sameContents(t, l, "app")
	harmless(t, l)
}

// kill shows that KILL ends the session that replays the one killed: the servers
// number their connections differently.
func kill(t *testing.T, p pair, l *lab.Lab) {
	for range 7 {
		bench(t, l, l.TargetServer, "oltp_point_select", "--threads=1", "--events=1", "run")
	}
	r := begin(t, l)
	const pause = 600 * time.Millisecond
	load := make(chan error, 1)
	var said labtest.Load
	go func() {
		var err error
		said, err = r.TryLoad(l.Client, l.Production.V4.String(), "-pause", pause.String(), "kill")
		load <- err
	}()
	// Four sessions; in the end two.
	var most, last int64
	for ended := false; !ended; {
		select {
		case err := <-load:
			must(t, err)
			ended = true
		case <-time.After(100 * time.Millisecond):
			n, err := l.TargetServer.Number(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE user = '"+lab.AppUser+"'")
			must(t, err)
			if most = max(most, n); n > 0 {
				last = n
			}
		}
	}
	if most != 4 || last != 2 {
		t.Errorf("the target had up to %d sessions, and %d behind the KILLs; want 4 and 2", most, last)
	}
	o := end(t, r)
	t.Logf("commands %+v, sessions %+v; the client %+v", o.Summary.Commands, o.Summary.Sessions, said)
	if o.target["Com_kill"] != 3 {
		t.Errorf("the target counted %d KILLs, want 3", o.target["Com_kill"])
	}
	if want := map[string]int64{"policy": 1}; !maps.Equal(o.Summary.Commands.Skipped, want) {
		t.Errorf("skipped %v, want %v: nobody's connection", o.Summary.Commands.Skipped, want)
	}
	sameContents(t, l, "app")
}

// onlyRead lets no write through, whatever the clients do.
func onlyRead(t *testing.T, p pair, l *lab.Lab) {
	r := begin(t, l, "--only", "read")
	for _, load := range [][]string{
		{"-n", "3", "-each", "200", "-threads", "3", "-seed", "4", "random"},
		{"-n", "3", "statements"},
		{"-n", "3", "mixed"},
		{"-n", "3", "bulk"},
		{"-size", "50000", "local"},
		{"-n", "20", "-each", "5", "short"},
	} {
		r.Load(load...)
	}
	o := end(t, r)
	for name, n := range o.target {
		if writes[name] && n != 0 {
			t.Errorf("the target counted %s %d", name, n)
		}
	}
	if o.production["Com_insert"] < 100 || o.target["Com_select"] < 100 {
		t.Errorf("production counted %d inserts, the target %d selects: the load is none", o.production["Com_insert"], o.target["Com_select"])
	}
	// What could not be prepared, since the tables are not there, is skipped too.
	r.Only("skipped commands", o.Summary.Commands.Skipped, "only_read", "statement_id")
	// Where PREPAREs are pipelined, what was left out gives no answer to tell
	// production's by: some stay unknown.
	r.Only("lost commands", o.Summary.Commands.Lost, "statement_id")
	r.Only("lost sessions", o.Summary.Sessions.Lost)
	if n := o.Summary.Commands.Lost["statement_id"]; n > o.Summary.Commands.Captured/20 {
		t.Errorf("lost %d of %d commands", n, o.Summary.Commands.Captured)
	}
	t.Logf("skipped %v, answered %d, %d of them with an error", o.Summary.Commands.Skipped, o.Summary.Commands.Answered, o.Summary.Commands.Errors)
	before := map[string]string{"numbers": contents(t, l.ProductionServer, "app")["numbers"], "sums": "0 rows 0", "steps": "0 rows 0"}
	if after := contents(t, l.TargetServer, "app"); !maps.Equal(after, before) {
		t.Errorf("the target's tables are %v, want %v", after, before)
	}
}

// writes are the counters of what --only read leaves out.
var writes = map[string]bool{
	"Com_insert": true, "Com_insert_select": true, "Com_update": true, "Com_delete": true, "Com_replace": true, "Com_load": true,
	"Com_create_table": true, "Com_create_temporary_table": true, "Com_create_procedure": true, "Com_drop_table": true, "Com_drop_procedure": true,
	"Com_truncate": true, "Com_call_procedure": true, "Com_alter_table": true,
}

// users replays the sessions of some users only.
func users(t *testing.T, _ pair, l *lab.Lab) {
	for _, flag := range [][]string{{"--users", lab.AppUser}, {"--exclude-users", otherUser}} {
		r := begin(t, l, flag...)
		r.Load("-n", "5", "-each", "3", "short")
		r.Load("-user", otherUser, "-password", otherPassword, "-n", "7", "-each", "2", "short")
		o := end(t, r)
		s := &o.Summary
		r.Only("skipped sessions", s.Sessions.Skipped, "user")
		r.Only("skipped commands", s.Commands.Skipped, "user")
		if s.Sessions.Skipped["user"] != 7 || s.Sessions.Replayed != 5 || s.Commands.Skipped["user"] != 21 || o.target["Com_select"] != 15 || o.ExitCode != 0 {
			t.Errorf("%v: skipped %v, replayed %d sessions, skipped %v commands, %d selects, exit code %d", flag,
				s.Sessions.Skipped, s.Sessions.Replayed, s.Commands.Skipped, o.target["Com_select"], o.ExitCode)
		}
	}
	// A session that changes to a user who is left out ends there.
	r := begin(t, l, "--users", lab.AppUser)
	r.Load("-n", "4", "chains")
	o := end(t, r)
	if o.Summary.Commands.Skipped["user"] == 0 || len(o.Summary.Commands.Lost) > 0 {
		t.Errorf("a session that changes to another user: skipped %v, lost %v", o.Summary.Commands.Skipped, o.Summary.Commands.Lost)
	}
}

// schemas replays statements in some default schemas only.
func schemas(t *testing.T, _ pair, l *lab.Lab) {
	r := begin(t, l, "--schemas", "other,sbtest")
	r.Load("-n", "4", "-each", "3", "short")
	r.Load("-schema", "other", "-n", "5", "-each", "2", "short")
	r.Load("-n", "1", "others") // goes from app to other and back
	o := end(t, r)
	s := &o.Summary
	r.Only("skipped commands", s.Commands.Skipped, "schema")
	if o.target["Com_select"] != 10 || len(s.Commands.Lost) > 0 || s.Sessions.Replayed != 10 || o.target["Com_create_table"] != 0 {
		t.Errorf("the target counted %d selects, want 10; %d sessions replayed, skipped %v, lost %v", o.target["Com_select"], s.Sessions.Replayed, s.Commands.Skipped, s.Commands.Lost)
	}
	// 4 × 3 selects; DROP, CREATE TABLE and two COM_FIELD_LIST in app; and one more
	// behind a COM_INIT_DB that production refused, for its answer is not seen.
	if s.Commands.Skipped["schema"] != 17 {
		t.Errorf("skipped %v, want 17", s.Commands.Skipped)
	}
}

// exclude leaves out the statements that match, prepared ones with all that uses
// them.
func exclude(t *testing.T, _ pair, l *lab.Lab) {
	r := begin(t, l, "--exclude", `'short'`, "--exclude", `(?i)insert into typed`)
	r.Load("-n", "4", "-each", "3", "short")
	r.Load("-n", "5", "select")
	r.Load("-n", "1", "types")
	o := end(t, r)
	s := &o.Summary
	r.Only("skipped commands", s.Commands.Skipped, "excluded")
	if s.Commands.Skipped["excluded"] != 12+1+80 || o.target["Com_select"] != 5 || o.target["Com_insert"] != 0 || o.ExitCode != 0 {
		t.Errorf("skipped %v, want 93; the target counted %d selects and %d inserts, want 5 and 0; exit code %d",
			s.Commands.Skipped, o.target["Com_select"], o.target["Com_insert"], o.ExitCode)
	}
}

// excludeLast leaves out a PREPARE, and so the executions by the id -1 that come
// behind it, by which the target would execute an earlier statement.
func excludeLast(t *testing.T, p pair, l *lab.Lab) {
	r := begin(t, l, "--exclude", "left out")
	said := r.Load("-n", "50", "last")
	o := end(t, r)
	o.load = said
	o.judge(t, p, expected{skipped: map[string]int64{"excluded": 50 * 3}})
	n, err := l.TargetServer.Number(t.Context(), "SELECT COUNT(*) FROM app.steps")
	must(t, err)
	if n != 50 {
		t.Errorf("%d rows on the target, want 50: a statement was executed for another", n)
	}
}

// responseTimeout gives up a session that the target keeps waiting while
// production answers; others go on.
func responseTimeout(t *testing.T, _ pair, l *lab.Lab) {
	r := labtest.PrepareIn(t, l, "CREATE TABLE app.written (id INT)")
	run := lab.Run{Mrtecopy: []string{"--response-timeout", "2s"}}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	db, err := sql.Open("mysql", "root@unix("+l.TargetServer.Socket()+")/app")
	must(t, err)
	defer db.Close()
	lock, err := db.Conn(t.Context())
	must(t, err)
	_, err = lock.ExecContext(t.Context(), "LOCK TABLES written WRITE")
	must(t, err)
	r.Load("-n", "50", "write") // begins with DROP TABLE written
	r.Load("-n", "10", "-each", "2", "short")
	deadline := time.Now().Add(20 * time.Second)
	for open := int64(-1); open != 0; time.Sleep(100 * time.Millisecond) {
		open, err = l.TargetServer.Number(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE user = '"+lab.AppUser+"' AND state NOT LIKE '%metadata lock%'")
		must(t, err)
		if time.Now().After(deadline) {
			t.Fatal("the other sessions do not end")
		}
	}
	time.Sleep(4 * time.Second)
	_, err = lock.ExecContext(context.Background(), "UNLOCK TABLES")
	must(t, err)
	must(t, lock.Close())
	must(t, db.Close())
	o := end(t, r)
	s := &o.Summary
	r.Only("lost sessions", s.Sessions.Lost, "response_timeout")
	r.Only("lost commands", s.Commands.Lost, "response_timeout")
	if s.Sessions.Lost["response_timeout"] != 1 || s.Sessions.Replayed != 10 || o.ExitCode != 3 {
		t.Errorf("lost %v and replayed %d sessions, exit code %d; want 1, 10 and 3", s.Sessions.Lost, s.Sessions.Replayed, o.ExitCode)
	}
	if n := s.Commands.Lost["response_timeout"]; n < 100 {
		t.Errorf("lost %d commands with it", n)
	}
	r.Says(o.Log, "response_timeout")
	n, err := l.TargetServer.Number(t.Context(), "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'app' AND table_name = 'written'")
	must(t, err)
	t.Logf("lost %v; the target has %d of the table that it held back", s.Commands.Lost, n)
}
