//go:build record

// Records conversations with real servers into testdata: see
// testdata/record.sh, which runs it.

package mysql

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// A recorder is a proxy that writes down one connection.
type recorder struct {
	addr string
	done chan struct{}
	mu   sync.Mutex
	said conversation
}

// record starts a proxy to the server at target, for one connection.
func record(t *testing.T, target string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{addr: l.Addr().String(), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		client, err := l.Accept()
		l.Close()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			return
		}
		var both sync.WaitGroup
		both.Go(func() { r.copy(server, client, false) })
		both.Go(func() { r.copy(client, server, true) })
		both.Wait()
	}()
	return r
}

func (r *recorder) copy(dst, src net.Conn, server bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := src.Read(b)
		r.mu.Lock()
		if last := len(r.said) - 1; last >= 0 && r.said[last].server == server {
			r.said[last].bytes = append(r.said[last].bytes, b[:n]...)
		} else if n > 0 {
			r.said = append(r.said, turn{server, append([]byte(nil), b[:n]...)})
		}
		r.mu.Unlock()
		if n > 0 {
			if _, err := dst.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			dst.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

// write writes c as readConversation reads it.
func (c conversation) write(file string) error {
	var b []byte
	for _, t := range c {
		who := byte('C')
		if t.server {
			who = 'S'
		}
		b = binary.LittleEndian.AppendUint32(append(b, who), uint32(len(t.bytes)))
		b = append(b, t.bytes...)
	}
	return os.WriteFile(file, b, 0o644)
}

// A talker is a client that says whatever it is told. It does not know where
// responses end: it waits until the server has been quiet for a while.
type talker struct {
	t    *testing.T
	c    net.Conn
	last []byte // the last response
	wait time.Duration
}

// reply reads until the server is quiet.
func (k *talker) reply() {
	k.last = k.last[:0]
	b := make([]byte, 64<<10)
	for wait := time.Minute; ; wait = k.wait {
		k.c.SetReadDeadline(time.Now().Add(wait))
		n, err := k.c.Read(b)
		k.last = append(k.last, b[:n]...)
		if err == io.EOF {
			return
		}
		if err != nil {
			if len(k.last) == 0 {
				k.t.Fatal("no answer: ", err)
			}
			return
		}
	}
}

// lastPacket returns the last packet of the last response.
func (k *talker) lastPacket() packet {
	ps, err := packets(k.last)
	if err != nil {
		k.t.Fatal(err)
	}
	return ps[len(ps)-1]
}

// write sends one packet and does not wait.
func (k *talker) write(sequence uint8, payload []byte) {
	if _, err := k.c.Write(append(AppendHeader(nil, len(payload), sequence), payload...)); err != nil {
		k.t.Fatal(err)
	}
}

// say sends a command and reads the response.
func (k *talker) say(c Command, args ...any) {
	k.write(0, payload(c, args...))
	k.reply()
}

// payload builds a command's payload.
func payload(c Command, args ...any) []byte {
	b := []byte{byte(c)}
	for _, a := range args {
		switch a := a.(type) {
		case string:
			b = append(b, a...)
		case []byte:
			b = append(b, a...)
		case byte:
			b = append(b, a)
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, a)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, a)
		default:
			panic(fmt.Sprintf("%T", a))
		}
	}
	return b
}

// prepare prepares a statement and returns its id, or one that does not exist.
func (k *talker) prepare(text string) uint32 {
	k.say(ComStmtPrepare, text)
	id, _, _, ok := ParsePrepareOK(k.last[HeaderSize:])
	if !ok {
		return 4711
	}
	return id
}

const (
	account    = "recorder" // without a password
	schema     = "recorder"
	noCursor   = byte(0)
	readOnly   = byte(1) // a cursor
	once       = uint32(1)
	useUnicode = 33 // utf8_general_ci
)

var baseline = ClientLongPassword | ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientTransactions |
	ClientMultiStatements | ClientMultiResults | ClientPSMultiResults | ClientLocalFiles | ClientConnectWithDB

