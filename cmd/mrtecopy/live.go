package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
	"mrtecopy/internal/control"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/program"
	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/replay"
)

const liveDescription = `What must run where:

  production host   mrtecopy live, as root or with CAP_NET_RAW (and CAP_NET_ADMIN
                    for --send link); it gives up all other privileges
  blackhole host    intercept, as root, with the key that 'intercept keygen' made
  target host       the target server, and once, as root:
                    intercept route target --port 3306 --via BLACKHOLE_IP apply

The credentials file says how the captured users log in on the target; passwords
cannot be captured. Each line is USER:PASSWORD or USER=ACCOUNT:PASSWORD; the user
* stands for all others. The file must be yours alone (chmod 600).

Every flag can also be set in the environment, --max-memory as
MRTECOPY_MAX_MEMORY (lists with commas), and in the YAML file that --config
names, under its long name. A flag wins over the environment, that over the file.

The first SIGINT or SIGTERM stops capturing, lets the target catch up, and closes
every session on it; a second one ends at once.

Exit code: 0 nothing lost, 3 finished with losses, 1 could not run or reached no
intercept, 2 usage.

Examples:

  everything that reaches this host's port 3306, until Ctrl-C:
    mrtecopy live -t 10.0.0.9:3306 -s 10.0.0.7 --credentials users --key-file key

  ten minutes of one interface, with the account as JSON:
    mrtecopy live -i eth0 -t 10.0.0.9:3306 -s 10.0.0.7 --credentials users \
      --key-file key --duration 10m --summary replay.json

  a mirror port, where 10.0.0.5 is the production server:
    mrtecopy live -i eth1 --server-ip 10.0.0.5 -t 10.0.0.9:3306 -s 10.0.0.7 \
      --credentials users --key-file key`

func liveCommand(s surroundings) *cli.Command {
	return &cli.Command{
		Name:               "live",
		Usage:              "replay sessions as they happen",
		UsageText:          "mrtecopy live --target IP:PORT --intercept HOST --credentials FILE (--key-file FILE | --insecure) [options]",
		Description:        liveDescription,
		Flags:              liveFlags(),
		CustomHelpTemplate: program.CommandHelp(liveFlags()),
		Action:             func(c *cli.Context) error { return live(c, s) },
	}
}

