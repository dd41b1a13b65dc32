package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/program"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/replay"
	"mrtecopy/internal/session"
)

// A bench is a directory with the files a run needs, and a program whose
// surroundings are the test's.
type bench struct {
	dir            string
	env            map[string]string
	denied         error
	needed         []program.Capability
	nice           int
	confined       *program.Confinement
	replay         func(context.Context, replay.Config) (ledger.Summary, error)
	cfg            *replay.Config // what the engine was called with
	stdout, stderr bytes.Buffer
}

func newBench(t *testing.T) *bench {
	b := &bench{dir: t.TempDir(), env: make(map[string]string)}
	b.replay = func(context.Context, replay.Config) (ledger.Summary, error) { return summary(new(ledger.Counts)), nil }
	b.file(t, "users", "*=acct:pw\n")
	b.file(t, "key", strings.Repeat("0f", 32)+"\n")
	return b
}

func (b *bench) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a command line; @ stands for the directory.
func (b *bench) run(line string) int {
	b.stdout.Reset()
	b.stderr.Reset()
	b.cfg = nil
	args := strings.Fields("mrtecopy " + strings.ReplaceAll(line, "@", b.dir))
	return run(args, surroundings{
		stdout: &b.stdout,
		stderr: &b.stderr,
		getenv: func(key string) string { return b.env[key] },
		localAddrs: func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("127.0.0.1")}, nil
		},
		lookup: func(_ context.Context, host string) ([]string, error) {
			return nil, &net.DNSError{Name: host, Err: "no such host", IsNotFound: host == "mistyped"}
		},
		privileged: func(needed ...program.Capability) error { b.needed = needed; return b.denied },
		nice:       func(n int) error { b.nice = n; return nil },
		confine:    func(c program.Confinement) error { b.confined = &c; return nil },
		replay: func(ctx context.Context, c replay.Config) (ledger.Summary, error) {
			b.cfg = &c
			return b.replay(ctx, c)
		},
	})
}

func summary(c *ledger.Counts) ledger.Summary {
	start := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	return ledger.NewSummary("test", start, start.Add(time.Minute), false, c)
}

// needed are the flags without which nothing runs.
const needed = " --target 10.0.0.9:3306 --intercept 10.0.0.7 --credentials @/users --key-file @/key "

