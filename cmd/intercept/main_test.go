package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/intercept"
	"mrtecopy/internal/program"
	"mrtecopy/internal/program/docstest"
)

// A bench is a directory with the files a run needs, and a program whose
// surroundings are the test's.
type bench struct {
	dir            string
	env            map[string]string
	denied         error
	confined       *program.Confinement
	intercept      func(context.Context, intercept.Config) (intercept.Summary, error)
	cfg            *intercept.Config // what the engine was called with
	stdout, stderr bytes.Buffer
}

func newBench(t *testing.T) *bench {
	b := &bench{dir: t.TempDir(), env: make(map[string]string)}
	b.intercept = func(context.Context, intercept.Config) (intercept.Summary, error) { return intercept.Summary{}, nil }
	if code := b.run("keygen @/key"); code != 0 {
		t.Fatalf("keygen: exit code %d: %s", code, b.stderr.String())
	}
	return b
}

// run runs a command line; @ stands for the directory.
func (b *bench) run(line string) int {
	b.stdout.Reset()
	b.stderr.Reset()
	b.cfg = nil
	args := strings.Fields("intercept " + strings.ReplaceAll(line, "@", b.dir))
	return run(args, surroundings{
		stdout:     &b.stdout,
		stderr:     &b.stderr,
		getenv:     func(key string) string { return b.env[key] },
		privileged: func() error { return b.denied },
		confine:    func(c program.Confinement) error { b.confined = &c; return nil },
		intercept: func(ctx context.Context, c intercept.Config) (intercept.Summary, error) {
			b.cfg = &c
			return b.intercept(ctx, c)
		},
	})
}

func TestHelp(t *testing.T) {
	b := newBench(t)
	for line, wants := range map[string][]string{
		"--help":        {"INTERCEPT_KEY_FILE", "CAP_NET_RAW", "intercept route blackhole", "Examples:", "keygen", "--listen", "Exit code:"},
		"keygen --help": {"intercept keygen FILE", "scp -p"},
		"route --help":  {"blackhole", "target"},
		"--version":     {"intercept version "},
	} {
		if code := b.run(line); code != 0 || b.stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, %q", line, code, b.stderr.String())
		}
		for _, want := range wants {
			if !strings.Contains(b.stdout.String(), want) {
				t.Errorf("%s does not tell about %q", line, want)
			}
		}
		for text := range strings.Lines(b.stdout.String()) {
			if len(text) > 132 {
				t.Errorf("%s: a line of %d columns: %s", line, len(text), text)
			}
		}
	}
}