// liveFlags are all text or switches, so that config reports a wrong value the
// same way wherever it came from.
func liveFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "interface", Category: "What to replay", Aliases: []string{"i"}, Usage: "capture on `IF`; repeatable (default: every interface that is up)"},
		&cli.StringFlag{Name: "port", Category: "What to replay", Aliases: []string{"p"}, Value: "3306", DefaultText: "3306", Usage: "production's MySQL `PORT`"},
		&cli.StringSliceFlag{Name: "server-ip", Category: "What to replay", Usage: "production's `ADDRESS`; repeatable; needs -i if it is not this host's (default: this host's)"},
		&cli.StringFlag{Name: "only", Category: "What to replay", Usage: "replay only `WHAT`: read, what cannot write"},
		&cli.StringSliceFlag{Name: "users", Category: "What to replay", Usage: "only sessions of `USER`; repeatable"},
		&cli.StringSliceFlag{Name: "exclude-users", Category: "What to replay", Usage: "no sessions of `USER`; repeatable"},
		&cli.StringSliceFlag{Name: "schemas", Category: "What to replay", Usage: "only statements while `SCHEMA` is the default schema; repeatable"},
		&cli.StringSliceFlag{Name: "exclude", Category: "What to replay", Usage: "no statements that match the `REGEXP` (RE2); repeatable"},
		policyFlag(),
		&cli.StringFlag{Name: "duration", Category: "What to replay", Value: "0s", DefaultText: "until a signal", Usage: "stop capturing after `TIME`"},
		&cli.StringFlag{Name: "target", Category: "Where to", Aliases: []string{"t"}, Usage: "replay onto the server at `IP:PORT`"},
		&cli.StringSliceFlag{Name: "intercept", Category: "Where to", Aliases: []string{"s"}, Usage: "where intercept runs, `HOST[:36524]`; repeatable, tried in order"},
		&cli.StringFlag{Name: "credentials", Category: "Where to", Usage: "read the target's accounts from `FILE`"},
		&cli.StringFlag{Name: "target-public-key", Category: "Where to", Usage: "encrypt passwords with the RSA key in `FILE` (PEM) rather than the one the target sends"},
		&cli.BoolFlag{Name: "allow-cleartext-password", Category: "Where to", Usage: "send a password as it is to an account of mysql_clear_password"},
		&cli.StringFlag{Name: "key-file", Category: "Where to", Usage: "read the key shared with intercept from `FILE`"},
		&cli.BoolFlag{Name: "insecure", Category: "Where to", Usage: "speak to intercept without key and encryption"},
		&cli.StringFlag{Name: "drain", Category: "How", Value: "10s", DefaultText: "10s", Usage: "let the target catch up for at most `TIME` when capturing stops"},
		&cli.StringFlag{Name: "response-timeout", Category: "How", Value: "5m", DefaultText: "5m", Usage: "give up a target that owes an answer for `TIME` after production gave it"},
		&cli.StringFlag{Name: "send", Category: "How", Value: "ip", DefaultText: "ip", Usage: "`HOW` packets leave: ip (raw socket) or link (Ethernet, past the local firewall)"},
		&cli.StringFlag{Name: "shards", Category: "How", Value: "1", DefaultText: "1", Usage: "spread the work over `N` threads"},
		&cli.StringFlag{Name: "stream-above", Category: "How", Value: "1MiB", DefaultText: "1MiB", Usage: "send commands larger than `SIZE` before they are complete"},
		&cli.StringFlag{Name: "batch", Category: "How", Value: "4ms", DefaultText: "4ms", Usage: "read what is captured each `TIME`, 1ms to 10ms: longer takes less CPU"},
		&cli.StringFlag{Name: "ring", Category: "How", Value: "32MiB", DefaultText: "32MiB", Usage: "let the kernel keep `SIZE` of captured packets per interface and shard"},
		&cli.StringFlag{Name: "max-memory", Category: "How", Value: "512MiB", DefaultText: "512MiB", Usage: "give up sessions rather than buffer more than `SIZE`"},
		&cli.StringFlag{Name: "max-session-memory", Category: "How", DefaultText: "half of a shard's share", Usage: "give up a session that alone buffers more than `SIZE`"},
		&cli.StringFlag{Name: "max-sessions", Category: "How", Value: "65536", DefaultText: "65536", Usage: "skip new sessions while `N` are open"},
		&cli.StringFlag{Name: "max-connects", Category: "How", Value: "10000", DefaultText: "10000", Usage: "open at most `N` connections a second on the target"},
		&cli.StringFlag{Name: "status-every", Category: "What to tell", Value: "10s", DefaultText: "10s", Usage: "write a status line each `TIME`, 0 for none"},
		&cli.StringFlag{Name: "summary", Category: "What to tell", Usage: "write the account as JSON to `FILE`, - for standard output"},
		&cli.StringFlag{Name: "nice", Category: "How", Value: "10", DefaultText: "10", Usage: "take `N`, 0 to 19, less of a busy CPU than others; 0 to compete with production"},
		&cli.StringFlag{Name: "user", Category: "Other", Usage: "become `USER` when everything is open"},
		&cli.StringFlag{Name: "config", Category: "Other", Usage: "read flags from the YAML `FILE`"},
	}, adoptFlags()...)
}