func TestHelp(t *testing.T) {
	b := newBench(t)
	for line, wants := range map[string][]string{
		"--help":      {"live", "production server's host"},
		"live --help": {"MRTECOPY_MAX_MEMORY", "CAP_NET_RAW (and CAP_NET_ADMIN", "Examples:", "--key-file FILE", "USER=ACCOUNT:PASSWORD", "Exit code:"},
		"--version":   {"mrtecopy version "},
	} {
		if code := b.run(line); code != 0 || b.stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, %q", line, code, b.stderr.String())
		}
		for _, want := range wants {
			if !strings.Contains(b.stdout.String(), want) {
				t.Errorf("%s does not tell about %q", line, want)
			}
		}
	}
	// A help that does not fit a wide terminal is not read.
	b.run("live --help")
	for text := range strings.Lines(b.stdout.String()) {
		if len(text) > 132 {
			t.Errorf("a line of %d columns: %s", len(text), text)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	b := newBench(t)
	b.file(t, "bad.yaml", "tagret: 10.0.0.9:3306\n")
	for _, tt := range []struct{ line, want string }{
		{"", "which command?"},
		{"liv", "did you mean live?"},
		{"live now", `unexpected argument "now"`},
		{"live --tagret x", "there is no flag --tagret, did you mean --target?"},
		{"live --port", "flag needs an argument: --port"},
		{"live", "--target is missing: name the server"},
		{"live -t 10.0.0.9:3306", "--intercept is missing"},
		{"live -t 10.0.0.9:3306 -s h", "--credentials is missing: name a file, mode 600, with lines USER:PASSWORD for the target; the line *=replay:secret"},
		{"live -t 10.0.0.9:3306 -s h --credentials @/users", "--key-file is missing: make a key with 'intercept keygen FILE'"},
		{"live" + needed + "--insecure", "--insecure and --key-file exclude each other"},
		{"live" + needed + "--target 10.0.0.9", "--target: \"10.0.0.9\" is not IP:PORT"},
		{"live" + needed + "--target db.example:3306", "getent ahosts db.example"},
		{"live" + needed + "--target 10.0.0.5:3307", "--target: 10.0.0.5 is an address of this host"},
		{"live" + needed + "--target [2001:db8::5]:3307", "2001:db8::5 is an address of this host"},
		{"live" + needed + "--target [::ffff:10.0.0.5]:3307", "10.0.0.5 is an address of this host"},
		{"live" + needed + "--target 127.0.0.2:3307", "127.0.0.2 is an address of this host"},
		{"live" + needed + "-i eth1 --server-ip 10.0.0.9", "10.0.0.9 is the production server, by --server-ip"},
		{"live" + needed + "--server-ip 10.0.0.6", "10.0.0.6 is not an address of this host, so its packets must come from a mirror port: name the interface they arrive at with --interface"},
		{"live" + needed + "--server-ip prod", `"prod" is a name`},
		{"live" + needed + "--intercept blackhole --intercept mistyped:1234", "--intercept: there is no host \"mistyped\""},
		{"live" + needed + "--intercept host:x", "--intercept: \"host:x\": the port must be 1 to 65535"},
		{"live" + needed + "-i eth0:1", `--interface: "eth0:1" is no interface name`},
		{"live" + needed + "-p 0", `--port: "0" is not a number from 1 to 65535`},
		{"live" + needed + "--duration 10", `--duration: "10" is no time`},
		{"live" + needed + "--drain -1s", `--drain: "-1s" is no time`},
		{"live" + needed + "--batch 20ms", "--batch: 20ms is not between 1ms and 10ms"},
		{"live" + needed + "--status-every x", `--status-every: "x" is no time`},
		{"live" + needed + "--send udp", `--send: "udp" is neither ip nor link`},
		{"live" + needed + "--shards 0", `--shards: "0" is not a number from 1 to 64`},
		{"live" + needed + "--stream-above 1", `--stream-above: 1 is not between 1KiB and 1GiB`},
		{"live" + needed + "--max-memory lots", `--max-memory: "lots" is no size`},
		{"live" + needed + "--max-session-memory 1m", `--max-session-memory: 1m is not between 8MiB and 1TiB`},
		{"live" + needed + "--max-session-memory 8m --stream-above 4m", `--max-session-memory: 8MiB is too little for commands of up to 4MiB`},
		{"live" + needed + "--max-sessions 0", `--max-sessions: "0" is not a number from 1 to 262144`},
		{"live" + needed + "--max-memory 64MiB --stream-above 32m", `64MiB is too little for commands of up to 32MiB`},
		{"live" + needed + "-t 10.0.0.9:3307", "-t and --target are the same flag: give one of them"},
		{"live --config @/bad.yaml", `bad.yaml:1: unknown key "tagret", did you mean target?`},
		{"live --config @/none.yaml", "none.yaml: no such file"},
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
	for _, tt := range []struct {
		name    string
		prepare func(*testing.T, *bench)
		line    string
		want    string
	}{
		{"not root", func(_ *testing.T, b *bench) { b.denied = errors.New("not permitted: sudo") }, needed, "mrtecopy: not permitted: sudo\n"},
		{"no credentials file", nil, needed + "--credentials @/none", "credentials: open"},
		{"credentials open to others", func(t *testing.T, b *bench) {
			if err := os.Chmod(filepath.Join(b.dir, "users"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, needed, "chmod 600 "},
		{"a bad line", func(t *testing.T, b *bench) { b.file(t, "users", "app pw\n") }, needed, "line 1: no colon"},
		{"no key file", nil, needed + "--key-file @/none", "none"},
		{"a summary that cannot be written", nil, needed + "--summary @/no/s.json", "summary: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			if tt.prepare != nil {
				tt.prepare(t, b)
			}
			if code := b.run("live " + tt.line); code != 1 || !strings.Contains(b.stderr.String(), tt.want) {
				t.Errorf("exit code %d, %q, want 1, %q", code, b.stderr.String(), tt.want)
			}
			if b.cfg != nil {
				t.Error("the engine ran")
			}
		})
	}
}

func TestSettings(t *testing.T) {
	b := newBench(t)
	if code := b.run("live" + needed); code != 0 {
		t.Fatalf("exit code %d: %s", code, b.stderr.String())
	}
	c := b.cfg
	if target, password, ok := c.Credentials.Lookup("app"); target != "acct" || password != "pw" || !ok {
		t.Errorf("credentials: %s, %s, %v", target, password, ok)
	}
	if c.Key == nil || c.Log == nil || c.Status == nil || c.Version == "" {
		t.Errorf("config %+v", c)
	}
	c.Credentials, c.Key, c.Log, c.Status, c.Version, c.Opened = nil, nil, nil, nil, "", nil
	want := replay.Config{
		Port: 3306, Target: netip.MustParseAddrPort("10.0.0.9:3306"), Intercepts: []string{"10.0.0.7:36524"},
		Drain: 10 * time.Second, StatusEvery: 10 * time.Second, ResponseTimeout: 5 * time.Minute, Send: rawsend.IP, Shards: 1,
		Batch: 4 * time.Millisecond, Ring: 32 << 20, StreamAbove: 1 << 20, MaxMemory: 512 << 20, MaxSessions: 65536, MaxConnects: 10000,
		Policy: policy.Config{Table: policy.Default()},
	}
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("defaults\n%+v\nwant\n%+v", *c, want)
	}

	code := b.run("live -i eth0 -i eth1 --server-ip 10.0.0.6,10.0.0.5 -p 3307 -t [2001:db8::9]:3308 -s a -s b:700 --credentials @/users --insecure " +
		"--only read --users a,b --exclude-users c --schemas d --exclude x+ --policy kill=skip --policy accounts=replay " +
		"--duration 1m --drain 0 --status-every 0s --send link --shards 4 --stream-above 64k --batch 2ms --ring 8m --max-memory 1g --max-session-memory 16m --max-sessions 100 --max-connects 7 --nice 3")
	if code != 0 || b.nice != 3 {
		t.Fatalf("exit code %d, nice %d: %s", code, b.nice, b.stderr.String())
	}
	c = b.cfg
	if c.Key != nil {
		t.Error("a key in spite of --insecure")
	}
	c.Credentials, c.Log, c.Status, c.Version, c.Opened = nil, nil, nil, "", nil
	want = replay.Config{
		Interfaces: []string{"eth0", "eth1"}, ServerIPs: []netip.Addr{netip.MustParseAddr("10.0.0.6"), netip.MustParseAddr("10.0.0.5")},
		Port: 3307, Target: netip.MustParseAddrPort("[2001:db8::9]:3308"), Intercepts: []string{"a:36524", "b:700"},
		Duration: time.Minute, ResponseTimeout: 5 * time.Minute, Send: rawsend.Link, Shards: 4, Batch: 2 * time.Millisecond, Ring: 8 << 20, StreamAbove: 64 << 10, MaxMemory: 1 << 30,
		SessionMemory: 16 << 20, MaxSessions: 100, MaxConnects: 7,
		Policy: policy.Config{Table: policy.Default(), OnlyRead: true, Exclude: []*regexp.Regexp{regexp.MustCompile("x+")}},
		Filter: session.Filter{Users: map[string]bool{"a": true, "b": true}, ExcludeUsers: map[string]bool{"c": true}, Schemas: map[string]bool{"d": true}},
	}
	want.Policy.Table[policy.KillSession], want.Policy.Table[policy.Accounts] = policy.Skip, policy.Replay
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *c, want)
	}
}

