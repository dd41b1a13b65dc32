//go:build record

// Records conversations in compressed packets into testdata/compressed:
//
//	MYSQL=SERVERS/mysql-9.7/bin/mysql RUN=TestRecordCompressed testdata/record.sh SERVERS
//
// MYSQL is a mysql client that knows zstd; without it that is left out.

package mysql

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// A squeezer is a talker that speaks in compressed packets.
type squeezer struct {
	*talker
	how      Compression
	sequence uint8
	d        Decompressor
}

// pack appends b in one compressed packet, as clients do: what is short stays
// as it is.
func (s *squeezer) pack(dst []byte, sequence uint8, b []byte) []byte {
	var packed bytes.Buffer
	size := len(b)
	switch {
	case len(b) < 50:
		packed.Write(b)
		size = 0
	case s.how == CompressionZlib:
		z := zlib.NewWriter(&packed)
		z.Write(b)
		z.Close()
	case s.how == CompressionZstd:
		z, _ := zstd.NewWriter(nil)
		packed.Write(z.EncodeAll(b, nil))
	}
	dst = AppendHeader(dst, packed.Len(), sequence)
	dst = append(dst, byte(size), byte(size>>8), byte(size>>16))
	return append(dst, packed.Bytes()...)
}

// write sends one packet in one compressed packet.
func (s *squeezer) write(compressed, sequence uint8, payload []byte) {
	b := append(AppendHeader(nil, len(payload), sequence), payload...)
	if _, err := s.c.Write(s.pack(nil, compressed, b)); err != nil {
		s.t.Fatal(err)
	}
}

// reply reads until the server is quiet; last is what came, decompressed.
func (s *squeezer) reply() {
	s.talker.reply()
	var plain []byte
	for b := s.last; len(b) > 0; {
		h, ok := ParseCompressedHeader(b)
		if !ok {
			s.t.Fatalf("%x is no compressed packet", b)
		}
		p, err := s.d.Packet(s.how, h, b[CompressedHeaderSize:][:h.Length])
		if err != nil {
			s.t.Fatal(err)
		}
		s.sequence = h.Sequence
		plain = append(plain, p...)
		b = b[CompressedHeaderSize+h.Length:]
	}
	s.last = plain
}

func (s *squeezer) say(c Command, args ...any) {
	s.write(0, 0, payload(c, args...))
	s.reply()
}

// tour says what shows how compressed packets are filled.
func (s *squeezer) tour() {
	s.say(ComQuery, "do 1")
	s.say(ComQuery, "select 1")
	s.say(ComQuery, "select '"+strings.Repeat("abc", 20)+"'")
	s.say(ComQuery, "select length('"+strings.Repeat("x", 20000)+"')")
	s.say(ComQuery, "select repeat('x', 100000)")
	s.say(ComQuery, "selec")
	for _, text := range []string{
		"do 1",
		"select ?",
		"select ?, ?, 3 as a_long_name_for_a_column, 4",
		"select 1" + strings.Repeat(", 'some column'", 100),
		"select 1" + strings.Repeat(", ?", 400),
		"selec",
	} {
		s.say(ComStmtPrepare, text)
		id, _, params, ok := ParsePrepareOK(s.last[HeaderSize:])
		if ok && params == 0 {
			s.say(ComStmtExecute, id, noCursor, once)
		}
		if ok {
			s.write(0, 0, payload(ComStmtClose, id))
		}
	}
	// A packet of two compressed ones, and two packets in one.
	q := payload(ComQuery, "select 'a packet in two compressed packets, of which neither is whole'")
	b := append(AppendHeader(nil, len(q), 0), q...)
	s.c.Write(s.pack(s.pack(nil, 0, b[:10]), 1, b[10:]))
	s.reply()
	s.say(ComChangeUser, account+"\x00", byte(0), schema+"\x00", uint16(useUnicode), PluginNativePassword+"\x00")
	if s.last[HeaderSize] == eofHeader {
		s.write(s.sequence+1, s.lastPacket().Sequence+1, nil)
		s.reply()
	}
	s.say(ComQuery, "select 'changed'")
	s.write(0, 0, payload(ComQuit))
	s.c.Close()
}