func TestUsageErrors(t *testing.T) {
	b := newBench(t)
	if err := os.WriteFile(filepath.Join(b.dir, "bad.yaml"), []byte("listne: :1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const needed = "--target 10.0.0.9 --key-file @/key "
	for _, tt := range []struct{ line, want string }{
		{"", "--target is missing: name the target server's address"},
		{"kegen", `there is no command "kegen", did you mean keygen?`},
		{"--tagret x", "did you mean --target?"},
		{"--target 10.0.0.9", "--key-file is missing"},
		{needed + "--insecure", "exclude each other"},
		{needed + "--target 10.0.0.9:3307", `--target: "10.0.0.9:3307" has a port; write --target 10.0.0.9 --port 3307`},
		{needed + "--target db.example", "getent ahosts db.example"},
		{needed + "--listen 36524", `--listen: "36524" is not ADDRESS:PORT or :PORT`},
		{needed + "--port x", `--port: "x" is not a number`},
		{needed + "--interface a/b", "is no interface name"},
		{needed + "--status-every x", "is no time"},
		{needed + "--max-sessions x", `--max-sessions: "x" is not a number from 1 to 10000000`},
		{needed + "--max-memory 1k", "--max-memory: 1k is not between 8MiB and 1TiB"},
		{"--config @/bad.yaml", `bad.yaml:1: unknown key "listne", did you mean listen?`},
		{"keygen", "keygen takes one argument"},
		{"keygen a b", "keygen takes one argument"},
		{"keygen --force a", "there is no flag --force"},
	} {
		if code := b.run(tt.line); code != 2 || !strings.Contains(b.stderr.String(), tt.want) {
			t.Errorf("%s: exit code %d, %q, want 2, %q", tt.line, code, b.stderr.String(), tt.want)
		}
		if b.cfg != nil {
			t.Errorf("%s: the engine ran", tt.line)
		}
		if n := strings.Count(b.stderr.String(), "\n"); n != 1 || b.stdout.Len() > 0 {
			t.Errorf("%s: %d lines of error, and on standard output %q", tt.line, n, b.stdout.String())
		}
	}
}

func TestCannotRun(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct{ line, want string }{
		{"keygen @/key", "key"}, // is there already
		{"--target 10.0.0.9 --key-file @/none", "none"},
		{"--target 10.0.0.9 --key-file @/key --summary @/no/s.json", "summary: "},
	} {
		if code := b.run(tt.line); code != 1 || !strings.Contains(b.stderr.String(), tt.want) || b.cfg != nil {
			t.Errorf("%s: exit code %d, %q, want 1, %q", tt.line, code, b.stderr.String(), tt.want)
		}
	}
	b.denied = errors.New("not permitted: sudo")
	if code := b.run("--target 10.0.0.9 --insecure"); code != 1 || b.stderr.String() != "intercept: not permitted: sudo\n" {
		t.Errorf("not root: exit code %d, %q", code, b.stderr.String())
	}
}

func TestKeygen(t *testing.T) {
	b := newBench(t)
	if code := b.run("keygen @/new"); code != 0 || !strings.HasPrefix(b.stdout.String(), "wrote "+b.dir+"/new") {
		t.Fatalf("exit code %d, %q, %q", code, b.stdout.String(), b.stderr.String())
	}
	info, err := os.Stat(filepath.Join(b.dir, "new"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSettings(t *testing.T) {
	b := newBench(t)
	b.env["INTERCEPT_INTERFACE"] = "eth0,eth1"
	b.env["INTERCEPT_PORT"] = "1"
	line := "--target 10.0.0.9 --key-file @/key -p 3307 --listen 10.0.0.7:700 --status-every 1m --max-sessions 10 --max-memory 16m"
	if code := b.run(line); code != 0 {
		t.Fatalf("exit code %d: %s", code, b.stderr.String())
	}
	c := b.cfg
	if !slices.Equal(c.Interfaces, []string{"eth0", "eth1"}) || c.Target != netip.MustParseAddr("10.0.0.9") || c.Port != 3307 ||
		c.Listen != "10.0.0.7:700" || c.Key == nil || c.StatusEvery != time.Minute || c.MaxSessions != 10 || c.MaxHeld != 16<<20 || c.Status == nil || c.Log == nil {
		t.Errorf("config %+v", c)
	}
	if code := b.run("--target ::ffff:10.0.0.9 --insecure"); code != 0 {
		t.Fatalf("exit code %d: %s", code, b.stderr.String())
	}
	if c := b.cfg; c.Target != netip.MustParseAddr("10.0.0.9") || c.Key != nil || c.Listen != ":36524" {
		t.Errorf("config %+v", c)
	}
}

func TestSignalEndsWithSummary(t *testing.T) {
	b := newBench(t)
	b.intercept = func(ctx context.Context, _ intercept.Config) (intercept.Summary, error) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		return intercept.Summary{}, nil
	}
	if code := b.run("--target 10.0.0.9 --insecure --summary @/s.json"); code != 0 || !strings.Contains(b.stderr.String(), "ending") {
		t.Errorf("exit code %d, %q", code, b.stderr.String())
	}
	raw, err := os.ReadFile(filepath.Join(b.dir, "s.json"))
	if err != nil || !json.Valid(raw) {
		t.Errorf("summary %s, %v", raw, err)
	}
}

func TestPrivileges(t *testing.T) {
	b := newBench(t)
	b.intercept = func(_ context.Context, c intercept.Config) (intercept.Summary, error) {
		return intercept.Summary{}, c.Opened()
	}
	if code := b.run("--target 10.0.0.9 --insecure --user daemon"); code != 0 {
		t.Fatalf("exit code %d: %s", code, b.stderr.String())
	}
	if c := b.confined; c == nil || c.User != "daemon" || !slices.Equal(c.Keep, []program.Capability{program.NetRaw}) {
		t.Errorf("confined to %+v", c)
	}
	if code := b.run("--target 10.0.0.9 --insecure --user nosuchuser"); code != 2 || !strings.Contains(b.stderr.String(), "there is no user nosuchuser") {
		t.Errorf("exit code %d: %s", code, b.stderr.String())
	}
}

func TestDocumentedFlags(t *testing.T) {
	docstest.Flags(t, "intercept", flags())
	// The two route commands share a table.
	var all []cli.Flag
	var names []string
	for _, f := range append(targetFlags(), blackholeFlags()...) {
		if !slices.Contains(names, f.Names()[0]) {
			names = append(names, f.Names()[0])
			all = append(all, f)
		}
	}
	docstest.Flags(t, "intercept route", all)
}
