package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// Options say what kind of lab to raise. The zero value is a good one.
type Options struct {
	Prefix     string // of the namespaces' names; "": one of this process's own
	Production Server // the zero Server: DefaultVersion with the flags of SmallServer
	Target     Server
	More       []string  // names of further hosts; see Lab.Host and Lab.Serve
	Bare       bool      // for benchmarks: neither servers, see Lab.StartLight, nor watches on the wires
	Unwatched  bool      // with servers, but without watches
	Keep       bool      // the lab outlives this process: `lab up`
	Log        io.Writer // what is being done, one line each; nil: nowhere
}

// A Lab is the raised world. Its methods may be called from several goroutines,
// except Down.
type Lab struct {
	Client, Production, Target, Blackhole *Host

	ProductionServer, TargetServer *Server

	prefix string
	repo   string // the repository's root
	dir    string // everything the lab writes
	bin    string // our programs
	hosts  []*Host
	log    io.Writer
	patch  *patch    // of the cables that are faulty; nil: none is
	reaper io.Closer // closing it takes the lab down
	reaped chan error
}

//go:embed teardown.sh
var teardown string

// labs counts those that this process raised.
var labs atomic.Uint32

// mark is the file that says a directory was made by a lab and may go with it.
const mark = ".mrtecopy-lab"

// Up raises a lab: network, servers with the same schema and accounts, watches.
// Routes and our programs are the caller's to start, as a user would.
func Up(ctx context.Context, o Options) (_ *Lab, err error) {
	if err := permitted(); err != nil {
		return nil, err
	}
	l := &Lab{prefix: o.Prefix, log: o.Log}
	if l.prefix == "" {
		l.prefix = fmt.Sprintf("mc%dn%d", os.Getpid(), labs.Add(1))
	}
	if l.log == nil {
		l.log = io.Discard
	}
	if _, err := os.Stat("/run/netns/" + l.prefix + "-switch"); err == nil {
		return nil, fmt.Errorf("a lab %s is already up", l.prefix)
	}
	if l.repo, err = repository(); err != nil {
		return nil, err
	}
	if l.dir, err = os.MkdirTemp("", "mrtecopy-lab-"); err != nil {
		return nil, err
	}
	// Not for us alone: a test runs our programs as another user.
	if err := errors.Join(os.Chmod(l.dir, 0o755), os.WriteFile(filepath.Join(l.dir, mark), nil, 0o644)); err != nil {
		return nil, err
	}
	l.bin = filepath.Join(l.dir, "bin")
	if !o.Keep {
		if err := l.startReaper(); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Down())
		}
	}()

	fmt.Fprintln(l.log, "lab: building our programs")
	if err := l.build(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(l.log, "lab: raising namespaces %s-*\n", l.prefix)
	if err := l.raiseNetwork(ctx, o.More...); err != nil {
		return nil, err
	}
	if o.Bare || o.Unwatched { // to measure
		if err := l.steer(ctx); err != nil {
			return nil, err
		}
	}
	if o.Bare {
		return l, nil
	}
	if !o.Unwatched {
		if err := l.watch(ctx); err != nil {
			return nil, err
		}
	}
	l.ProductionServer, l.TargetServer = &o.Production, &o.Target
	for _, s := range []struct {
		server *Server
		host   *Host
	}{{l.ProductionServer, l.Production}, {l.TargetServer, l.Target}} {
		fmt.Fprintf(l.log, "lab: starting the server on %s\n", s.host.Name)
		if err := s.server.create(ctx, l, s.host); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Down takes the lab down and returns when nothing is left of it.
func (l *Lab) Down() error {
	for _, s := range []*Server{l.ProductionServer, l.TargetServer} {
		if s != nil {
			s.forget()
		}
	}
	if l.patch != nil {
		l.patch.close() // it goes anyway
	}
	if l.reaper == nil {
		return TearDown(l.prefix, l.dir)
	}
	err := l.reaper.Close()
	return errors.Join(err, <-l.reaped)
}

// Host returns the host of that name.
func (l *Lab) Host(name string) *Host {
	for _, h := range l.hosts {
		if h.Name == name {
			return h
		}
	}
	panic("lab: no host " + name)
}

// Serve starts one more server, on a further host. It has production's accounts.
func (l *Lab) Serve(ctx context.Context, h *Host, s *Server) error { return s.create(ctx, l, h) }

// File is the path of a file of the repository.
func (l *Lab) File(path string) string { return filepath.Join(l.repo, path) }

// Prefix and Dir are what TearDown asks for.
func (l *Lab) Prefix() string { return l.prefix }
func (l *Lab) Dir() string    { return l.dir }

// TearDown takes down the lab of that prefix and directory, whoever raised it.
func TearDown(prefix, dir string) error {
	out, err := exec.Command("sh", "-c", teardown, "teardown", prefix, dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("take the lab %s down: %w: %s", prefix, err, out)
	}
	return nil
}

// startReaper starts the shell that takes the lab down once we close our end of
// its standard input, or die. It has a session of its own, so that a Ctrl-C in
// the terminal does not reach it, and holds none of our outputs open.
func (l *Lab) startReaper() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", teardown, "teardown", l.prefix, l.dir, "wait")
	cmd.Stdin = r
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start the reaper: %w", err), w.Close())
	}
	l.reaper, l.reaped = w, make(chan error, 1)
	go func() { l.reaped <- cmd.Wait() }()
	return nil
}

// build builds our programs, static as they are shipped, or takes them from
// MRTECOPY_BIN, where some may have been built in another way.
func (l *Lab) build(ctx context.Context) error {
	if dir := os.Getenv("MRTECOPY_BIN"); dir != "" {
		return os.Symlink(dir, l.bin)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(l.repo, "tools", "go"), "build", "-o", l.bin+"/", "./cmd/mrtecopy", "./cmd/intercept", "./e2e/loadclient", "./e2e/lightserver")
	cmd.Dir = l.repo
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := output(cmd)
	return err
}

// repository finds the repository's root above the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == "/" {
			return "", fmt.Errorf("%s is not in the repository: no go.mod above it", dir)
		}
	}
}