// squeeze logs in through a recorder with compression.
func squeeze(t *testing.T, target string, caps Capabilities) (*squeezer, *recorder) {
	r := record(t, target)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	k := &talker{t: t, c: c, wait: 60 * time.Millisecond}
	k.reply()
	login := Login{Capabilities: baseline | caps, ZstdLevel: 3, MaxPacket: 1 << 30, Charset: useUnicode, User: account, Schema: schema, Plugin: PluginNativePassword}
	k.write(1, login.Append(nil))
	k.reply()
	if k.last[HeaderSize] == eofHeader { // an AuthSwitchRequest: no password, no proof
		k.write(3, nil)
		k.reply()
	}
	if k.last[HeaderSize] != okHeader {
		t.Fatalf("login: %q", k.last)
	}
	return &squeezer{talker: k, how: caps.Compression()}, r
}

// saveCompressed checks what was recorded, and writes it.
func saveCompressed(t *testing.T, r *recorder, name string, keep bool) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the connection does not end")
	}
	seen := r.said.checkCompressed(t)
	t.Log(seen)
	if !keep {
		return
	}
	file := filepath.Join("testdata", "compressed", name)
	if err := r.said.write(file + ".bin"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".txt", []byte(seen), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRecordCompressed(t *testing.T) {
	for _, s := range strings.Fields(os.Getenv("RECORD")) {
		server, target, _ := strings.Cut(s, "=")
		t.Run(server, func(t *testing.T) {
			t.Run("zlib", func(t *testing.T) {
				s, r := squeeze(t, target, ClientCompress)
				s.tour()
				saveCompressed(t, r, server+"-zlib", true)
			})
			if strings.HasPrefix(server, "mysql-9") {
				t.Run("zstd", func(t *testing.T) {
					s, r := squeeze(t, target, ClientZstdCompressionAlgorithm)
					s.tour()
					saveCompressed(t, r, server+"-zstd", true)
				})
			}
			t.Run("go", func(t *testing.T) {
				recordGoCompressed(t, target, 2000, server+"-go", strings.Contains("mysql-9.7 mariadb-10.11", server))
				recordGoCompressed(t, target, 20<<20, "", false)
			})
			t.Run("cli", func(t *testing.T) {
				mysql := os.Getenv("MYSQL")
				name := ""
				if server == "mariadb-10.11" {
					name = server + "-cli"
				}
				recordClient(t, target, name, 20000, "mariadb", "--skip-ssl", "--compress")
				recordClient(t, target, "", 20<<20, "mariadb", "--skip-ssl", "--compress")
				if mysql == "" || server != "mysql-9.7" {
					return
				}
				for _, algorithm := range []string{"zlib", "zstd"} {
					args := []string{mysql, "--ssl-mode=DISABLED", "--get-server-public-key", "--compression-algorithms=" + algorithm}
					recordClient(t, target, server+"-cli-"+algorithm, 20000, args...)
					recordClient(t, target, "", 20<<20, args...)
				}
			})
		})
	}
}

// recordClient has a command-line client send some queries, one of size octets.
func recordClient(t *testing.T, target, name string, size int, args ...string) {
	t.Helper()
	r := record(t, target)
	host, port, _ := net.SplitHostPort(r.addr)
	args = append(args, "-h", host, "-P", port, "-u", account, "--max-allowed-packet=64M", schema)
	cmd := exec.Command(args[0], append([]string{"--no-defaults"}, args[1:]...)...)
	cmd.Stdin = strings.NewReader("select 1;\nselect repeat('a', 100);\nselect length('" + strings.Repeat("x", size) + "');\n" +
		"select length('" + noise(size/10) + "');\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	saveCompressed(t, r, name, name != "")
}

// noise returns size octets that do not compress well.
func noise(size int) string {
	b := make([]byte, size)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x>>26]
	}
	return string(b)
}

// recordGoCompressed has go-sql-driver send some queries, one of size octets.
func recordGoCompressed(t *testing.T, target string, size int, name string, keep bool) {
	t.Helper()
	r := record(t, target)
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName = "tcp", r.addr, account, schema
	cfg.MaxAllowedPacket = 64 << 20
	if err := cfg.Apply(driver.EnableCompression(true)); err != nil {
		t.Fatal(err)
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	text := noise(size)
	for _, q := range []struct {
		text string
		args []any
	}{
		{"select 1", nil},
		{"select length('" + text + "')", nil},
		{"select length('" + strings.Repeat("x", size) + "')", nil},
		{"select length(?)", []any{text}},
		{"select ? + ?", []any{1, 2}},
	} {
		if err := conn.QueryRowContext(ctx, q.text, q.args...).Scan(&n); err != nil {
			t.Error(cmp.Or(err.Error(), q.text[:10]))
		}
	}
	conn.Close()
	db.Close()
	saveCompressed(t, r, name, keep)
}
