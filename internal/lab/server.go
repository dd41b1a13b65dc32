package lab

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Accounts that both servers have, on every schema. The target's passwords
// differ from production's, so that a replay that copied the captured scramble
// would be refused.
const (
	AppUser, AppPassword, AppTargetPassword    = "app", "app-secret", "app-target-secret"
	BenchUser, BenchPassword, BenchTargetPword = "sbtest", "sb-secret", "sb-target-secret"
)

// SmallServer are the flags of a lab's server, beyond those of tools/mysqlds.
// Without a thread cache MariaDB's statement ids start at 1 on every connection,
// so that they are the same on both servers.
var SmallServer = []string{
	"--thread-cache-size=0",
	"--max-allowed-packet=64M",
	"--max-connections=2000",
	"--back-log=2000",
	"--performance-schema=OFF",
	"--innodb-buffer-pool-size=64M",
	"--innodb-flush-log-at-trx-commit=0",
	"--local-infile=ON",
}

// A Server is one server of the lab. Version and Flags are set before Up; the
// methods are for after it.
type Server struct {
	Version string   // as `tools/mysqlds versions` lists them; "": DefaultVersion
	Flags   []string // of mysqld; nil: SmallServer
	TLS     bool     // offers TLS to clients that ask for it

	host     *Host
	tool     string // tools/mysqlds
	software string // where the version is unpacked
	data     string
	socket   string
	db       *sql.DB
}

// DefaultVersion is the version of LAB_SERVER, or the server that is installed,
// or else the one that tools/mysqlds fetches.
func DefaultVersion() string {
	if v := os.Getenv("LAB_SERVER"); v != "" {
		return v
	}
	if installed("mariadbd") {
		return "system"
	}
	return "mariadb-10.11"
}

// create fetches the software where it is missing, makes the data directory and
// starts the server, then the schema and the accounts.
func (s *Server) create(ctx context.Context, l *Lab, h *Host) error {
	if s.Version == "" {
		s.Version = DefaultVersion()
	}
	if s.Flags == nil {
		s.Flags = SmallServer
	}
	s.host = h
	s.tool = l.tool()
	s.data = filepath.Join(h.dir, "data")
	s.socket = filepath.Join(h.dir, "mysqld.sock")
	if s.TLS {
		flags, err := certificate(h.dir)
		if err != nil {
			return fmt.Errorf("certificate for %s: %w", h.Name, err)
		}
		s.Flags = append(slices.Clone(s.Flags), flags...)
	}
	var err error
	if s.software, err = l.Software(ctx, s.Version); err != nil {
		return err
	}
	if _, err := run(ctx, s.tool, "init", s.software, s.data); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	app, bench := AppPassword, BenchPassword
	if h.Name == "target" {
		app, bench = AppTargetPassword, BenchTargetPword
	}
	for _, statement := range []string{
		"CREATE DATABASE IF NOT EXISTS sbtest",
		"CREATE DATABASE IF NOT EXISTS app",
		account(AppUser, app),
		account(BenchUser, bench),
		"GRANT ALL ON *.* TO " + AppUser + "@'%'",
		"GRANT ALL ON *.* TO " + BenchUser + "@'%'",
	} {
		if err := s.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// tool is the script that fetches and starts servers.
func (l *Lab) tool() string { return filepath.Join(l.repo, "tools", "mysqlds") }

// Software fetches a version as `tools/mysqlds versions` lists them, if it is not
// there yet, and returns the directory that holds it; programs are in its bin.
func (l *Lab) Software(ctx context.Context, version string) (dir string, err error) {
	cache := os.Getenv("MRTECOPY_SERVERS")
	if cache == "" {
		cache = filepath.Join(l.repo, ".lab", "servers")
	}
	dir = filepath.Join(cache, version)
	_, err = run(ctx, l.tool(), "fetch", version, dir)
	return dir, err
}

func account(user, password string) string {
	return "CREATE USER " + user + "@'%' IDENTIFIED BY '" + password + "'" // the version's default plugin
}

// Start starts the server and returns when it accepts connections.
func (s *Server) Start(ctx context.Context) error {
	args := append([]string{"-c", s.host.cpus, s.tool, "start", s.software, s.data, "--netns", s.host.NS,
		"--port", "3306", "--bind", "*", "--socket", s.socket, "--"}, s.Flags...)
	if _, err := run(ctx, "taskset", args...); err != nil {
		return fmt.Errorf("server on %s: %w", s.host.Name, err)
	}
	db, err := sql.Open("mysql", "root@unix("+s.socket+")/?interpolateParams=true")
	if err != nil {
		return err
	}
	// One connection, for ever: the observer's own share of the counters is
	// then known (see Counters).
	db.SetMaxOpenConns(1)
	db.SetConnMaxLifetime(0)
	db.SetMaxIdleConns(1)
	s.db = db
	return db.PingContext(ctx)
}

// Stop ends the server in order.
func (s *Server) Stop(ctx context.Context) error {
	s.forget()
	_, err := run(ctx, s.tool, "stop", s.data)
	return err
}

// Kill ends the server as a power cut would.
func (s *Server) Kill(ctx context.Context) error {
	s.forget()
	pid, err := s.pid(ctx)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// Pause stops the server's process for a while: it answers nothing, but its host
// goes on to acknowledge.
func (s *Server) Pause(ctx context.Context, d time.Duration) error {
	pid, err := s.pid(ctx)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return syscall.Kill(pid, syscall.SIGCONT)
}

// pid is the server's process id.
func (s *Server) pid(ctx context.Context) (pid int, err error) {
	out, err := run(ctx, s.tool, "status", s.data)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscan(out, &pid); err != nil {
		return 0, fmt.Errorf("server on %s: process id %q: %w", s.host.Name, out, err)
	}
	return pid, nil
}

// forget closes the observer's connection, which would not survive.
func (s *Server) forget() {
	if s.db != nil {
		s.db.Close()
		s.db = nil
	}
}

// Socket is the server's unix socket: connections that no capture sees.
func (s *Server) Socket() string { return s.socket }

// Log is the server's error log.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.data, "error.log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
