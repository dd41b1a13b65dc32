package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
)

func testApp(stderr io.Writer, action cli.ActionFunc) *cli.App {
	return &cli.App{
		Name: "prog", HelpName: "prog", HideHelpCommand: true, Writer: io.Discard, ErrWriter: stderr,
		Action: NoArguments,
		Commands: []*cli.Command{{
			Name:   "serve",
			Flags:  []cli.Flag{&cli.StringFlag{Name: "port", Aliases: []string{"p"}}, &cli.BoolFlag{Name: "insecure"}},
			Action: action,
		}},
	}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name string
		args string
		err  error // of the action
		code int
		msg  string
	}{
		{"done", "serve", nil, ExitDone, ""},
		{"failed", "serve", errors.New("no luck"), ExitFailed, "prog: no luck\n"},
		{"usage", "serve", fmt.Errorf("x: %w", config.Usagef("odd")), ExitUsage, "prog: x: odd\n"},
		{"losses", "serve", ErrLosses, ExitLosses, ""},
		{"an ExitCoder does not exit", "serve", cli.Exit("bye", 7), ExitFailed, "prog: bye\n"},
		{"help", "serve --help", nil, ExitDone, ""},
		{"unknown flag", "serve --prot 1", nil, ExitUsage, "prog: there is no flag --prot, did you mean --port? See prog serve --help\n"},
		{"nothing like it", "serve --xyz", nil, ExitUsage, "prog: there is no flag --xyz; see prog serve --help\n"},
		{"no value", "serve --port", nil, ExitUsage, "prog: flag needs an argument: --port; see prog serve --help\n"},
		{"no value, short", "serve -p", nil, ExitUsage, "prog: flag needs an argument: -p; see prog serve --help\n"},
		{"bad switch", "serve --insecure=x", nil, ExitUsage, "prog: invalid boolean value \"x\" for --insecure; see prog serve --help\n"},
		{"unknown flag at the root", "--port 1", nil, ExitUsage, "prog: there is no flag --port; see prog --help\n"},
		{"unknown command", "sevre", nil, ExitUsage, "prog: there is no command \"sevre\", did you mean serve? See prog --help\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			app := testApp(&stderr, func(*cli.Context) error { return tt.err })
			code := Run(app, strings.Fields("prog "+tt.args))
			if code != tt.code || stderr.String() != tt.msg {
				t.Errorf("exit code %d, %q, want %d, %q", code, stderr.String(), tt.code, tt.msg)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	got := Options([]cli.Flag{
		&cli.StringSliceFlag{Name: "interface", Aliases: []string{"i"}, Category: "B", Usage: "capture on `IF`"},
		&cli.StringFlag{Name: "a-name-that-needs-a-line", Category: "A", Usage: "read `FILE`"},
		&cli.StringFlag{Name: "port", Category: "B", Value: "1", DefaultText: "1", Usage: "the `PORT`"},
		&cli.BoolFlag{Name: "quiet", Category: "A", Usage: "say nothing"},
	})
	want := `
  B
   -i, --interface IF          capture on IF
       --port PORT             the PORT (default: 1)

  A
       --a-name-that-needs-a-line FILE
                               read FILE
       --quiet                 say nothing
   -h, --help                  show help
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
