// Command mrtecopy captures the sessions that arrive at a production
// MySQL or MariaDB server and replays them, live, onto another one.
package main

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/capture"
	"mrtecopy/internal/config"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/program"
	"mrtecopy/internal/replay"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string

func main() {
	program.Main()
	os.Exit(run(os.Args, surroundings{
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		getenv:     os.Getenv,
		localAddrs: capture.LocalAddrs,
		lookup:     net.DefaultResolver.LookupHost,
		privileged: program.Privileged,
		nice:       program.Nice,
		confine:    program.Confine,
		replay:     replay.Run,
	}))
}

// surroundings are what a run takes from outside.
type surroundings struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	localAddrs     func() ([]netip.Addr, error)
	lookup         func(ctx context.Context, host string) ([]string, error)
	privileged     func(...program.Capability) error
	nice           func(int) error
	confine        func(program.Confinement) error
	replay         func(context.Context, replay.Config) (ledger.Summary, error)
}

func run(args []string, s surroundings) int {
	app := &cli.App{
		Name:      "mrtecopy",
		HelpName:  "mrtecopy",
		Usage:     "replay a MySQL server's live sessions onto another server",
		UsageText: "mrtecopy live [options]\nmrtecopy policy [options]",
		Description: `mrtecopy runs on the production server's host. It reads the packets that arrive
there, forges each client's session toward a target server, and accounts for
every command. Production and its clients notice nothing. Its companion, the
program intercept, runs on a third host that the target's replies are routed to.

Begin with 'mrtecopy live --help'.`,
		Version:         program.Version(version),
		Commands:        []*cli.Command{liveCommand(s), policyCommand(s)},
		HideHelpCommand: true,
		Writer:          s.stdout,
		ErrWriter:       s.stderr,
		Action:          overview,
	}
	return program.Run(app, args)
}

// overview answers a command line without a command that there is.
func overview(c *cli.Context) error {
	if err := program.NoArguments(c); err != nil {
		return err
	}
	return config.Usagef("which command? mrtecopy live replays sessions as they happen; see mrtecopy --help")
}
