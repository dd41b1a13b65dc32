package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/program"
)

const policyDescription = `Some statements mean something else on the target than they did on production, or
would harm it: KILL names a connection by production's number, SET GLOBAL would
undo the configuration under test. Each belongs to a class, and the policy says
of each class whether it is replayed or skipped. A skipped command is counted
(policy), and its session goes on with the next one.

The table shown is what 'mrtecopy live' goes by with the same --policy flags,
environment and configuration file; there:

  policy: [accounts=replay, flush=skip]`

func policyCommand(s surroundings) *cli.Command {
	flags := []cli.Flag{
		policyFlag(),
		&cli.StringFlag{Name: "config", Category: "Other", Usage: "read flags from the YAML `FILE`"},
	}
	return &cli.Command{
		Name:               "policy",
		Usage:              "show which kinds of statements are replayed",
		UsageText:          "mrtecopy policy [--policy CLASS=replay|skip]... [--config FILE]",
		Description:        policyDescription,
		Flags:              liveFlags(), // the configuration file is that of live
		CustomHelpTemplate: program.CommandHelp(flags),
		Action:             func(c *cli.Context) error { return showPolicy(c, s) },
	}
}

func policyFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "policy", Category: "What to replay", Usage: "`CLASS=replay` or CLASS=skip; repeatable; see mrtecopy policy"}
}

func showPolicy(c *cli.Context, s surroundings) error {
	if err := program.NoArguments(c); err != nil {
		return err
	}
	v, err := config.Layer(c, "MRTECOPY", s.getenv)
	if err != nil {
		return err
	}
	t, err := table(v)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLASS\tACTION\tWHAT")
	for _, row := range t.Rows() {
		fmt.Fprintf(w, "%s\t%v\t%s\n", row.Name, row.Action, row.About)
	}
	return w.Flush()
}

// table is the policy: the defaults, and what --policy changes.
func table(v *config.Values) (policy.Table, error) {
	t := policy.Default()
	for _, rule := range v.Strings("policy") {
		name, what, _ := strings.Cut(rule, "=")
		class, ok := policy.ParseClass(name)
		if !ok {
			return t, v.Errorf("policy", "%q is no class; mrtecopy policy shows them", name)
		}
		action, ok := policy.ParseAction(what)
		if !ok {
			return t, v.Errorf("policy", "%q: write %s=replay or %s=skip", rule, name, name)
		}
		t[class] = action
	}
	return t, nil
}
