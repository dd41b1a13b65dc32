// Command loadclient is the client of the end-to-end tests: it loads one server
// with one kind of session and prints, as a line of JSON, what it did.
//
//	loadclient [flags] KIND
//
// Kinds are the files of this folder: select, short, loop (simple.go), result,
// insert, infile (big.go), idle, trickle (long.go), mixed, write (mixed.go), visit
// (visit.go), pool (pool.go); those of the benchmarks, which cost little: paced, crowd;
// and those that speak the protocol themselves (raw.go): statements,
// longdata, cursors, local, chains, resetting, others, types, bulk (commands.go),
// forbidden, kill, last (commands_policy.go), random (random.go).
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// A client is one run: what to load, how much, and what was done.
type client struct {
	addr, user, password, schema string
	other, otherPassword         string
	queries, proxy, until        string
	n, each, threads, first      int
	size                         int
	seed                         uint64
	pause, duration              time.Duration
	prepared, compress, lax, tls bool
	temporary, transactions      bool
	rate                         float64
	what                         string
	from                         []string

	began, ended time.Time  // of paced and crowd: of the load itself
	latency      [3]float64 // of paced

	commands, connections, errors atomic.Int64
}

// kinds are the loads by name.
var kinds = map[string]func(*client, context.Context) error{
	"select": (*client).selects, "short": (*client).short, "loop": (*client).loop,
	"result": (*client).result, "insert": (*client).insert, "infile": (*client).infile,
	"idle": (*client).idle, "trickle": (*client).trickle,
	"mixed": (*client).mixed, "write": (*client).write, "visit": (*client).visit,
	"statements": (*client).statements, "longdata": (*client).longData, "cursors": (*client).cursors,
	"local": (*client).local, "chains": (*client).chains, "others": (*client).others,
	"resetting": (*client).resetting,
	"forbidden": (*client).forbidden, "kill": (*client).kill, "last": (*client).last,
	"paced": (*client).paced, "crowd": (*client).crowd, "pool": (*client).pool,
	"types": (*client).everyType, "bulk": (*client).bulk, "random": (*client).random,
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	c := &client{}
	f := flag.NewFlagSet("loadclient", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.addr, "addr", "", "HOST:PORT of the server")
	f.StringVar(&c.user, "user", "app", "account")
	f.StringVar(&c.password, "password", "app-secret", "its password")
	f.StringVar(&c.other, "other", "second", "another account, to change to")
	f.StringVar(&c.otherPassword, "other-password", "app-secret", "its password")
	f.StringVar(&c.schema, "schema", "app", "schema")
	f.StringVar(&c.queries, "queries", "", "file of statements, one a line")
	f.IntVar(&c.n, "n", 1, "how many: commands, connections or rows, as the kind has it")
	f.IntVar(&c.each, "each", 1, "commands on each connection")
	f.IntVar(&c.threads, "threads", 1, "how many at once")
	f.IntVar(&c.first, "first", 0, "the number of the first session of a pool")
	f.IntVar(&c.size, "size", 1000, "bytes of a value")
	f.Uint64Var(&c.seed, "seed", 1, "what a random load is made of")
	f.DurationVar(&c.pause, "pause", 0, "pause between commands, or how long to idle")
	f.DurationVar(&c.duration, "for", 0, "end after this long instead of after -n")
	f.Float64Var(&c.rate, "rate", 0, "commands or connections a second, all together; 0: as many as can be")
	f.StringVar(&c.what, "what", "select", "the command of a paced load: select, execute, or insert of -size")
	f.Func("from", "an address of this host to connect from; repeatable", func(a string) error { c.from = append(c.from, a); return nil })
	f.BoolVar(&c.prepared, "prepared", false, "prepared statements")
	f.BoolVar(&c.compress, "compress", false, "compressed packets")
	f.StringVar(&c.proxy, "proxy", "", "what to send in front of the login, as a proxy does; Go's escapes")
	f.StringVar(&c.until, "until", "", "the file for which a pool waits before it is used")
	f.BoolVar(&c.temporary, "temporary", false, "temporary tables")
	f.BoolVar(&c.transactions, "transactions", false, "transactions that are open while the pool is warm")
	f.BoolVar(&c.tls, "tls", false, "TLS, without a look at the certificate")
	f.BoolVar(&c.lax, "lax", false, "count errors and go on")
	if f.Parse(args) != nil || f.NArg() != 1 || kinds[f.Arg(0)] == nil {
		fmt.Fprintln(stderr, "usage: loadclient [flags] KIND")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if c.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.duration)
		defer cancel()
	}
	started := time.Now()
	err := kinds[f.Arg(0)](c, ctx)
	did := map[string]any{
		"commands": c.commands.Load(), "connections": c.connections.Load(), "errors": c.errors.Load(),
		"seconds": time.Since(started).Seconds(),
	}
	if !c.ended.IsZero() {
		did["began"], did["ended"], did["latency_us"], did["cpu"] = c.began, c.ended, c.latency, cpu()
	}
	json.NewEncoder(stdout).Encode(did)
	if err != nil {
		fmt.Fprintln(stderr, "loadclient:", err)
		return 1
	}
	return 0
}

// cpu is the seconds of it that this process took.
func cpu() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// A session is one connection to the server, with a count of its commands.
type session struct {
	*sql.Conn
	c  *client
	db *sql.DB
}

// open logs in. The driver is kept from sending anything of its own: no ping,
// no second connection, text statements with the arguments written into them.
func (c *client) open(ctx context.Context) (*session, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", c.addr
	cfg.User, cfg.Passwd, cfg.DBName = c.user, c.password, c.schema
	cfg.InterpolateParams = !c.prepared
	cfg.MultiStatements = true
	cfg.MaxAllowedPacket = 64 << 20
	cfg.AllowAllFiles = true
	cfg.Collation = "utf8mb4_general_ci"
	cfg.Timeout = 10 * time.Second
	cfg.CheckConnLiveness = false
	cfg.Logger = &mysql.NopLogger{}
	if c.tls {
		cfg.TLSConfig = "skip-verify"
	}
	if err := cfg.Apply(mysql.EnableCompression(c.compress)); err != nil {
		return nil, err
	}
	if c.proxy != "" {
		cfg.DialFunc = c.dialAsProxy
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	c.connections.Add(1)
	return &session{Conn: conn, c: c, db: db}, nil
}

// dialAsProxy connects, and says whose connection it is.
func (c *client) dialAsProxy(ctx context.Context, network, addr string) (net.Conn, error) {
	header, err := strconv.Unquote(`"` + c.proxy + `"`)
	if err != nil {
		return nil, fmt.Errorf("-proxy: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte(header)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// Close ends the session in order: COM_QUIT, then FIN.
func (s *session) Close() error {
	s.Conn.Close()
	return s.db.Close()
}

// do runs one statement and reads its whole result.
func (s *session) do(ctx context.Context, query string, args ...any) error {
	rows, err := s.QueryContext(ctx, query, args...)
	if err == nil {
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
			}
		}
		err = rows.Err()
		rows.Close()
	}
	s.c.commands.Add(1)
	if err != nil {
		s.c.errors.Add(1)
		return fmt.Errorf("%.80s: %w", query, err)
	}
	return nil
}

// expired reports whether the run's time is over, which is no error.
func expired(ctx context.Context) bool { return ctx.Err() != nil }