// dial connects through a recorder and logs in, with what is in caps whether
// the server offers it or not.
func dial(t *testing.T, target string, caps Capabilities, ext Extended) (*talker, *recorder) {
	t.Helper()
	r := record(t, target)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	k := &talker{t: t, c: c, wait: 60 * time.Millisecond}
	k.reply()
	if ext != 0 {
		caps &^= ClientLongPassword
	}
	login := Login{Capabilities: caps, Extended: ext, MaxPacket: 1 << 30, Charset: useUnicode, User: account, Schema: schema, Plugin: PluginNativePassword}
	k.write(1, login.Append(nil))
	k.reply()
	if k.last[HeaderSize] == eofHeader { // an AuthSwitchRequest: no password, no proof
		k.write(3, nil)
		k.reply()
	}
	if k.last[HeaderSize] != okHeader {
		t.Fatalf("login: %q", k.last)
	}
	return k, r
}

// save checks what was recorded, and writes it.
func save(t *testing.T, k *talker, r *recorder, server, name string) {
	t.Helper()
	if k != nil {
		k.write(0, payload(ComQuit))
		k.c.Close()
	}
	select {
	case <-r.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the connection does not end")
	}
	seen := r.said.check(t)
	if name == "" {
		return
	}
	file := filepath.Join("testdata", server+"-"+name)
	if err := r.said.write(file + ".bin"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".txt", []byte(seen), 0o644); err != nil {
		t.Fatal(err)
	}
}

// texts is a tour of COM_QUERY.
func texts(k *talker) {
	for _, q := range []string{
		"drop table if exists t",
		"create table t (id int primary key, s varchar(40), b blob)",
		"insert into t values (1, 'one', null), (2, null, x'00ff'), (3, 'three', ''), (4, repeat('x', 40), repeat('y', 300))",
		"update t set s = concat(id) where id > 2",
		"select * from t where id = 0",
		"select id, s, b from t order by id",
		"select null",
		"select a.id + 4*b.id from t a, t b, t c, t d", // 256 rows: the sequence id wraps
		"selec 1",
		"select * from no_such_table",
		"select id, (select 1 from t) from t", // fails at the first row: 1242
		"do 1",
		"set @a = 1",
		"select 1; select 2, 3; update t set s = 'x' where id = 1; select 4",
		"select 1; selec 2; select 3",
		"call p()",
		"call q()", // fails behind its first result
		"use " + schema,
		"",
		"show warnings",
		"shutdown now and then",
	} {
		k.say(ComQuery, q)
	}
}

