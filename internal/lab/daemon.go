package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ControlPort is where intercept listens.
const ControlPort = 36524

// A Daemon is one of our programs, running.
type Daemon struct {
	Name string

	cmd     *exec.Cmd
	log     logBuffer
	summary string // the --summary file
	exited  chan struct{}
	err     error // of Wait, once exited is closed
}

// A Result is what is left of a daemon when it has ended.
type Result struct {
	ExitCode int // -1: ended by a signal
	Log      string
	Summary  Summary
	Raw      []byte // the summary file; nil if there is none
}

// Start starts one of our programs on a host, with --summary FILE behind its
// arguments, and does not wait for it to be ready.
func (l *Lab) Start(ctx context.Context, h *Host, name string, args ...string) (*Daemon, error) {
	return l.start(ctx, h, nil, name, args...)
}

func (l *Lab) start(ctx context.Context, h *Host, output io.Writer, name string, args ...string) (*Daemon, error) {
	d := &Daemon{Name: name, log: logBuffer{copy: output}}
	f, err := os.CreateTemp(h.dir, name+"-*.json")
	if err != nil {
		return nil, err
	}
	d.summary = f.Name()
	if err := errors.Join(f.Close(), os.Remove(d.summary)); err != nil {
		return nil, err
	}
	if err := d.begin(h.Command(ctx, name, append(args, "--summary", d.summary)...)); err != nil {
		return nil, err
	}
	return d, nil
}

// begin starts the process.
func (d *Daemon) begin(cmd *exec.Cmd) error {
	d.cmd, d.exited = cmd, make(chan struct{})
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	// The end of the context is an order to stop; who ignores it is killed.
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(os.Interrupt) }
	d.cmd.WaitDelay = 20 * time.Second
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", d.Name, err)
	}
	go func() { d.err = d.cmd.Wait(); close(d.exited) }()
	return nil
}

// StartIntercept starts intercept on the blackhole host for the target's address
// of the given family, as our README tells a user to, and waits until it listens.
func (l *Lab) StartIntercept(ctx context.Context, o Run) (*Daemon, error) {
	h := cmp.Or(o.Blackhole, l.Blackhole)
	args := append([]string{"--interface", "eth0", "--target", l.address(l.Target, o.IPv6), "--key-file", l.keyFile(h)}, o.Intercept...)
	d, err := l.Start(ctx, h, "intercept", args...)
	if err != nil {
		return nil, err
	}
	return d, d.ready(ctx, func() bool { return d.captures() > 0 && strings.Contains(d.Log(), "msg=listening") })
}

// StartMrtecopy starts mrtecopy on production and waits until it captures and,
// if an intercept is up, is connected to it.
func (l *Lab) StartMrtecopy(ctx context.Context, o Run) (*Daemon, error) {
	d, err := l.start(ctx, cmp.Or(o.Production, l.Production), o.Output, "mrtecopy", l.MrtecopyArgs(o)...)
	if err != nil {
		return nil, err
	}
	if o.NoIntercept {
		return d, d.ready(ctx, func() bool { return strings.Contains(d.Log(), "msg=capturing") })
	}
	return d, d.Ready(ctx)
}

// A Run says how our two programs are started.
type Run struct {
	IPv6        bool     // replay to the target's IPv6 address
	NoIntercept bool     // do not wait for the control connection
	Credentials string   // the credentials file's text; "": DefaultCredentials
	Mrtecopy    []string // further flags
	Intercept   []string
	Production  *Host     // where mrtecopy runs; nil: on the lab's production
	Blackhole   *Host     // where intercept runs; nil: on the lab's blackhole host
	Output      io.Writer // gets what mrtecopy writes, as it comes; nil: nobody
}

// DefaultCredentials are those of the accounts that every lab has.
const DefaultCredentials = AppUser + ":" + AppTargetPassword + "\n" + BenchUser + ":" + BenchTargetPword + "\n"

// MrtecopyArgs is the command line of `mrtecopy live` for a run.
func (l *Lab) MrtecopyArgs(o Run) []string {
	target := l.address(l.Target, o.IPv6)
	if o.IPv6 {
		target = "[" + target + "]"
	}
	text := o.Credentials
	if text == "" {
		text = DefaultCredentials
	}
	h := cmp.Or(o.Production, l.Production)
	credentials := filepath.Join(h.dir, "credentials")
	if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
		credentials = err.Error() // mrtecopy will say that there is no such file
	}
	// In a lab, production, its clients and mrtecopy share one CPU.
	return append([]string{"live", "--target", target + ":3306",
		"--intercept", fmt.Sprintf("%s:%d", l.Blackhole.V4, ControlPort),
		"--credentials", credentials, "--key-file", l.keyFile(h), "--status-every", "2s", "--drain", "30s", "--ring", "64MiB",
		"--nice", "0"}, o.Mrtecopy...)
}

func (l *Lab) address(h *Host, ipv6 bool) string {
	if ipv6 {
		return h.V6.String()
	}
	return h.V4.String()
}

// keyFile is where a host keeps its copy of the shared key.
func (l *Lab) keyFile(h *Host) string { return filepath.Join(h.dir, "key") }

