package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
	"mrtecopy/internal/control"
	"mrtecopy/internal/intercept"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/program"
)

const usageText = `intercept --target IP (--key-file FILE | --insecure) [options]
intercept keygen FILE
intercept route target|blackhole … print|apply|check|undo`

const description = `intercept runs on the blackhole host: a host that the target's replies to the
forged clients are routed to, and where they end. It reads them there and tells
mrtecopy, over the control channel, what its sessions need to go on. It sends
nothing toward the target, except to reset sessions whose mrtecopy has stayed
away for 30 seconds. One intercept serves any number of mrtecopy processes.

What must be done where, once and as root:

  blackhole host   intercept keygen key
                   intercept route blackhole --interface eth0 --target 10.0.0.9 --port 3306 apply
  target host      intercept route target --port 3306 --via BLACKHOLE_IP apply
  production host  copy the key there, for mrtecopy live --key-file key

intercept needs root or CAP_NET_RAW, and gives up all else. It does not start on a host that would
forward the replies to the real clients: IP forwarding must be off, or the
blackhole rule in place ('intercept route blackhole … check').

Every flag can also be set in the environment, --key-file as INTERCEPT_KEY_FILE
(lists with commas), and in the YAML file that --config names, under its long
name. A flag wins over the environment, that over the file.

SIGINT or SIGTERM ends intercept; sessions pause until it runs again.
Exit code: 0 ended by a signal, 1 could not run, 2 usage.

Examples:

  intercept --target 10.0.0.9 --interface eth0 --key-file key
  intercept --target 10.0.0.9 --interface eth0 --listen 10.0.0.7:36524 --key-file key`

// flags are all text or switches, so that config reports a wrong value the same
// way wherever it came from.
func flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "interface", Aliases: []string{"i"}, Usage: "capture on `IF`; repeatable (default: every interface that is up)"},
		&cli.StringFlag{Name: "port", Aliases: []string{"p"}, Value: "3306", DefaultText: "3306", Usage: "the target's MySQL `PORT`"},
		&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "read only the replies of the server at `IP`"},
		&cli.StringFlag{Name: "listen", Value: ":36524", DefaultText: ":36524", Usage: "accept mrtecopy's connections on `[IP]:PORT`"},
		&cli.StringFlag{Name: "key-file", Usage: "read the key shared with mrtecopy from `FILE`"},
		&cli.BoolFlag{Name: "insecure", Usage: "accept everybody, without key and encryption"},
		&cli.StringFlag{Name: "max-sessions", Value: "1000000", DefaultText: "1000000", Usage: "refuse to watch more than `N` sessions"},
		&cli.StringFlag{Name: "max-memory", Value: "256MiB", DefaultText: "256MiB", Usage: "hold at most `SIZE` of replies that are not read yet"},
		&cli.StringFlag{Name: "summary", Usage: "write the counters as JSON to `FILE` at the end, - for standard output"},
		&cli.StringFlag{Name: "status-every", Value: "10s", DefaultText: "10s", Usage: "write a status line each `TIME`, 0 for none"},
		&cli.StringFlag{Name: "user", Usage: "become `USER` when everything is open"},
		&cli.StringFlag{Name: "config", Usage: "read flags from the YAML `FILE`"},
	}
}

func serve(c *cli.Context, s surroundings) error {
	if err := program.NoArguments(c); err != nil {
		return err
	}
	v, err := config.Layer(c, "INTERCEPT", s.getenv)
	if err != nil {
		return err
	}
	cfg, err := settings(v)
	if err != nil {
		return err
	}
	if err := s.privileged(); err != nil {
		return err
	}
	if path := v.String("key-file"); path != "" {
		key, err := control.LoadKey(path)
		if err != nil {
			return err
		}
		cfg.Key = &key
	}
	become := v.String("user")
	uid, err := program.UserID(become)
	if err != nil {
		return v.Errorf("user", "%v", err)
	}
	destination, err := ledger.Open(v.String("summary"), s.stdout, uid)
	if err != nil {
		return err
	}
	defer destination.Close()
	out := program.NewOutlet(s.stderr)
	defer out.Close()
	s.stderr = out
	cfg.Status = s.stderr
	cfg.Log = slog.New(slog.NewTextHandler(s.stderr, nil))
	defer program.TellVitals(cfg.Log)()
	cfg.Version = c.App.Version
	cfg.Opened = func() error {
		// Interfaces that go and come back need another socket, and so do resets.
		keep := program.Confinement{Keep: []program.Capability{program.NetRaw}, User: become}
		if err := program.Settled(cfg.Log, s.confine(keep)); err != nil {
			return err
		}
		return destination.Savable()
	}

	stopping := func(sig os.Signal) { fmt.Fprintf(s.stderr, "intercept: %v: ending\n", sig) }
	summary, err := program.Interruptible(c.Context, stopping, func(ctx context.Context) (intercept.Summary, error) {
		return s.intercept(ctx, cfg)
	})
	if err != nil {
		return err
	}
	return destination.Save(summary)
}

// settings checks the flags and translates them. It opens nothing.
func settings(v *config.Values) (c intercept.Config, err error) {
	if c.Interfaces, err = v.Interfaces("interface"); err != nil {
		return c, err
	}
	if c.Port, err = v.Port("port"); err != nil {
		return c, err
	}
	target := v.String("target")
	if target == "" {
		return c, v.Missing("target", "name the target server's address, such as --target 10.0.0.9")
	}
	if ap, err := config.ParseAddrPort(target); err == nil {
		return c, v.Errorf("target", "%q has a port; write --target %v --port %d", target, ap.Addr(), ap.Port())
	}
	if c.Target, err = config.ParseAddr(target); err != nil {
		return c, v.Errorf("target", "%v", err)
	}
	if c.Listen, err = config.ParseListen(v.String("listen")); err != nil {
		return c, v.Errorf("listen", "%v", err)
	}
	if err := config.KeyOrInsecure(v); err != nil {
		return c, err
	}
	if c.MaxSessions, err = v.Int("max-sessions", 1, 10_000_000); err != nil {
		return c, err
	}
	held, err := v.Size("max-memory", 8<<20, 1<<40)
	if err != nil {
		return c, err
	}
	c.MaxHeld = int(held)
	c.StatusEvery, err = v.Duration("status-every")
	return c, err
}
