//go:build oracle

package policy

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver" // the parser's values
)

// fragments are what the oracle's texts are made of: statements of the table cut
// into words would nearly never be put together to something that parses.
var fragments = []string{
	"SELECT 1", "SELECT a FROM t", "(SELECT a FROM t)", "SELECT a INTO OUTFILE 'x' FROM t", "WITH c AS (SELECT 1)", "DELETE FROM t", "UPDATE t SET a=1",
	"INSERT INTO t SELECT 1", "REPLACE INTO t VALUES (1)", "FOR UPDATE", "FOR SHARE", "LOCK IN SHARE MODE", "INTO OUTFILE 'x'", "WHERE a=1", "UNION", "UNION ALL",
	"EXPLAIN", "EXPLAIN ANALYZE", "DESC", "SET @a=1", "SET GLOBAL a=1", "SET a=1", ", GLOBAL b=2", ", @@global.b=2", ", @b=(SELECT 1)", "SHOW TABLES", "SHUTDOWN",
	"RESTART", "GRANT ALL ON *.* TO a", "CREATE USER a", "DROP ROLE a", "KILL 5", "FLUSH TABLES WITH READ LOCK", "FLUSH PRIVILEGES", "BEGIN", "COMMIT", "ANALYZE TABLE t",
	"PREPARE s FROM 'DELETE FROM t'", "PREPARE s FROM 'SELECT 1'", "EXECUTE s", "TABLE t", "VALUES ROW(1)", "DO 1", "GET_LOCK('a',1)", "SELECT GET_LOCK('a',1)",
	"SELECT 'it\\'s'", "SELECT `a` FROM t", "SELECT \"a\"", "/* c */", "-- c\n", "# c\n", "/*!40000 ", "*/", ";", "(", ")", ",", "CALL p()", "USE x", "ALTER USER a ACCOUNT LOCK",
	"CREATE TABLE u (a INT)", "TRUNCATE t", "LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "SAVEPOINT a", "SET PASSWORD='x'", "SET DEFAULT ROLE a TO b", "ORDER BY a", "LIMIT 1",
}

// What the parser takes for something that writes, locks, or is of a class is
// not replayed; what it takes for a plain query is. So says a parser that has
// nothing in common with the judge, of every text that both can read.
func TestTheParserAgrees(t *testing.T) {
	p := parser.New()
	all, read := NewJudge(Config{Table: Default()}), NewJudge(Config{Table: Default(), OnlyRead: true})
	parsed := 0
	check := func(sql string) {
		stmts, _, err := p.Parse(sql, "", "")
		if err != nil || len(stmts) == 0 {
			return
		}
		parsed++
		var class Class
		var writes bool
		for _, s := range stmts {
			c, w := ofTree(s)
			if class == Ordinary {
				class = c
			}
			writes = writes || w
		}
		v, r := all.Query([]byte(sql), true), read.Query([]byte(sql), true)
		if class != Ordinary && (v.Why != ByPolicy || r.Why == Replayed) {
			t.Errorf("%q is %v for the parser, judged %+v and %+v", sql, class, v, r)
		}
		if writes && r.Why == Replayed {
			t.Errorf("%q writes for the parser, judged %+v", sql, r)
		}
		if !writes && class == Ordinary && len(stmts) == 1 && !strings.Contains(sql, "/*!") &&
			!strings.Contains(sql, "OUTFILE") && r.Why != Replayed {
			t.Errorf("%q is harmless for the parser, judged %+v", sql, r)
		}
	}
	for _, tt := range statements {
		if tt.read == "-" && !strings.Contains(tt.sql, ";") {
			check(tt.sql)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 400_000 {
		var sql strings.Builder
		for range 1 + rnd.IntN(5) {
			sql.WriteString(fragments[rnd.IntN(len(fragments))])
			sql.WriteByte(' ')
		}
		check(sql.String())
	}
	t.Logf("%d texts compared", parsed)
	if parsed < 10_000 {
		t.Errorf("only %d texts could be parsed", parsed)
	}
}

// ofTree says what the policy has to find in s.
func ofTree(s ast.StmtNode) (class Class, writes bool) {
	switch s := s.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt, *ast.ShowStmt, *ast.DoStmt:
		v := &treeVisitor{}
		s.Accept(v)
		return v.class, v.writes
	case *ast.ExplainStmt:
		class, writes := ofTree(s.Stmt)
		v := &treeVisitor{}
		s.Stmt.Accept(v)
		_, query := s.Stmt.(ast.ResultSetNode)
		switch {
		case v.calls:
			writes = true
		case !s.Analyze:
			writes = false
		case !query:
			writes = true
		}
		return class, writes
	case *ast.SetStmt:
		for _, a := range s.Variables {
			if a.IsSystem && a.IsGlobal {
				return GlobalVariables, true
			}
		}
		v := &treeVisitor{}
		s.Accept(v)
		return v.class, v.writes
	case *ast.PrepareStmt:
		stmts, _, err := parser.New().Parse(s.SQLText, "", "")
		if err != nil || len(stmts) != 1 {
			return Ordinary, true
		}
		return ofTree(stmts[0])
	case *ast.BeginStmt, *ast.CommitStmt, *ast.RollbackStmt, *ast.SavepointStmt, *ast.UseStmt, *ast.ExecuteStmt,
		*ast.ReleaseSavepointStmt, *ast.DeallocateStmt, *ast.SetRoleStmt:
		return Ordinary, false
	case *ast.ShutdownStmt, *ast.RestartStmt:
		return Shutdown, true
	case *ast.GrantStmt, *ast.CreateUserStmt, *ast.AlterUserStmt, *ast.DropUserStmt, *ast.SetPwdStmt, *ast.SetDefaultRoleStmt:
		return Accounts, true
	case *ast.FlushStmt:
		if s.ReadLock {
			return FlushLock, true
		}
	}
	return Ordinary, true
}

// A treeVisitor looks for locks, files and functions in a query.
type treeVisitor struct {
	class         Class
	writes, calls bool
}

func (v *treeVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		if n.LockInfo != nil && n.LockInfo.LockType != ast.SelectLockNone {
			v.writes = true
		}
		if n.SelectIntoOpt != nil {
			v.class, v.writes = Outfile, true
		}
	case *ast.FuncCallExpr:
		if kw := lookup([]byte(n.FnName.O)); kw == kwLocking {
			v.writes, v.calls = true, true
		}
	}
	return n, false
}

func (v *treeVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }
