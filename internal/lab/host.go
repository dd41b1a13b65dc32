package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A Host is one machine of the lab: a network namespace with one interface,
// eth0, and a /run of its own.
type Host struct {
	Name string     // client, production, target, blackhole
	V4   netip.Addr // on eth0, /24
	V6   netip.Addr // on eth0, /64
	MAC  string     // of eth0
	NS   string     // the namespace's name, as `ip netns exec` takes it
	dir  string     // the host's own files, such as its /run
	bin  string     // our programs; first in PATH
	cpus string     // the host's CPUs, as taskset takes them
}

// Command is exec.CommandContext on this host. The process gets its own group,
// so that a Ctrl-C in the terminal is ours to pass on, and dies with us.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	// `ip netns exec` gives a private mount namespace; in it /run becomes the
	// host's own, because /run/mrtecopy is where `intercept route` keeps its state.
	const enter = `mount --bind "$1" /run && shift && exec "$@"`
	argv := append([]string{"netns", "exec", h.NS, "sh", "-c", enter, "sh", filepath.Join(h.dir, "run"), "taskset", "-c", h.cpus, name}, args...)
	cmd := exec.CommandContext(ctx, "ip", argv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "PATH="+h.bin+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C")
	return cmd
}

// Spread gives what is started on this host from now on every CPU of the machine.
func (h *Host) Spread() { h.cpus = allCPUs() }

// Run runs a program on this host and returns what it wrote to standard output.
// Its standard error becomes part of the error.
func (h *Host) Run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := output(h.Command(ctx, name, args...))
	if err != nil {
		return out, fmt.Errorf("on %s: %w", h.Name, err)
	}
	return out, nil
}

// File writes a file of this host's own, which only root can read, and returns
// its path.
func (h *Host) File(tb interface {
	Helper()
	Fatal(...any)
}, name, text string) string {
	tb.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// output is cmd.Output with an error that says what was run and what it said.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// run runs a program on this machine, outside the lab's hosts.
func run(ctx context.Context, name string, args ...string) (string, error) {
	return output(exec.CommandContext(ctx, name, args...))
}