// What is needed is what is kept when everything is open: more than raw sockets
// only to send at the link layer.
func TestPrivileges(t *testing.T) {
	b := newBench(t)
	for line, want := range map[string][]program.Capability{
		"":                        {program.NetRaw},
		"--send link":             {program.NetRaw, program.NetAdmin},
		"--send ip --user daemon": {program.NetRaw},
	} {
		b.confined = nil
		b.replay = func(_ context.Context, c replay.Config) (ledger.Summary, error) {
			return summary(new(ledger.Counts)), c.Opened()
		}
		if code := b.run("live" + needed + line); code != 0 {
			t.Fatalf("%s: exit code %d: %s", line, code, b.stderr.String())
		}
		if b.confined == nil || !reflect.DeepEqual(b.confined.Keep, want) || !reflect.DeepEqual(b.needed, want) {
			t.Errorf("%s: needs %v, is confined to %v, want %v", line, b.needed, b.confined, want)
		}
		if user := strings.TrimPrefix(line, "--send ip --user "); user != line && b.confined.User != user {
			t.Errorf("%s: becomes %q", line, b.confined.User)
		}
	}
	if code := b.run("live" + needed + "--user nosuchuser"); code != 2 || !strings.Contains(b.stderr.String(), "there is no user nosuchuser") {
		t.Errorf("exit code %d: %s", code, b.stderr.String())
	}
}

