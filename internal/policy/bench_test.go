package policy

import (
	"strings"
	"testing"
)

func BenchmarkQuery(b *testing.B) {
	row := "(12345,'some text of a row that is neither short nor long',3.14),"
	insert := "INSERT INTO t VALUES " + strings.Repeat(row, 64<<10/len(row)) + "(1,'',0)"
	for _, bm := range []struct {
		name     string
		sql      string
		multi    bool
		onlyRead bool
	}{
		{name: "short select", sql: "SELECT c FROM sbtest1 WHERE id=4711"},
		{name: "short select, multi", sql: "SELECT c FROM sbtest1 WHERE id=4711", multi: true},
		{name: "short select, only read", sql: "SELECT c FROM sbtest1 WHERE id=4711", onlyRead: true},
		{name: "select of 64 KB", sql: "SELECT c FROM t WHERE id IN (" + strings.Repeat("1234567,", 8<<10) + "0)"},
		{name: "select of 64 KB, only read", sql: "SELECT c FROM t WHERE id IN (" + strings.Repeat("1234567,", 8<<10) + "0)", onlyRead: true},
		{name: "insert of 64 KB", sql: insert},
		{name: "insert of 64 KB, multi", sql: insert, multi: true},
		{name: "insert of 64 KB, multi, semicolon", sql: strings.Replace(insert, "some text", "some;text", 1), multi: true},
		{name: "insert of 64 KB, multi, two readings", sql: strings.ReplaceAll(insert, "some text", `some;\'text`), multi: true},
		{name: "set autocommit", sql: "SET autocommit=1"},
		{name: "commit", sql: "COMMIT"},
		{name: "with", sql: "WITH a AS (SELECT id, name FROM t WHERE x = 'y') SELECT a.id, count(*) FROM a JOIN b ON a.id = b.id GROUP BY a.id ORDER BY 2 DESC LIMIT 10"},
		{name: "executable comment", sql: "/*!40101 SET NAMES utf8 */"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			j := NewJudge(Config{Table: Default(), OnlyRead: bm.onlyRead})
			sql := []byte(bm.sql)
			b.SetBytes(int64(len(sql)))
			b.ReportAllocs()
			for b.Loop() {
				j.Query(sql, bm.multi)
			}
		})
	}
}
