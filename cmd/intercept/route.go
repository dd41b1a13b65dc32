package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
	"mrtecopy/internal/program"
	"mrtecopy/routing"
)

// routes are what the verbs work on: a routing.Target or a routing.Blackhole.
type routes interface {
	Print(io.Writer) error
	Apply(io.Writer) error
	Check(io.Writer) (wrong int, err error)
	Undo(io.Writer) error
}

func routeCommand() *cli.Command {
	return &cli.Command{
		Name:      "route",
		Usage:     "route the target's replies to the blackhole host, and end them there",
		UsageText: "intercept route target    --via BLACKHOLE_IP … print|apply|check|undo\nintercept route blackhole --target IP …        print|apply|check|undo",
		Description: `Replies to forged clients must not reach the real ones. Two hosts need a rule
for that: 'route target' on the target host, 'route blackhole' on the host where
intercept runs. docs/routes.md tells what the rules do.`,
		Subcommands: []*cli.Command{routeTargetCommand(), routeBlackholeCommand()},
		Action:      noSuchRoute,
	}
}

func routeTargetCommand() *cli.Command {
	return &cli.Command{
		Name:      "target",
		Usage:     "on the target host: send every reply of the MySQL port to the blackhole host",
		UsageText: "intercept route target --via BLACKHOLE_IP [--port 3306] [--except NET]… [--cut-existing] print|apply|check|undo",
		Description: `Run it on the target host. Whatever the server on --port sends to another host
goes to the blackhole host, by policy routing, and never to the client it is
for. Other ports, and clients on the target host itself, are not concerned.
For IPv4 and IPv6, run it once with an address of each.

Examples:

  intercept route target --via 10.0.0.7 --except 10.0.9.0/24 print
  intercept route target --via 10.0.0.7 --except 10.0.9.0/24 apply
  intercept route target undo`,
		Flags:       targetFlags(),
		Subcommands: verbs(targetFlags, targetRoutes),
		Action:      noSuchRoute,
	}
}

func targetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "port", Aliases: []string{"p"}, Value: "3306", DefaultText: "3306", Usage: "the server's `PORT` on this host"},
		&cli.StringFlag{Name: "via", Usage: "the blackhole host's address, `IP`, on a link of this host; undo takes all away without it"},
		&cli.StringSliceFlag{Name: "except", Usage: "answer clients in `NET`, or at one address, as before; repeatable"},
		&cli.BoolFlag{Name: "cut-existing", Usage: "apply although clients are connected that are no exception"},
	}
}

func targetRoutes(v *config.Values, verb string) (routes, error) {
	t := routing.Target{CutExisting: v.Bool("cut-existing")}
	var err error
	if t.Port, err = v.Port("port"); err != nil {
		return nil, err
	}
	switch via := v.String("via"); {
	case via != "":
		if t.Via, err = netip.ParseAddr(via); err != nil {
			return nil, v.Errorf("via", "%q is no IP address", via)
		}
		t.Via = t.Via.Unmap()
	case verb != "undo":
		return nil, v.Errorf("via", "missing; name the blackhole host's address, such as --via 10.0.0.7")
	}
	for _, s := range v.Strings("except") {
		net, err := parseNet(s)
		if err != nil {
			return nil, v.Errorf("except", "%v", err)
		}
		t.Except = append(t.Except, net)
	}
	return t, nil
}

// parseNet reads 10.0.9.0/24, or 10.0.9.4 as a network of one.
func parseNet(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no network; write 10.0.9.0/24 or an address", s)
	}
	return p.Masked(), nil
}

func routeBlackholeCommand() *cli.Command {
	return &cli.Command{
		Name:      "blackhole",
		Usage:     "on the blackhole host: drop the target's replies, even where IP forwarding is on",
		UsageText: "intercept route blackhole --target IP [--interface IF] [--port 3306] print|apply|check|undo",
		Description: `Run it on the host where intercept runs. What the target sends from --port is
dropped instead of being forwarded to the real clients. intercept sees it all
the same. A host with IP forwarding off does not need the rule, but it does no
harm there.

Example:

  intercept route blackhole --interface eth0 --target 10.0.0.9 apply`,
		Flags:       blackholeFlags(),
		Subcommands: verbs(blackholeFlags, blackholeRoutes),
		Action:      noSuchRoute,
	}
}

func blackholeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "interface", Aliases: []string{"i"}, Usage: "the interface `IF` by which the replies come in (default: any)"},
		&cli.StringFlag{Name: "target", Aliases: []string{"t"}, Usage: "the target server's address, `IP`"},
		&cli.StringFlag{Name: "port", Aliases: []string{"p"}, Value: "3306", DefaultText: "3306", Usage: "the target's MySQL `PORT`"},
	}
}

func blackholeRoutes(v *config.Values, _ string) (routes, error) {
	b := routing.Blackhole{Interface: v.String("interface")}
	var err error
	if b.Port, err = v.Port("port"); err != nil {
		return nil, err
	}
	if v.String("target") == "" {
		return nil, v.Errorf("target", "missing; name the target server's address, such as --target 10.0.0.9")
	}
	if b.Target, err = config.ParseAddr(v.String("target")); err != nil {
		return nil, v.Errorf("target", "%v", err)
	}
	return b, nil
}

// verbs makes the four subcommands. They take the flags of the command above
// them as well, so that flags may stand before or after the verb.
func verbs(flags func() []cli.Flag, parse func(*config.Values, string) (routes, error)) []*cli.Command {
	verb := func(name, usage string, do func(routes, io.Writer) error) *cli.Command {
		return &cli.Command{Name: name, Usage: usage, Flags: flags(), Action: func(c *cli.Context) error {
			v, err := routeValues(c)
			if err != nil {
				return err
			}
			r, err := parse(v, name)
			if err != nil {
				return err
			}
			return do(r, c.App.Writer)
		}}
	}
	return []*cli.Command{
		verb("print", "write the plain commands that apply would run", routes.Print),
		verb("apply", "do it; what is done already stays as it is", asRoot(routes.Apply)),
		verb("check", "tell what is there and the command that mends what is not; exit code 1 if anything", check),
		verb("undo", "take it all away, and give changed sysctls back their values", asRoot(routes.Undo)),
	}
}

// routeValues gathers the flags from both sides of the verb. c is the context
// of the verb, its parent that of the command that the flags belong to.
func routeValues(c *cli.Context) (*config.Values, error) {
	if err := program.NoArguments(c); err != nil {
		return nil, err
	}
	above := c.Lineage()[1]
	for _, outer := range c.Lineage()[2:] {
		if names := outer.LocalFlagNames(); len(names) > 0 {
			return nil, config.Usagef("--%s stands too early: it belongs behind '%s'", names[0], above.Command.HelpName)
		}
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		values := []string{fmt.Sprint(c.Value(name))}
		if _, ok := f.(*cli.StringSliceFlag); ok {
			values = c.StringSlice(name)
		}
		for _, value := range values {
			if err := above.Set(name, value); err != nil {
				return nil, config.Usagef("--%s: %v", name, err)
			}
		}
	}
	return config.Layer(above, "INTERCEPT", os.Getenv)
}

func check(r routes, w io.Writer) error {
	wrong, err := r.Check(w)
	if err == nil && wrong > 0 {
		err = fmt.Errorf("to be mended: %d", wrong)
	}
	return err
}

// asRoot refuses early what would fail halfway.
func asRoot(do func(routes, io.Writer) error) func(routes, io.Writer) error {
	return func(r routes, w io.Writer) error {
		if os.Geteuid() != 0 {
			return errors.New("not permitted: routes are changed as root; run it with sudo")
		}
		return do(r, w)
	}
}

// noSuchRoute is reached where no subcommand was named, or one that is none.
func noSuchRoute(c *cli.Context) error {
	var names []string
	for _, s := range c.Command.Subcommands {
		if s.Name != "help" {
			names = append(names, s.Name)
		}
	}
	choice := strings.Join(names, "|")
	given := c.Args().First()
	for _, s := range c.Command.Subcommands {
		if s.Command(given) != nil { // a verb, and nothing says on which host
			return config.Usagef("%s which routes? On the target host it is: intercept route target … %s; on the blackhole host: intercept route blackhole … %s; see --help", given, given, given)
		}
	}
	if given != "" {
		return config.Usagef("no command %q; it is: %s %s; see --help", given, c.Command.HelpName, choice)
	}
	return config.Usagef("a command is missing: %s %s; see --help", c.Command.HelpName, choice)
}