// ShareKey makes the key on the blackhole host with `intercept keygen` and
// copies it to the others, as a user would with scp.
func (l *Lab) ShareKey(ctx context.Context) error {
	if _, err := l.Blackhole.Run(ctx, "intercept", "keygen", l.keyFile(l.Blackhole)); err != nil {
		return err
	}
	key, err := os.ReadFile(l.keyFile(l.Blackhole))
	if err != nil {
		return err
	}
	for _, h := range l.hosts {
		if h != l.Blackhole {
			err = errors.Join(err, os.WriteFile(l.keyFile(h), key, 0o600))
		}
	}
	return err
}

// Routes runs `intercept route target … ACTION` and `intercept route blackhole …
// ACTION` on the two hosts, for both families, and returns what they said.
func (l *Lab) Routes(ctx context.Context, action string) (string, error) {
	var said strings.Builder
	for _, c := range l.routes() {
		out, err := c.host.Run(ctx, "intercept", append(c.args, action)...)
		said.WriteString(out)
		if err != nil {
			return said.String(), err
		}
	}
	return said.String(), nil
}

// A route is a command line of intercept, without its verb.
type route struct {
	host *Host
	args []string
}

// routes are those of the lab, for IPv4 and IPv6.
func (l *Lab) routes() (all []route) {
	for _, ipv6 := range []bool{false, true} {
		all = append(all,
			route{l.Target, []string{"route", "target", "--port", "3306", "--via", l.address(l.Blackhole, ipv6)}},
			route{l.Blackhole, []string{"route", "blackhole", "--interface", "eth0", "--target", l.address(l.Target, ipv6), "--port", "3306"}},
		)
	}
	return all
}

// PID is the daemon's process id: what entered its namespaces was replaced by it.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Log is what the daemon wrote so far.
func (d *Daemon) Log() string { return d.log.String() }

// Exited is closed when the daemon has ended.
func (d *Daemon) Exited() <-chan struct{} { return d.exited }

// Stop interrupts the daemon as Ctrl-C would and waits for its end.
func (d *Daemon) Stop(ctx context.Context) (Result, error) {
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return Result{}, err
	}
	return d.Wait(ctx)
}

// Kill ends the daemon as a crash would.
func (d *Daemon) Kill(ctx context.Context) (Result, error) {
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return Result{}, err
	}
	return d.Wait(ctx)
}

// Signal sends the daemon a signal.
func (d *Daemon) Signal(s syscall.Signal) error { return d.cmd.Process.Signal(s) }

// Wait waits for the daemon's end and collects what it left.
func (d *Daemon) Wait(ctx context.Context) (Result, error) {
	select {
	case <-d.exited:
	case <-ctx.Done():
		return Result{}, fmt.Errorf("%s did not end: %w\n%s", d.Name, ctx.Err(), d.Log())
	}
	r := Result{ExitCode: d.cmd.ProcessState.ExitCode(), Log: d.Log()}
	b, err := os.ReadFile(d.summary)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil // it could not run, or was killed
	} else if err != nil {
		return r, err
	}
	r.Raw = b
	if d.Name != "mrtecopy" {
		return r, nil // intercept's has another form
	}
	if err := json.Unmarshal(b, &r.Summary); err != nil {
		return r, fmt.Errorf("summary of %s: %w\n%s", d.Name, err, b)
	}
	return r, nil
}

// Ready waits until mrtecopy captures and is connected to intercept.
func (d *Daemon) Ready(ctx context.Context) error {
	return d.ready(ctx, func() bool { return d.captures() > 0 && d.sockets("01", 0, ControlPort) })
}

// ready waits until a condition holds twice, a little apart: one socket of
// several is not enough. It fails when the daemon ends first.
func (d *Daemon) ready(ctx context.Context, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for last := -1; ; {
		n := d.captures()
		if holds() && n == last {
			return nil
		}
		last = n
		select {
		case <-d.exited:
			return fmt.Errorf("%s ended while starting: %v\n%s", d.Name, d.err, d.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", d.Name, ctx.Err(), d.Log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// captures counts the packet sockets of the daemon's namespace: it says that
// capturing has begun, whatever the daemon says of itself.
func (d *Daemon) captures() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/packet", d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), "\n") - 1 // a head line
}

// sockets reports whether the daemon's namespace has a TCP socket in a state (as
// /proc/net/tcp writes it: 01 established, 0A listening) with these ports; 0 is any.
func (d *Daemon) sockets(state string, local, remote int) bool {
	for _, file := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", d.cmd.Process.Pid, file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 3 && f[3] == state && portIs(f[1], local) && portIs(f[2], remote) {
				return true
			}
		}
	}
	return false
}

// portIs reports whether a `ADDRESS:PORT` of /proc/net/tcp has that port.
func portIs(address string, port int) bool {
	return port == 0 || strings.HasSuffix(address, fmt.Sprintf(":%04X", port))
}

// A logBuffer keeps what a daemon writes.
type logBuffer struct {
	mu   sync.Mutex
	b    strings.Builder
	copy io.Writer // or nil
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copy != nil {
		l.copy.Write(b) // a closed terminal is no reason to stop
	}
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
