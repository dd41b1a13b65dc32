// Package program is what the command lines of both programs have in common:
// how they report errors, which exit code they end with, how signals stop them,
// and what they need to know about their surroundings.
package program

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
)

// Exit codes, as docs/operations.md gives them.
const (
	ExitDone   = 0 // finished, and nothing was lost
	ExitFailed = 1 // could not run, or was ended at once
	ExitUsage  = 2 // wrong command line, environment or configuration file
	ExitLosses = 3 // finished with losses
)

// ErrLosses is what a command returns after a run that lost something. The
// command has said so itself.
var ErrLosses = errors.New("finished with losses")

// Run runs app and returns the exit code. It alone reports errors, in one line
// on app.ErrWriter.
func Run(app *cli.App, args []string) int {
	app.ExitErrHandler = func(*cli.Context, error) {} // the library's own would exit
	app.OnUsageError = usageError
	app.DisableSliceFlagSeparator = true // not every text is a list: config.Values takes lists apart
	prepare(app.Commands)
	err := app.Run(args)
	var usage *config.UsageError
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, ErrLosses):
		return ExitLosses
	case errors.As(err, &usage):
		fmt.Fprintf(app.ErrWriter, "%s: %v\n", app.Name, err)
		return ExitUsage
	default:
		fmt.Fprintf(app.ErrWriter, "%s: %v\n", app.Name, err)
		return ExitFailed
	}
}

// prepare gives every command what the library does not inherit.
func prepare(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = usageError
		c.HideHelpCommand = true
		prepare(c.Subcommands)
	}
}

// oneDash finds the flags in a message of package flag, which writes --x as -x.
var oneDash = regexp.MustCompile(` -([a-z][a-z-]+)`)

// usageError puts an error of package flag into our words.
func usageError(c *cli.Context, err error, _ bool) error {
	msg := err.Error()
	if name, unknown := strings.CutPrefix(msg, "flag provided but not defined: "); unknown {
		name = strings.TrimLeft(name, "-")
		msg = "there is no flag --" + name + config.DidYouMean("--", name, config.FlagNames(c.Command.Flags))
	}
	if names, twice := strings.CutPrefix(msg, "Cannot use two forms of the same flag: "); twice {
		msg = "-" + strings.ReplaceAll(names, " ", " and -") + " are the same flag: give one of them"
	}
	msg = oneDash.ReplaceAllString(strings.TrimSuffix(msg, ": parse error"), " --$1")
	return config.Usagef("%s", seeHelp(c, msg))
}

// seeHelp ends msg with where to read on.
func seeHelp(c *cli.Context, msg string) string {
	if strings.HasSuffix(msg, "?") {
		return msg + " See " + c.Command.HelpName + " --help"
	}
	return msg + "; see " + c.Command.HelpName + " --help"
}

// NoArguments refuses arguments that are not flags.
func NoArguments(c *cli.Context) error {
	if !c.Args().Present() {
		return nil
	}
	msg := fmt.Sprintf("unexpected argument %q", c.Args().First())
	if names := subcommands(c.Command); len(names) > 0 {
		msg = fmt.Sprintf("there is no command %q%s", c.Args().First(), config.DidYouMean("", c.Args().First(), names))
	}
	return config.Usagef("%s", seeHelp(c, msg))
}

func subcommands(c *cli.Command) (names []string) {
	for _, s := range c.Subcommands {
		if !s.Hidden && s.Name != "help" {
			names = append(names, s.Name)
		}
	}
	return names
}