// Every flag can come from the file and from the environment.
func TestPrecedence(t *testing.T) {
	b := newBench(t)
	file := b.file(t, "c.yaml", strings.ReplaceAll(`
target: 10.0.0.9:3306
intercept: [10.0.0.7, 10.0.0.8]
credentials: @/users
key-file: @/key
port: 3301
shards: 2
drain: 1s
`, "@", b.dir))
	b.env["MRTECOPY_CONFIG"] = file
	b.env["MRTECOPY_PORT"] = "3302"
	b.env["MRTECOPY_SHARDS"] = "3"
	b.env["MRTECOPY_INTERFACE"] = "eth0,eth1"
	if code := b.run("live -p 3303"); code != 0 {
		t.Fatalf("exit code %d: %s", code, b.stderr.String())
	}
	c := b.cfg
	if c.Port != 3303 || c.Shards != 3 || c.Drain != time.Second || len(c.Interfaces) != 2 || len(c.Intercepts) != 2 {
		t.Errorf("config %+v", c)
	}
	b.env["MRTECOPY_PORT"] = "x"
	if code := b.run("live"); code != 2 || !strings.Contains(b.stderr.String(), "--port (from environment variable MRTECOPY_PORT): ") {
		t.Errorf("exit code %d: %s", code, b.stderr.String())
	}
}

func TestExitCodes(t *testing.T) {
	whole := new(ledger.Counts)
	whole.Sessions.Captured, whole.Sessions.Replayed = 1, 1
	lossy := new(ledger.Counts)
	lossy.Commands.Captured, lossy.Commands.Lost[ledger.CaptureGap] = 1, 1
	for _, tt := range []struct {
		name   string
		counts *ledger.Counts
		err    error
		code   int
		want   string
	}{
		{"nothing lost", whole, nil, 0, "nothing was lost"},
		{"nothing captured", new(ledger.Counts), nil, 0, "nothing was captured: does production listen on --port"},
		{"losses", lossy, nil, 3, "capture_gap"},
		{"could not run", new(ledger.Counts), errors.New("no such interface"), 1, "mrtecopy: no such interface\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.replay = func(context.Context, replay.Config) (ledger.Summary, error) {
				if tt.err != nil {
					return ledger.Summary{}, tt.err
				}
				return summary(tt.counts), nil
			}
			code := b.run("live" + needed + "--summary @/s.json")
			if code != tt.code || !strings.Contains(b.stderr.String(), tt.want) {
				t.Errorf("exit code %d, %q, want %d, %q", code, b.stderr.String(), tt.code, tt.want)
			}
			raw, err := os.ReadFile(filepath.Join(b.dir, "s.json"))
			if tt.err != nil {
				if err == nil {
					t.Error("a run that failed wrote a summary")
				}
				return
			}
			var s ledger.Summary
			if err := json.Unmarshal(raw, &s); err != nil || !reflect.DeepEqual(s, summary(tt.counts)) {
				t.Errorf("summary %s, %v", raw, err)
			}
		})
	}
}

func TestBrokenRunStillReports(t *testing.T) {
	b := newBench(t)
	b.replay = func(context.Context, replay.Config) (ledger.Summary, error) {
		return summary(new(ledger.Counts)), errors.New("interface eth0 is gone")
	}
	code := b.run("live" + needed + "--summary @/s.json")
	if code != 1 || !strings.Contains(b.stderr.String(), "nothing was captured") || !strings.HasSuffix(b.stderr.String(), "mrtecopy: interface eth0 is gone\n") {
		t.Errorf("exit code %d, %q", code, b.stderr.String())
	}
	if _, err := os.Stat(filepath.Join(b.dir, "s.json")); err != nil {
		t.Error(err)
	}
}

func TestSummaryOnStandardOutput(t *testing.T) {
	b := newBench(t)
	if code := b.run("live" + needed + "--summary -"); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	var s ledger.Summary
	if err := json.Unmarshal(b.stdout.Bytes(), &s); err != nil {
		t.Errorf("standard output %q: %v", b.stdout.String(), err)
	}
}

func TestSignals(t *testing.T) {
	kill := func(s syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Error(err)
		}
	}
	b := newBench(t)
	b.replay = func(ctx context.Context, _ replay.Config) (ledger.Summary, error) {
		kill(syscall.SIGTERM)
		<-ctx.Done()
		return summary(new(ledger.Counts)), nil
	}
	if code := b.run("live" + needed + "--drain 7s"); code != 0 || !strings.Contains(b.stderr.String(), "up to 7s to catch up; again to end at once") {
		t.Errorf("one signal: exit code %d, %q", code, b.stderr.String())
	}

	forever := make(chan struct{})
	defer close(forever)
	b.replay = func(ctx context.Context, _ replay.Config) (ledger.Summary, error) {
		kill(syscall.SIGINT)
		<-ctx.Done()
		kill(syscall.SIGINT)
		<-forever
		return ledger.Summary{}, nil
	}
	if code := b.run("live" + needed + "--summary @/s.json"); code != 1 || !strings.Contains(b.stderr.String(), "ended at once by the second signal") {
		t.Errorf("two signals: exit code %d, %q", code, b.stderr.String())
	}
}
