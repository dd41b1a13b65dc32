// Command intercept reads a target MySQL or MariaDB server's replies on a
// blackhole host and tells mrtecopy what advances its forged sessions.
package main

import (
	"context"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/intercept"
	"mrtecopy/internal/program"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string

func main() {
	program.Main()
	os.Exit(run(os.Args, surroundings{
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		getenv:     os.Getenv,
		privileged: func() error { return program.Privileged(program.NetRaw) },
		confine:    program.Confine,
		intercept:  intercept.Run,
	}))
}

// surroundings are what a run takes from outside.
type surroundings struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	privileged     func() error
	confine        func(program.Confinement) error
	intercept      func(context.Context, intercept.Config) (intercept.Summary, error)
}

func run(args []string, s surroundings) int {
	app := &cli.App{
		Name:                  "intercept",
		HelpName:              "intercept",
		Usage:                 "receive a target server's replies for mrtecopy",
		UsageText:             usageText,
		Description:           description,
		Version:               program.Version(version),
		Flags:                 flags(),
		CustomAppHelpTemplate: program.CommandHelp(append(flags(), cli.VersionFlag)),
		Commands:              []*cli.Command{keygenCommand(s), routeCommand()},
		HideHelpCommand:       true,
		Writer:                s.stdout,
		ErrWriter:             s.stderr,
		Action:                func(c *cli.Context) error { return serve(c, s) },
	}
	return program.Run(app, args)
}