// statements is a tour of the prepared statements.
func statements(k *talker) {
	two := []byte{0, 1, 8, 0, 8, 0} // no NULL, types follow: two longlongs
	value := []byte{7, 0, 0, 0, 0, 0, 0, 0}

	id := k.prepare("select ? + id, ?, b from t order by id")
	k.say(ComStmtExecute, id, noCursor, once, two, value, value)
	k.say(ComStmtExecute, id, noCursor, once, []byte{0, 0}, value, value)
	k.write(0, payload(ComStmtSendLongData, id, uint16(1), "some long data"))
	k.say(ComStmtReset, id)
	k.write(0, payload(ComStmtClose, id))

	id = k.prepare("select id, s from t where id >= ? order by id")
	k.say(ComStmtExecute, id, readOnly, once, []byte{0, 1, 8, 0}, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	k.say(ComStmtFetch, id, uint32(2))
	k.say(ComStmtFetch, id, uint32(100))
	k.say(ComStmtFetch, id, uint32(1)) // 1421: the cursor is exhausted
	k.say(ComStmtExecute, id, readOnly, once, []byte{0, 1, 8, 0}, []byte{99, 0, 0, 0, 0, 0, 0, 0})
	k.say(ComStmtFetch, id, uint32(5))
	k.say(ComStmtReset, id)
	k.say(ComStmtExecute, id, noCursor, once, []byte{0, 1, 8, 0}, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // MySQL 9.7.4 leaves this one without an end

	for _, text := range []string{"do 1", "insert into t (id) values (10), (11)", "delete from t where id >= 10", "show tables", "select 1", "call p()", "call r(@out)"} {
		id = k.prepare(text)
		k.say(ComStmtExecute, id, noCursor, once)
		k.say(ComStmtExecute, id, readOnly, once)
		k.say(ComStmtFetch, id, uint32(1))
		k.say(ComStmtReset, id)
	}
	id = k.prepare("call r(?)") // has an OUT parameter: one more result
	k.say(ComStmtExecute, id, noCursor, once, []byte{0, 1, 8, 0}, value)

	for _, text := range []string{"selec 1", "select * from no_such_table", "select 1; select 2", ""} {
		k.prepare(text)
	}
	k.say(ComStmtExecute, uint32(4711), noCursor, once)
	k.say(ComStmtFetch, uint32(4711), once)
	k.say(ComStmtReset, uint32(4711))
	k.write(0, payload(ComStmtClose, uint32(4711)))
	k.say(ComPing)
}

// others is a tour of the other commands.
func others(k *talker) {
	k.say(ComPing)
	k.say(ComInitDB, schema)
	k.say(ComInitDB, "no_such_schema")
	k.say(ComStatistics)
	k.say(ComProcessInfo)
	k.say(ComFieldList, "t\x00")
	k.say(ComFieldList, "t\x00i%")
	k.say(ComFieldList, "no_such_table\x00")
	k.say(ComSetOption, uint16(1))
	k.say(ComQuery, "select 1; select 2")
	k.say(ComSetOption, uint16(0))
	k.say(ComQuery, "select 1; select 2")
	k.say(ComSetOption, uint16(99))
	k.say(ComDebug)
	k.say(ComRefresh, byte(0x01))
	k.say(ComProcessKill, uint32(0x7fffffff))
	k.say(ComTime)
	k.say(Command(0x7f))
	k.say(ComResetConnection)
	k.say(ComChangeUser, account+"\x00", byte(0), schema+"\x00", uint16(useUnicode), PluginNativePassword+"\x00")
	if k.last[HeaderSize] == eofHeader {
		k.write(k.last[3]+1, nil)
		k.reply()
	}
	k.say(ComQuery, "select 'changed'")
	k.say(ComChangeUser, "nobody\x00", byte(0), "\x00", uint16(useUnicode), PluginNativePassword+"\x00")
	for k.last[HeaderSize] == eofHeader {
		k.write(k.last[3]+1, make([]byte, 20))
		k.reply()
	}
}

// files is a tour of LOAD DATA LOCAL.
func files(k *talker) {
	file := func(data ...string) {
		if k.last[HeaderSize] != localFileHeader {
			return
		}
		sequence := k.lastPacket().Sequence
		for _, d := range data {
			sequence++
			k.write(sequence, []byte(d))
		}
		k.write(sequence+1, nil)
		k.reply()
	}
	k.say(ComQuery, "create temporary table f (a int, b varchar(20))")
	k.say(ComQuery, "load data local infile '/a' into table f")
	file("1\tone\n2\ttw", "o\n3\tthree\n")
	k.say(ComQuery, "load data local infile '/b' into table f")
	file()
	k.say(ComQuery, "load data local infile '/c' into table no_such_table")
	file("1\tone\n")
	k.say(ComQuery, "load data local infile '/d' into table f; select count(*) from f")
	file("4\tfour\n")
	k.say(ComPing)
}

func TestRecord(t *testing.T) {
	for _, s := range strings.Fields(os.Getenv("RECORD")) {
		server, target, _ := strings.Cut(s, "=")
		t.Run(server, func(t *testing.T) {
			k, r := dial(t, target, baseline, 0)
			k.say(ComQuery, "create procedure p() begin select 1; update t set s = 'p' where id = 1; select 2, 3; end")
			k.say(ComQuery, "create procedure q() begin select 1; select * from no_such_table; end")
			k.say(ComQuery, "create procedure r(out x int) begin select 1; set x = 5; end")
			save(t, k, r, server, "")
			for _, v := range []struct {
				name string
				caps Capabilities
				ext  Extended
				keep string // of which servers; the others are only checked
			}{
				{"eof", 0, 0, "mariadb-10.11 mysql-5.6 mysql-9.7"},
				{"no-eof", ClientDeprecateEOF, 0, "mariadb-10.11 mysql-5.6 mysql-9.7"},
				{"tracked", ClientDeprecateEOF | ClientSessionTrack, 0, "mariadb-11.8"},
				{"optional", ClientOptionalResultsetMetadata, 0, "mysql-9.7"},
				{"optional-no-eof", ClientOptionalResultsetMetadata | ClientDeprecateEOF, 0, "mysql-9.7"},
				{"cached", 0, MariaDBCacheMetadata | MariaDBExtMetadata, "mariadb-10.11 mariadb-11.8"},
				{"cached-no-eof", ClientDeprecateEOF, MariaDBCacheMetadata | MariaDBExtMetadata, "mariadb-10.11"},
			} {
				mariadb := strings.HasPrefix(server, "mariadb")
				if v.ext != 0 && !mariadb || strings.HasPrefix(v.name, "optional") && mariadb {
					continue
				}
				t.Run(v.name, func(t *testing.T) {
					k, r := dial(t, target, baseline|v.caps, v.ext)
					texts(k)
					if strings.HasPrefix(v.name, "optional") {
						k.say(ComQuery, "set resultset_metadata = none")
						k.say(ComQuery, "select * from t where id < 3")
						k.say(ComQuery, "select 1; select 2")
					}
					statements(k)
					others(k)
					name := v.name
					if !strings.Contains(v.keep, server) {
						name = ""
					}
					save(t, k, r, server, name)
				})
			}
			t.Run("files", func(t *testing.T) {
				k, r := dial(t, target, baseline, 0)
				files(k)
				save(t, k, r, server, "files")
			})
			t.Run("pipelined", func(t *testing.T) {
				k, r := dial(t, target, baseline|ClientDeprecateEOF, 0)
				var b []byte
				for _, p := range [][]byte{payload(ComPing), payload(ComQuery, "select 1"), payload(ComStmtPrepare, "select ?"), payload(ComQuery, "selec"),
					payload(ComStmtClose, uint32(1)), payload(ComStatistics), payload(ComQuery, "select 2; select 3"), payload(ComPing)} {
					b = append(AppendHeader(b, len(p), 0), p...)
				}
				k.c.Write(b)
				k.reply()
				save(t, k, r, server, "pipelined")
			})
			t.Run("killed", func(t *testing.T) { // the server ends it
				k, r := dial(t, target, baseline, 0)
				k.say(ComQuery, "set wait_timeout = 1")
				k.reply()
				k.c.Close()
				save(t, nil, r, server, "timeout")
			})
			t.Run("go", func(t *testing.T) { recordGo(t, server, target) })
			t.Run("big row", func(t *testing.T) { // too big to keep
				for _, caps := range []Capabilities{0, ClientDeprecateEOF} {
					k, r := dial(t, target, baseline|caps, 0)
					k.wait = time.Second
					k.say(ComQuery, "select 1, repeat('x', 17000000)")
					k.say(ComQuery, "select repeat('x', 16777215 - 4)") // with its length: exactly MaxPayload
					k.say(ComQuery, "select repeat('x', 16777215 - 5)")
					k.say(ComQuery, "select repeat('x', 16777216), 1")
					id := k.prepare("select repeat('x', 17000000) a, 1")
					k.say(ComStmtExecute, id, noCursor, once)
					save(t, k, r, server, "")
				}
			})
			if strings.HasPrefix(server, "mariadb") {
				t.Run("progress", func(t *testing.T) {
					k, r := dial(t, target, baseline, MariaDBProgress)
					k.say(ComQuery, "create temporary table g (id int primary key, s varchar(200))")
					k.say(ComQuery, "insert into g select seq, repeat('x', 100) from seq_1_to_300000")
					k.say(ComQuery, "set progress_report_time = 1")
					k.write(0, payload(ComQuery, "alter table g force, algorithm = copy"))
					k.reply()
					for k.lastPacket().payload[0] == errHeader { // the next report or the end
						k.reply()
					}
					k.say(ComPing)
					save(t, k, r, server, "progress")
				})
				t.Run("bulk", func(t *testing.T) {
					k, r := dial(t, target, baseline|ClientDeprecateEOF, MariaDBStmtBulk|MariaDBBulkUnitResults|MariaDBCacheMetadata)
					k.say(ComQuery, "create temporary table h (id int auto_increment primary key, n bigint)")
					id := k.prepare("insert into h (n) values (?)")
					k.say(ComStmtBulkExecute, id, uint16(128), []byte{8, 0}, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0}, []byte{1}, []byte{0, 3, 0, 0, 0, 0, 0, 0, 0})
					k.say(ComStmtBulkExecute, id, uint16(128|64), []byte{8, 0}, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0}, []byte{1}, []byte{0, 3, 0, 0, 0, 0, 0, 0, 0})
					k.say(ComStmtExecute, uint32(0xffffffff), noCursor, once, []byte{0, 1, 8, 0}, []byte{1, 0, 0, 0, 0, 0, 0, 0})
					k.say(ComStmtPrepare, "select n from h")
					k.say(ComStmtExecute, uint32(0xffffffff), noCursor, once)
					k.say(ComStmtExecute, uint32(0xffffffff), noCursor, once)
					save(t, k, r, server, "bulk")
				})
			}
			t.Run("sysbench", func(t *testing.T) { // too long to keep
				for _, mode := range []string{"auto", "disable"} {
					bench := func(addr, what string) error {
						host, port, _ := net.SplitHostPort(addr)
						out, err := exec.Command("sysbench", "oltp_read_write", "--mysql-host="+host, "--mysql-port="+port, "--mysql-user="+account, "--mysql-db="+schema,
							"--tables=1", "--table-size=1000", "--threads=1", "--events=50", "--time=0", "--db-ps-mode="+mode, what).CombinedOutput()
						if err != nil {
							return fmt.Errorf("sysbench %s: %w: %s", what, err, out)
						}
						return nil
					}
					if err := bench(target, "prepare"); err != nil {
						t.Skip(err)
					}
					r := record(t, target)
					if err := bench(r.addr, "run"); err != nil {
						t.Fatal(err)
					}
					save(t, nil, r, server, "")
					if err := bench(target, "cleanup"); err != nil {
						t.Fatal(err)
					}
				}
			})
			t.Run("cli", func(t *testing.T) {
				r := record(t, target)
				host, port, _ := net.SplitHostPort(r.addr)
				cmd := exec.Command("mariadb", "--no-defaults", "--skip-ssl", "-h", host, "-P", port, "-u", account, "--force", "--show-warnings", schema)
				cmd.Stdin = strings.NewReader("select * from t;\nshow tables;\nselec;\ncall p();\nset @x = 1;\nuse test;\nuse " + schema + ";\nstatus\n")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Skipf("%v: %s", err, out)
				}
				save(t, nil, r, server, "cli")
			})
		})
	}
}

// recordGo logs in with a password, twice: MySQL's cache is cold at the first.
func recordGo(t *testing.T, server, target string) {
	for _, name := range []string{"go-first", "go"} {
		r := record(t, target)
		cfg := driver.NewConfig()
		cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = "tcp", r.addr, account+"_pw", "secret", schema
		cfg.MultiStatements = true
		connector, err := driver.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		db.SetMaxOpenConns(1)
		ctx := context.Background()
		conn, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"select * from t", "select 1; select 2"} {
			rows, err := conn.QueryContext(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() || rows.NextResultSet() {
			}
			rows.Close()
		}
		rows, err := conn.QueryContext(ctx, "select id, s from t where id > ? and s <> ?", 1, "x")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
		}
		rows.Close()
		if _, err := conn.ExecContext(ctx, "selec"); err == nil {
			t.Fatal("want an error")
		}
		conn.Close()
		db.Close()
		save(t, nil, r, server, name)
	}
}
