package main

import (
	"net/netip"
	"strings"

	driver "github.com/go-sql-driver/mysql"
	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/replay"
)

// adoptFlags say what becomes of the sessions that were open before the start.
func adoptFlags() []cli.Flag {
	const category = "Sessions that are open already"
	return []cli.Flag{
		&cli.StringFlag{Name: "adopt", Category: category, DefaultText: "by the next two flags, else off",
			Usage: "adopt them by `HOW`: observer, packets, off"},
		&cli.StringFlag{Name: "production-dsn", Category: category, Usage: "ask production about them, by the DSN in `FILE`: USER:PASSWORD@tcp(HOST:PORT)/"},
		&cli.StringSliceFlag{Name: "adopt-user", Category: category, Usage: "take them for sessions of `USER`, or NETWORK=USER, where production does not tell; repeatable"},
		&cli.StringFlag{Name: "adopt-schema", Category: category, Usage: "with `SCHEMA` for their default schema"},
	}
}

// adoption translates these flags.
func adoption(v *config.Values, c *replay.Config) error {
	for _, text := range v.Strings("adopt-user") {
		rule, ok := adoptRule(text)
		if !ok {
			return v.Errorf("adopt-user", "%q is not USER or NETWORK=USER, such as app or 10.1.0.0/16=app", text)
		}
		c.AdoptRules = append(c.AdoptRules, rule...)
	}
	c.AdoptSchema = v.String("adopt-schema")
	dsn := v.String("production-dsn") != ""
	switch how := v.String("adopt"); how {
	case "":
		switch {
		case dsn:
			c.Adopt = replay.AdoptObserver
		case len(c.AdoptRules) > 0:
			c.Adopt = replay.AdoptPackets
		}
	case "off":
	case "packets":
		if len(c.AdoptRules) == 0 {
			return v.Missing("adopt-user", "--adopt packets has to be told as whom sessions log in on the target whose login was not captured")
		}
		c.Adopt = replay.AdoptPackets
	case "observer":
		if !dsn {
			return v.Missing("production-dsn", "name a file, mode 600, with how to reach production: USER:PASSWORD@tcp(127.0.0.1:3306)/")
		}
		c.Adopt = replay.AdoptObserver
	default:
		return v.Errorf("adopt", "%q is neither observer nor packets nor off", how)
	}
	return nil
}

// adoptRule reads [NETWORK=]USER; without a network it is a rule for each family.
func adoptRule(text string) (rules []replay.AdoptRule, ok bool) {
	network, user, found := strings.Cut(text, "=")
	if !found {
		return []replay.AdoptRule{
			{From: netip.PrefixFrom(netip.IPv4Unspecified(), 0), User: text},
			{From: netip.PrefixFrom(netip.IPv6Unspecified(), 0), User: text},
		}, text != ""
	}
	from, err := netip.ParsePrefix(network)
	if err != nil {
		a, err := netip.ParseAddr(network)
		if err != nil {
			return nil, false
		}
		from = netip.PrefixFrom(a, a.BitLen())
	}
	return []replay.AdoptRule{{From: from.Masked(), User: user}}, user != ""
}

// productionDSN returns the data source name that --production-dsn names a file of.
// In the environment it may stand itself, for containers that get their secrets so;
// a command line is everybody's to read.
func productionDSN(v *config.Values, getenv func(string) string) (*driver.Config, error) {
	const flag = "production-dsn"
	text := v.String(flag)
	switch isDSN := strings.Contains(text, "@") && (strings.Contains(text, "(") || strings.Contains(text, "@/")); {
	case isDSN && text == getenv(config.EnvName("MRTECOPY", flag)):
	case isDSN:
		return nil, config.Usagef("--%s names a file, mode 600, that holds the data source name: on a command line everybody can read it", flag)
	default:
		var err error
		if text, err = config.LoadLine(text); err != nil {
			return nil, v.Errorf(flag, "%v", err)
		}
	}
	c, err := observer.ParseDSN(text)
	if err != nil {
		return nil, v.Errorf(flag, "%v", err)
	}
	return c, nil
}
