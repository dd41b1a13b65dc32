package program

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// optionWidth is the column at which the explanation of an option starts.
const optionWidth = 31

// CommandHelp returns the template of a command's --help: the library's, but
// with the options as Options writes them.
func CommandHelp(flags []cli.Flag) string {
	return `NAME:
   {{.HelpName}} - {{.Usage}}

USAGE:
   {{wrap .UsageText 3}}

DESCRIPTION:
   {{wrap .Description 3}}
{{if .VisibleCommands}}
COMMANDS:{{template "visibleCommandTemplate" .}}
{{end}}
` + "OPTIONS:\n" + Options(flags)
}

// Options writes flags, one or two lines each, under their categories in the
// order in which these first appear. The library sorts them, repeats the
// names of those that are repeatable, and makes lines of 190 columns.
func Options(flags []cli.Flag) string {
	flags = append(slices.Clone(flags), cli.HelpFlag)
	var order []string
	lines := make(map[string][]string)
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		category := ""
		if c, ok := f.(cli.CategorizableFlag); ok {
			category = c.GetCategory()
		}
		if !slices.Contains(order, category) {
			order = append(order, category)
		}
		lines[category] = append(lines[category], option(d, f.Names()))
	}
	var b strings.Builder
	for _, category := range order {
		if category != "" {
			fmt.Fprintf(&b, "\n  %s\n", category)
		}
		for _, line := range lines[category] {
			b.WriteString(line)
		}
	}
	return b.String()
}

func option(f cli.DocGenerationFlag, names []string) string {
	usage := f.GetUsage()
	placeholder := ""
	if _, after, ok := strings.Cut(usage, "`"); ok {
		placeholder, _, _ = strings.Cut(after, "`")
	}
	usage = strings.ReplaceAll(usage, "`", "")
	if text := f.GetDefaultText(); f.TakesValue() && text != "" {
		usage += " (default: " + text + ")"
	}
	left := "    --" + names[0]
	if len(names) > 1 {
		left = "-" + names[1] + ", --" + names[0]
	}
	left = strings.TrimRight("   "+left+" "+placeholder, " ")
	if len(left)+2 > optionWidth {
		return fmt.Sprintf("%s\n%*s%s\n", left, optionWidth, "", usage)
	}
	return fmt.Sprintf("%-*s%s\n", optionWidth, left, usage)
}
