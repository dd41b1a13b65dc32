package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// statements are the table of the judgement. want is the verdict by the default
// policy, read the one with OnlyRead: "-" is replayed, a class's name a rule of
// the policy, "only" OnlyRead, "kill:5" a KILL of 5 whose id is replaced.
var statements = []struct {
	sql        string
	multi      bool
	want, read string
}{
	// Reads.
	{sql: "SELECT 1", want: "-", read: "-"},
	{sql: "", want: "-", read: "-"},
	{sql: " \t;; ", want: "-", read: "-", multi: true},
	{sql: "select c from sbtest1 where id=5", want: "-", read: "-"},
	{sql: "(SELECT 1) UNION (SELECT 2)", want: "-", read: "-"},
	{sql: "((select 1 into outfile 'x'))", want: "outfile", read: "outfile"},
	{sql: "SELECT * FROM t FOR UPDATE", want: "-", read: "only"},
	{sql: "SELECT * FROM t FOR SHARE OF t", want: "-", read: "only"},
	{sql: "SELECT * FROM t LOCK IN SHARE MODE", want: "-", read: "only"},
	{sql: "SELECT * FROM t lock/**/in/**/share mode", want: "-", read: "only"},
	{sql: "SELECT 1 UNION SELECT 2 FOR UPDATE", want: "-", read: "only"},
	{sql: "SELECT `for update`, 'FOR UPDATE', t.update FROM t", want: "-", read: "-"},
	{sql: "SELECT SUBSTRING('a' FROM 1 FOR 2)", want: "-", read: "-"},
	{sql: "SELECT * FROM t FOR SYSTEM_TIME AS OF NOW()", want: "-", read: "-"},
	{sql: "SELECT * FROM t USE INDEX FOR JOIN (a)", want: "-", read: "-"},
	{sql: "SELECT REPLACE(a, 'x', 'y'), INSERT (a, 1, 1, 'b') FROM t", want: "-", read: "-"},
	{sql: "SELECT a INTO @a FROM t", want: "-", read: "-"},
	{sql: "SELECT a, b FROM t INTO @a, @`b`", want: "-", read: "-"},
	{sql: "SELECT a INTO b FROM t", want: "-", read: "only"},
	{sql: "SELECT 1 INTO OUTFILE '/tmp/x'", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 into/* */dumpfile '/tmp/x'", want: "outfile", read: "outfile"},
	{sql: "SELECT 1.5INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "SELECT .5INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "SELECT 1e5INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: `SELECT \NINTO OUTFILE 'x'`, want: "outfile", read: "outfile"},
	{sql: "SELECT 1.INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "SELECT 1INTO FROM t", want: "-", read: "-"}, // a name
	{sql: "SELECT dumpfile, outfiles FROM t", want: "-", read: "-"},
	{sql: "SELECT 'INTO OUTFILE'", want: "-", read: "-"},
	{sql: "SELECT 1 -- INTO OUTFILE 'x'", want: "-", read: "-"},
	{sql: "SELECT 1 --1 INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 # INTO OUTFILE 'x'\n", want: "-", read: "-"},
	{sql: "SELECT 1 # x\n INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 /* INTO OUTFILE 'x' */", want: "-", read: "-"},
	{sql: "SELECT /*+ SET_VAR(a=1) INTO OUTFILE 'x' */ 1", want: "-", read: "-"},
	{sql: "SELECT 1 /*! INTO OUTFILE 'x' */", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 /*!50000 INTO OUTFILE 'x' */", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 /*!99999 INTO OUTFILE 'x' */", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 /*M! INTO OUTFILE 'x' */", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 /*M!100100 INTO OUTFILE 'x' */", want: "outfile", read: "outfile"},
	{sql: "SELECT 1 /*!99999 FOR */ /*M!100100 UPDATE */", want: "-", read: "only"},
	{sql: "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS(a INT PATH '$')) t", want: "-", read: "-"},
	{sql: "SELECT SLEEP(1), BENCHMARK(1, 1), LOAD_FILE('x')", want: "-", read: "-"},
	{sql: "SELECT GET_LOCK('a', 1)", want: "-", read: "only"},
	{sql: "SELECT `get_lock` ('a', 1)", want: "-", read: "only"},
	{sql: `SELECT "get_lock"('a', 1)`, want: "-", read: "only"},
	{sql: "SELECT release_lock /* */ ('a')", want: "-", read: "only"},
	{sql: "SELECT get_lock FROM t", want: "-", read: "-"},
	{sql: "SELECT IS_USED_LOCK('a')", want: "-", read: "-"},
	{sql: "SELECT NEXT VALUE FOR s", want: "-", read: "only"},
	{sql: "SELECT PREVIOUS VALUE FOR s", want: "-", read: "-"},
	{sql: "SELECT NEXTVAL(s)", want: "-", read: "only"},
	{sql: "SELECT s.nextval", want: "-", read: "only"},
	{sql: "SELECT setval(s, 1)", want: "-", read: "only"},
	{sql: "SELECT group_replication_set_as_primary('x')", want: "-", read: "only"},
	{sql: "TABLE t", want: "-", read: "-"},
	{sql: "TABLE t INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "VALUES ROW(1), ROW(2)", want: "-", read: "-"},
	{sql: "WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a", want: "-", read: "-"},
	{sql: "WITH a AS (SELECT 1) DELETE FROM t", want: "-", read: "only"},
	{sql: "WITH a AS (SELECT 1) UPDATE t SET a=1", want: "-", read: "only"},
	{sql: "WITH a AS (SELECT 1) SELECT * FROM a INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "SHOW TABLES", want: "-", read: "-"},
	{sql: "SHOW TABLES WHERE GET_LOCK('a', 0)", want: "-", read: "only"},
	{sql: "SHOW BINARY LOGS", want: "-", read: "-"},
	{sql: "DESCRIBE t", want: "-", read: "-"},
	{sql: "DESC t a", want: "-", read: "-"},
	{sql: "EXPLAIN SELECT 1", want: "-", read: "-"},
	{sql: "EXPLAIN FORMAT=JSON UPDATE t SET a=1", want: "-", read: "-"},
	{sql: "EXPLAIN SELECT * FROM t WHERE a = GET_LOCK('a', 0)", want: "-", read: "only"},
	{sql: "EXPLAIN ANALYZE SELECT 1", want: "-", read: "-"},
	{sql: "EXPLAIN ANALYZE FORMAT=TREE (SELECT 1)", want: "-", read: "-"},
	{sql: "EXPLAIN ANALYZE TABLE t", want: "-", read: "-"},
	{sql: "EXPLAIN ANALYZE UPDATE t SET a=1", want: "-", read: "only"}, // locks rows
	{sql: "ANALYZE FORMAT=JSON SELECT 1", want: "-", read: "-"},
	{sql: "ANALYZE SELECT 1 INTO OUTFILE 'x'", want: "outfile", read: "outfile"},
	{sql: "ANALYZE UPDATE t SET a=1", want: "-", read: "only"},
	{sql: "ANALYZE TABLE t", want: "-", read: "only"},
	{sql: "DO SLEEP(1)", want: "-", read: "-"},
	{sql: "DO GET_LOCK('a', 1)", want: "-", read: "only"},
	{sql: "HANDLER t READ FIRST", want: "-", read: "-"},
	{sql: "CHECKSUM TABLE t", want: "-", read: "-"},
	{sql: "CHECK TABLE t", want: "-", read: "only"},
	{sql: "USE x", want: "-", read: "-"},
	{sql: "GET DIAGNOSTICS @n = NUMBER", want: "-", read: "-"},

	// Transactions.
	{sql: "BEGIN", want: "-", read: "-"},
	{sql: "BEGIN WORK", want: "-", read: "-"},
	{sql: "COMMIT AND CHAIN", want: "-", read: "-"},
	{sql: "ROLLBACK TO SAVEPOINT a", want: "-", read: "-"},
	{sql: "SAVEPOINT a", want: "-", read: "-"},
	{sql: "RELEASE SAVEPOINT a", want: "-", read: "-"},
	{sql: "START TRANSACTION WITH CONSISTENT SNAPSHOT", want: "-", read: "-"},
	{sql: "XA START 'a'", want: "-", read: "only"},

	// Writes.
	{sql: "INSERT INTO t VALUES (1) RETURNING a", want: "-", read: "only"},
	{sql: "insert into dumpfile values ('INTO OUTFILE')", want: "-", read: "only"},
	{sql: "/* c */ REPLACE INTO t VALUES (1)", want: "-", read: "only"},
	{sql: "/* c */ /*!50000 UPDATE */ t SET a=1", want: "-", read: "only"},
	{sql: "-- c\nDELETE FROM t", want: "-", read: "only"},
	{sql: "CALL p()", want: "-", read: "only"},
	{sql: "LOAD DATA LOCAL INFILE 'x' INTO TABLE t", want: "-", read: "only"},
	{sql: "CREATE TEMPORARY TABLE t (a INT)", want: "-", read: "only"},
	{sql: "CREATE TABLE user (role INT)", want: "-", read: "only"},
	{sql: "CREATE OR REPLACE VIEW v AS SELECT 1", want: "-", read: "only"},
	{sql: "CREATE PROCEDURE p() BEGIN SHUTDOWN; END", want: "-", read: "only"},
	{sql: "CREATE PROCEDURE p() BEGIN SHUTDOWN; END", multi: true, want: "-", read: "only"},
	{sql: "CREATE PROCEDURE p() BEGIN DELETE FROM t; SHUTDOWN; END", want: "-", read: "only"},
	{sql: "CREATE PROCEDURE p() BEGIN DELETE FROM t; SHUTDOWN; END", multi: true, want: "shutdown", read: "only"},
	{sql: "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO GRANT ALL ON *.* TO a", want: "-", read: "only"},
	{sql: "CREATE FUNCTION f() RETURNS INT RETURN 1", want: "-", read: "only"},
	{sql: "DROP DATABASE x", want: "-", read: "only"},
	{sql: "RENAME TABLE a TO b", want: "-", read: "only"},
	{sql: "LOCK TABLES t READ", want: "-", read: "only"},
	{sql: "SIGNAL SQLSTATE '45000'", want: "-", read: "only"},
	{sql: "nonsense", want: "-", read: "only"},
	{sql: "`nonsense`", want: "-", read: "only"},
	{sql: "@a", want: "-", read: "only"},
	{sql: "\x00\xff", want: "-", read: "only"},

	// SET.
	{sql: "SET autocommit=1", want: "-", read: "-"},
	{sql: "SET NAMES utf8mb4 COLLATE utf8mb4_bin", want: "-", read: "-"},
	{sql: "SET @a = 1, @b := (SELECT 1, 2)", want: "-", read: "-"},
	{sql: "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY", want: "-", read: "-"},
	{sql: "SET ROLE ALL", want: "-", read: "-"},
	{sql: "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */", want: "-", read: "-"},
	{sql: "SET @a = @@global.max_connections", want: "-", read: "-"},
	{sql: "SET sql_mode = CONCAT(@@sql_mode, ',', 'GLOBAL')", want: "-", read: "-"},
	{sql: "SET sql_log_bin=0", want: "-", read: "only"},
	{sql: "SET @@session.`sql_log_bin`=0", want: "-", read: "only"},
	{sql: "SET @a=1, gtid_next='x:1'", want: "-", read: "only"},
	{sql: "SET @a = GET_LOCK('a', 1)", want: "-", read: "only"},
	{sql: "SET GLOBAL a=1", want: "global_variables", read: "global_variables"},
	{sql: "SET @a=(1), GLOBAL a=1", want: "global_variables", read: "global_variables"},
	{sql: "SET @@global.a=1", want: "global_variables", read: "global_variables"},
	{sql: "SET x=1, @@Global/**/.a=1", want: "global_variables", read: "global_variables"},
	{sql: "SET PERSIST a=1", want: "global_variables", read: "global_variables"},
	{sql: "SET @@persist_only.a=1", want: "global_variables", read: "global_variables"},
	{sql: "SET/*!50000 GLOBAL*/ a=1", want: "global_variables", read: "global_variables"},
	{sql: "SET GLOBAL TRANSACTION READ ONLY", want: "global_variables", read: "global_variables"},
	{sql: "RESET PERSIST", want: "global_variables", read: "global_variables"},
	{sql: "SET PASSWORD = 'x'", want: "accounts", read: "accounts"},
	{sql: "SET DEFAULT ROLE a TO b", want: "accounts", read: "accounts"},
	{sql: "SET RESOURCE GROUP a", want: "server", read: "server"},
	{sql: "SET STATEMENT max_statement_time=1 FOR SELECT 1", want: "-", read: "-"},
	{sql: "SET STATEMENT max_statement_time=1 FOR DELETE FROM t", want: "-", read: "only"},
	{sql: "SET STATEMENT max_statement_time=1, a=(1) FOR SHUTDOWN", want: "shutdown", read: "shutdown"},

	// The rest of the policy.
	{sql: "SHUTDOWN", want: "shutdown", read: "shutdown"},
	{sql: "/* a */ ; shutdown WAIT FOR ALL SLAVES", want: "shutdown", read: "shutdown"},
	{sql: "RESTART", want: "shutdown", read: "shutdown"},
	{sql: "/*! SHUTDOWN */", want: "shutdown", read: "shutdown"},
	{sql: "/*!99999 SELECT */ SHUTDOWN", want: "shutdown", read: "shutdown"},
	{sql: "/*!50000 SELECT */ /*M!100000 1 */ SHUTDOWN", want: "shutdown", read: "only"},
	{sql: "/*!99999 /* x */ SELECT */ SHUTDOWN", want: "shutdown", read: "shutdown"},
	{sql: "\xa0SHUTDOWN", want: "shutdown", read: "shutdown"},
	{sql: "SHUTDOWN\xa0", want: "shutdown", read: "shutdown"},
	{sql: "/*!40000 a*/ /*!40001 b*/ /*!40002 c*/ /*!40003 d*/", want: "unclear", read: "only"},
	{sql: "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON t FOR EACH ROW SET NEW.a=1 */", want: "-", read: "only"},
	{sql: "FLUSH TABLES WITH READ LOCK", want: "flush_lock", read: "flush_lock"},
	{sql: "FLUSH NO_WRITE_TO_BINLOG TABLES a, b FOR EXPORT", want: "flush_lock", read: "flush_lock"},
	{sql: "FLUSH PRIVILEGES", want: "-", read: "only"},
	{sql: "FLUSH LOGS", want: "-", read: "only"},
	{sql: "BACKUP STAGE START", want: "flush_lock", read: "flush_lock"},
	{sql: "LOCK INSTANCE FOR BACKUP", want: "flush_lock", read: "flush_lock"},
	{sql: "UNLOCK INSTANCE", want: "flush_lock", read: "flush_lock"},
	{sql: "LOCK TABLES FOR BACKUP", want: "flush_lock", read: "flush_lock"},
	{sql: "CREATE USER a", want: "accounts", read: "accounts"},
	{sql: "create or replace role a", want: "accounts", read: "accounts"},
	{sql: "ALTER USER a IDENTIFIED BY 'x'", want: "accounts", read: "accounts"},
	{sql: "DROP USER IF EXISTS a", want: "accounts", read: "accounts"},
	{sql: "RENAME USER a TO b", want: "accounts", read: "accounts"},
	{sql: "GRANT ALL ON *.* TO a", want: "accounts", read: "accounts"},
	{sql: "REVOKE ALL ON *.* FROM a", want: "accounts", read: "accounts"},
	{sql: "CHANGE MASTER 'a' TO master_host='x'", want: "replication", read: "replication"},
	{sql: "CHANGE REPLICATION SOURCE TO source_host='x'", want: "replication", read: "replication"},
	{sql: "START SLAVE", want: "replication", read: "replication"},
	{sql: "STOP ALL SLAVES", want: "replication", read: "replication"},
	{sql: "START GROUP_REPLICATION", want: "replication", read: "replication"},
	{sql: "RESET MASTER", want: "replication", read: "replication"},
	{sql: "RESET BINARY LOGS AND GTIDS", want: "replication", read: "replication"},
	{sql: "RESET QUERY CACHE", want: "-", read: "only"},
	{sql: "RESET QUERY CACHE, MASTER", want: "replication", read: "replication"},
	{sql: "PURGE BINARY LOGS TO 'x'", want: "replication", read: "replication"},
	{sql: "BINLOG 'x'", want: "replication", read: "replication"},
	{sql: "CLONE LOCAL DATA DIRECTORY 'x'", want: "clone", read: "clone"},
	{sql: "INSTALL SONAME 'x'", want: "server", read: "server"},
	{sql: "UNINSTALL COMPONENT 'x'", want: "server", read: "server"},
	{sql: "CREATE SERVER s FOREIGN DATA WRAPPER mysql", want: "server", read: "server"},
	{sql: "ALTER INSTANCE ROTATE INNODB MASTER KEY", want: "server", read: "server"},
	{sql: "CREATE OR REPLACE AGGREGATE FUNCTION IF NOT EXISTS f RETURNS INT SONAME 'x'", want: "server", read: "server"},

	// KILL.
	{sql: "KILL 5", want: "kill:5", read: "only"},
	{sql: "KILL HARD QUERY 5 ;", want: "kill:5", read: "only"},
	{sql: "kill connection 18446744073709551609", want: "kill:18446744073709551609", read: "only"},
	{sql: "KILL 99999999999999999999", want: "kill", read: "kill"},
	{sql: "KILL QUERY ID 5", want: "kill", read: "kill"},
	{sql: "KILL USER a", want: "kill", read: "kill"},
	{sql: "KILL @a", want: "kill", read: "kill"},
	{sql: "KILL 5 + 1", want: "kill", read: "kill"},
	{sql: "KILL 5.0", want: "kill", read: "kill"},
	{sql: "KILL 0x5", want: "kill", read: "kill"},
	{sql: "KILL CONNECTION_ID()", want: "kill", read: "kill"},
	{sql: "KILL ?", want: "kill", read: "kill"},
	{sql: "KILL /*!99999 QUERY */ 5", want: "kill", read: "only"},
	{sql: "KILL /*!99999 5 -- */ 6", want: "kill", read: "only"},
	{sql: "KILL 5; SELECT 1", multi: true, want: "kill", read: "only"},
	{sql: "SELECT 1; KILL 5", multi: true, want: "kill", read: "kill"},
	{sql: "KILL 5; ", multi: true, want: "kill:5", read: "only"},

	// Several statements.
	{sql: "SELECT 1; SHUTDOWN", want: "-", read: "-"}, // a syntax error
	{sql: "SELECT 1; SHUTDOWN", multi: true, want: "shutdown", read: "shutdown"},
	{sql: "INSERT INTO t VALUES (';'); SET GLOBAL a=1", multi: true, want: "global_variables", read: "only"},
	{sql: "INSERT INTO t VALUES ('; SHUTDOWN')", multi: true, want: "-", read: "only"},
	{sql: "SELECT 1; SELECT 2;", multi: true, want: "-", read: "-"},
	{sql: "SELECT 1; DELETE FROM t", multi: true, want: "-", read: "only"},
	{sql: "BEGIN; SHUTDOWN", multi: true, want: "shutdown", read: "shutdown"},

	// Statements within statements.
	{sql: "PREPARE s FROM 'SELECT 1'", want: "-", read: "-"},
	{sql: "PREPARE s FROM 'DELETE FROM t'", want: "-", read: "only"},
	{sql: "PREPARE s FROM 'SET GLOBAL a=''x'''", want: "global_variables", read: "global_variables"},
	{sql: `PREPARE s FROM "SHUT\DOWN"`, want: "shutdown", read: "shutdown"},
	{sql: "PREPARE s FROM 'KILL 5'", want: "kill", read: "kill"},
	{sql: "PREPARE s FROM @a", want: "-", read: "only"},
	{sql: "EXECUTE IMMEDIATE 'SELECT ?' USING 1", want: "-", read: "-"},
	{sql: "EXECUTE IMMEDIATE 'SHUT' 'DOWN'", want: "shutdown", read: "shutdown"},
	{sql: "EXECUTE IMMEDIATE CONCAT('SELECT ', 1)", want: "-", read: "only"},
	{sql: "EXECUTE IMMEDIATE 'PREPARE s FROM ''SELECT 1'''", want: "unclear", read: "unclear"},
	{sql: "EXECUTE s USING @a", want: "-", read: "-"},
	{sql: "DEALLOCATE PREPARE s", want: "-", read: "-"},
	{sql: "DROP PREPARE s", want: "-", read: "-"},
	{sql: "BEGIN NOT ATOMIC DELETE FROM t; END", want: "-", read: "only"},
	{sql: "BEGIN NOT ATOMIC IF a THEN SHUTDOWN; END IF; END", want: "shutdown", read: "shutdown"},
	{sql: "l: LOOP KILL 5; END LOOP", want: "kill", read: "kill"},
	{sql: "`l`: LOOP SET GLOBAL a=1; END LOOP", want: "global_variables", read: "global_variables"},
	{sql: "<<l>> BEGIN DROP USER a; END", want: "accounts", read: "accounts"},
	{sql: "CASE 1 WHEN 1 THEN FLUSH TABLES WITH READ LOCK; END CASE", want: "flush_lock", read: "flush_lock"},

	// What sql_mode and the client's character set decide.
	{sql: `SELECT 'it\'s'`, want: "-", read: "-"},
	{sql: `SELECT '\', 1 INTO OUTFILE 'x' -- '`, want: "outfile", read: "outfile"},
	{sql: `SELECT "\", 1 INTO OUTFILE 'x' -- "`, want: "outfile", read: "outfile"},
	{sql: `SELECT '\'', "\", 1 INTO OUTFILE 'x' -- "`, want: "outfile", read: "outfile"},
	{sql: `SELECT '\\' INTO OUTFILE 'x'`, want: "outfile", read: "outfile"},
	{sql: `SELECT '\\\' INTO OUTFILE ', 1`, want: "outfile", read: "outfile"},
	{sql: "SELECT 'a\x95\\', '\\'', 1 INTO OUTFILE 'x'", want: "outfile", read: "outfile"}, // sjis
	{sql: "SELECT `\x95\x60`, 1 INTO OUTFILE 'x' -- `", want: "outfile", read: "outfile"},
	{sql: "SELECT '\u65e5\\'s' FROM `\u65e5` WHERE a = 'x'", want: "-", read: "-"},
	{sql: `INSERT INTO t VALUES ('it\'s; now'); INSERT INTO t VALUES (1)`, multi: true, want: "-", read: "only"},
	{sql: "SELECT @\x95\x60, 1 INTO OUTFILE 'x' -- `", want: "outfile", read: "outfile"},
	{sql: "SELECT 'open", want: "-", read: "-"},
	{sql: "SELECT `open", want: "-", read: "-"},
	{sql: "SELECT /* open", want: "-", read: "-"},
}

// brief is the notation of the table for v. It fails if the octets of a KILL are
// not the id's.
func brief(t *testing.T, sql string, v Verdict) string {
	switch v.Why {
	case ByPolicy:
		return v.Class.String()
	case ByOnlyRead:
		return "only"
	}
	if v.Kill != (Kill{}) {
		id := strconv.FormatUint(v.Kill.ID, 10)
		if got := sql[v.Kill.Start:v.Kill.End]; got != id {
			t.Errorf("the kill's octets are %q, want %q", got, id)
		}
		return "kill:" + id
	}
	return "-"
}

func TestStatementsAreJudged(t *testing.T) {
	all, read := NewJudge(Config{Table: Default()}), NewJudge(Config{Table: Default(), OnlyRead: true})
	for _, tt := range statements {
		t.Run(tt.sql, func(t *testing.T) {
			if got := brief(t, tt.sql, all.Query([]byte(tt.sql), tt.multi)); got != tt.want {
				t.Errorf("judged %s, want %s", got, tt.want)
			}
			if got := brief(t, tt.sql, read.Query([]byte(tt.sql), tt.multi)); got != tt.read {
				t.Errorf("only reading: judged %s, want %s", got, tt.read)
			}
		})
	}
}

// With every class replayed nothing is skipped but kills that cannot be mapped.
func TestTheTableDecides(t *testing.T) {
	var table Table
	for c := range table {
		table[c] = Replay
	}
	j := NewJudge(Config{Table: table})
	for _, tt := range statements {
		v := j.Query([]byte(tt.sql), tt.multi)
		if v.Why != Replayed && (v.Why != ByPolicy || v.Class != KillSession) {
			t.Errorf("%s: %v %v, want replayed", tt.sql, v.Why, v.Class)
		}
	}
	j = NewJudge(Config{})
	if v := j.Query([]byte("KILL 5"), false); v != (Verdict{Why: ByPolicy, Class: KillSession}) {
		t.Errorf("with KILL skipped: %+v", v)
	}
	if v := j.Query([]byte("SELECT 1"), false); v != (Verdict{}) {
		t.Errorf("an ordinary statement with all classes skipped: %+v", v)
	}
}

func TestExclude(t *testing.T) {
	j := NewJudge(Config{Table: Default(), Exclude: []*regexp.Regexp{regexp.MustCompile(`(?i)from audit\b`), regexp.MustCompile("^KILL")}})
	for sql, want := range map[string]Why{
		"SELECT * FROM audit":    ByExclude,
		"SELECT * FROM audits":   Replayed,
		"SET @a = (1 from audit": ByExclude,
		"KILL 5":                 ByExclude,
		"SHUTDOWN -- from audit": ByPolicy,
	} {
		if got := j.Query([]byte(sql), false); got.Why != want || got.Kill != (Kill{}) {
			t.Errorf("%s: %+v, want %v", sql, got, want)
		}
	}
}

func TestCommands(t *testing.T) {
	tests := []struct {
		name       string
		payload    string
		want, read Verdict
	}{
		{"ping", "\x0e", Verdict{}, Verdict{}},
		{"execute", "\x17\x01\x00\x00\x00", Verdict{}, Verdict{}},
		{"create database", "\x05x", Verdict{}, Verdict{Why: ByOnlyRead}},
		{"shutdown", "\x08\x00", Verdict{Why: ByPolicy, Class: Shutdown}, Verdict{Why: ByPolicy, Class: Shutdown}},
		{"flush", "\x07\x04", Verdict{}, Verdict{Why: ByOnlyRead}},
		{"reset master", "\x07\x80", Verdict{Why: ByPolicy, Class: Replication}, Verdict{Why: ByPolicy, Class: Replication}},
		{"kill", "\x0c\x05\x01\x00\x00", Verdict{Kill: Kill{ID: 261, Start: 1, End: 5}}, Verdict{Why: ByOnlyRead}},
		{"cut kill", "\x0c\x05", Verdict{Why: ByPolicy, Class: KillSession}, Verdict{Why: ByPolicy, Class: KillSession}},
		{"binlog dump", "\x12", Verdict{Why: ByPolicy, Class: Replication}, Verdict{Why: ByPolicy, Class: Replication}},
		{"clone", "\x20", Verdict{Why: ByPolicy, Class: Clone}, Verdict{Why: ByPolicy, Class: Clone}},
		{"multi", "\xfe", Verdict{Why: ByPolicy, Class: Unclear}, Verdict{Why: ByPolicy, Class: Unclear}},
		{"unknown", "\x77", Verdict{}, Verdict{Why: ByOnlyRead}},
		{"nothing", "", Verdict{}, Verdict{Why: ByOnlyRead}},
	}
	all, read := NewJudge(Config{Table: Default()}), NewJudge(Config{Table: Default(), OnlyRead: true})
	for _, tt := range tests {
		if got := all.Command([]byte(tt.payload)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if got := read.Command([]byte(tt.payload)); got != tt.read {
			t.Errorf("%s, only reading: %+v, want %+v", tt.name, got, tt.read)
		}
	}
}

func TestNamesOfThePolicy(t *testing.T) {
	rows := Default().Rows()
	if len(rows) != int(NumClasses)-1 {
		t.Errorf("%d rows, want one for each class but Ordinary", len(rows))
	}
	var seen []string
	for i, row := range rows {
		c, ok := ParseClass(row.Name)
		if !ok || c != Class(i+1) || row.About == "" || slices.Contains(seen, row.Name) {
			t.Errorf("row %+v: class %v, %v", row, c, ok)
		}
		if a, ok := ParseAction(row.Action.String()); !ok || a != row.Action {
			t.Errorf("action %v is not read back", row.Action)
		}
		seen = append(seen, row.Name)
	}
	for _, name := range []string{"", "ordinary", "unknown", "KILL"} {
		if c, ok := ParseClass(name); ok {
			t.Errorf("ParseClass(%q) = %v", name, c)
		}
	}
	if _, ok := ParseAction("maybe"); ok {
		t.Error("ParseAction takes maybe")
	}
}

func TestNothingAllocates(t *testing.T) {
	for _, onlyRead := range []bool{false, true} {
		j := NewJudge(Config{Table: Default(), OnlyRead: onlyRead})
		for _, tt := range statements {
			sql := []byte(tt.sql)
			if n := testing.AllocsPerRun(10, func() { j.Query(sql, tt.multi) }); n != 0 {
				t.Errorf("%s: %v allocations, want 0", tt.sql, n)
			}
		}
	}
}

// However many ways there are to read it, a statement is not read for long.
func TestReadingHasAnEnd(t *testing.T) {
	j := NewJudge(Config{Table: Default()})
	sql := []byte(`SELECT /*!50001 1,*/ /*!50002 2,*/ /*!50003 3,*/ '\'' "\"` + "`\x95\x60`" + strings.Repeat("a ", 8<<20) + "OUTFILE")
	if v := j.Query(sql, false); v != (Verdict{Why: ByPolicy, Class: Unclear}) || j.budget < -len(sql) {
		t.Errorf("%+v with a budget of %d left", v, j.budget)
	}
	if v := j.Query([]byte("SET a=1"), false); v != (Verdict{}) {
		t.Errorf("and then an ordinary statement: %+v", v)
	}
}

// Every keyword is found in any case, and not with one letter more or less.
func TestKeywords(t *testing.T) {
	for w, kw := range words {
		if len(w) > longest {
			t.Errorf("%s is longer than longest", w)
		}
		if got := lookup([]byte(strings.ToLower(w))); got != kw {
			t.Errorf("lookup(%s) = %v, want %v", w, got, kw)
		}
		if got := lookup([]byte(w + "_")); got == kw {
			t.Errorf("lookup(%s_) = %v", w, got)
		}
	}
}
