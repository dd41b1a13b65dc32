package policy

import "testing"

func TestStreamable(t *testing.T) {
	all := NewJudge(Config{Table: Default()})
	reads := NewJudge(Config{Table: Default(), OnlyRead: true})
	for _, tt := range []struct {
		sql  string
		want bool
	}{
		{"INSERT INTO t VALUES (", true},
		{" /* c */ replace into", true},
		{"LOAD DATA", true},
		{"SELECT 1", false}, // INTO OUTFILE may follow
		{"/*!50000 SET GLOBAL x = 1 */", false},
		{"INSERT", true},
		{"INSER", false},
		{"", false},
	} {
		if got := all.Streamable([]byte(tt.sql), false); got != tt.want {
			t.Errorf("%q: %v", tt.sql, got)
		}
		if all.Streamable([]byte(tt.sql), true) || reads.Streamable([]byte(tt.sql), false) {
			t.Errorf("%q: in several statements, or of reads only", tt.sql)
		}
	}
}

func TestUseSchema(t *testing.T) {
	for _, tt := range []struct {
		sql, want string
		ok        bool
	}{
		{"USE shop", "shop", true},
		{"use\t`my shop`;", "my shop", true},
		{" /* c */ Use shop; SELECT 1", "shop", true},
		{"USE", "", false},
		{"USE `shop", "shop", false},
		{"SELECT 1", "", false},
		{"USER()", "", false},
	} {
		if got, ok := UseSchema([]byte(tt.sql)); ok != tt.ok || ok && string(got) != tt.want {
			t.Errorf("%q: %q, %v", tt.sql, got, ok)
		}
	}
}

// What may be streamed is replayed with whatever follows.
func FuzzStreamable(f *testing.F) {
	f.Add([]byte("INSERT INTO t VALUES (1), (2) /* c */ ; DROP USER u"), 10)
	f.Add([]byte("/**/LOAD DATA LOCAL INFILE 'f' INTO TABLE t"), 6)
	j := NewJudge(Config{Table: Default()})
	f.Fuzz(func(t *testing.T, sql []byte, n int) {
		if n < 0 || n > len(sql) || !j.Streamable(sql[:n], false) {
			return
		}
		// A word that goes on is another word: what is streamed ends within text.
		if n < len(sql) && isName(sql[n]) {
			return
		}
		if v := j.Query(sql, false); v.Why != Replayed {
			t.Errorf("%q: streamable from %q, but %v", sql, sql[:n], v)
		}
	})
}