func live(c *cli.Context, s surroundings) error {
	if err := program.NoArguments(c); err != nil {
		return err
	}
	v, err := config.Layer(c, "MRTECOPY", s.getenv)
	if err != nil {
		return err
	}
	local, err := s.localAddrs()
	if err != nil {
		return fmt.Errorf("this host's addresses: %w", err)
	}
	cfg, err := settings(v, local)
	if err != nil {
		return err
	}
	for _, addr := range cfg.Intercepts {
		if err := config.Resolve(c.Context, addr, s.lookup); err != nil {
			return v.Errorf("intercept", "%v", err)
		}
	}
	needs := []program.Capability{program.NetRaw}
	if cfg.Send == rawsend.Link {
		needs = append(needs, program.NetAdmin) // to have the kernel ask for the next hop's address
	}
	if err := s.privileged(needs...); err != nil {
		return err
	}
	nice, err := v.Int("nice", 0, 19)
	if err != nil {
		return err
	}
	if err := s.nice(nice); err != nil {
		return fmt.Errorf("--nice %d: %w", nice, err)
	}
	become := v.String("user")
	uid, err := program.UserID(become)
	if err != nil {
		return v.Errorf("user", "%v", err)
	}
	if cfg.Credentials, err = config.LoadCredentials(v.String("credentials")); err != nil {
		return err
	}
	if path := v.String("target-public-key"); path != "" {
		if cfg.TargetPublicKey, err = publicKey(path); err != nil {
			return v.Errorf("target-public-key", "%v", err)
		}
	}
	if path := v.String("key-file"); path != "" {
		key, err := control.LoadKey(path)
		if err != nil {
			return err
		}
		cfg.Key = &key
	}
	destination, err := ledger.Open(v.String("summary"), s.stdout, uid)
	if err != nil {
		return err
	}
	defer destination.Close()
	cfg.Color = program.Colored(s.stderr, s.getenv)
	out := program.NewOutlet(s.stderr)
	defer out.Close()
	s.stderr = out
	cfg.Status = s.stderr
	cfg.Log = slog.New(slog.NewTextHandler(s.stderr, nil))
	defer program.TellVitals(cfg.Log)()
	cfg.Version = c.App.Version
	if cfg.Adopt == replay.AdoptObserver {
		dsn, err := productionDSN(v, s.getenv)
		if err != nil {
			return err
		}
		cfg.Observer = observer.New(dsn, int(cfg.MaxMemory/16), cfg.Log)
	}
	if cpus := runtime.GOMAXPROCS(0); cfg.Shards > cpus {
		cfg.Log.Warn("more shards than CPUs: they wait for each other; lower --shards, or give the cgroup more", "shards", cfg.Shards, "cpus", cpus)
	}
	cfg.Opened = func() error {
		// Interfaces that go and come back need another socket.
		if err := program.Settled(cfg.Log, s.confine(program.Confinement{Keep: needs, User: become})); err != nil {
			return err
		}
		return destination.Savable()
	}
	program.LimitHeap(cfg.MaxMemory, cfg.Shards, s.getenv)

	stopping := func(sig os.Signal) {
		fmt.Fprintf(s.stderr, "mrtecopy: %v: capturing stops; the target gets up to %v to catch up; again to end at once\n", sig, cfg.Drain)
	}
	summary, err := program.Interruptible(c.Context, stopping, func(ctx context.Context) (ledger.Summary, error) {
		return s.replay(ctx, cfg)
	})
	if errors.Is(err, program.ErrEndedAtOnce) {
		return fmt.Errorf("%w; sessions may stay open on the target until intercept resets them, and no summary is written", err)
	}
	if err != nil && summary.Ended.IsZero() {
		return err
	}
	// A run that broke off, too, has an account worth reading.
	if reportErr := report(summary, destination, cfg.Color, s); err == nil {
		return reportErr
	}
	return err
}

// publicKey reads the target's RSA key, as its server keeps it in
// public_key.pem.
func publicKey(path string) (*rsa.PublicKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := mysql.ParsePublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key' on the target shows it", path, err)
	}
	return key, nil
}

// report shows what a run amounts to.
func report(summary ledger.Summary, to *ledger.Destination, color bool, s surroundings) error {
	fmt.Fprintf(s.stderr, "\n%s", summary.Table(color))
	if err := to.Save(summary); err != nil {
		return err
	}
	if !summary.Lossless() {
		return program.ErrLosses
	}
	return nil
}
