package config

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// configFlag names the file with the values of other flags.
const configFlag = "config"

// Values are a command's flags once the environment and the configuration file
// have filled in what the command line left open.
type Values struct {
	c      *cli.Context
	origin map[string]string // by flag, if it is not the command line
}

// Layer fills the flags of c that the command line does not set: from the
// environment, where --max-memory is PREFIX_MAX_MEMORY, and what is still open
// from the YAML file that --config names. An empty variable counts as absent. A value that
// is overridden is not looked at.
func Layer(c *cli.Context, prefix string, getenv func(string) string) (*Values, error) {
	v := &Values{c: c, origin: make(map[string]string)}
	set := make(map[string]bool)
	for _, f := range c.Command.Flags {
		set[f.Names()[0]] = c.IsSet(f.Names()[0])
	}
	apply := func(name, origin string, values ...string) error {
		set[name] = true
		v.origin[name] = origin
		for _, value := range values {
			// Texts take any value here; only a switch can refuse one.
			if err := c.Set(name, value); err != nil {
				return v.Errorf(name, "%q is neither true nor false", value)
			}
		}
		return nil
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		key := EnvName(prefix, name)
		if value := getenv(key); value != "" && settable(f) && !set[name] {
			if err := apply(name, "environment variable "+key, value); err != nil {
				return nil, err
			}
		}
	}
	path := c.String(configFlag)
	if path == "" {
		return v, nil
	}
	entries, err := readFile(path, c.Command.Flags)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if set[e.key] {
			continue
		}
		if err := apply(e.key, fmt.Sprintf("%s:%d", path, e.line), e.values...); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// EnvName returns the environment variable that stands for a flag.
func EnvName(prefix, flag string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settable reports whether f configures something, unlike --help.
func settable(f cli.Flag) bool {
	name := f.Names()[0]
	return name != "help" && name != "version"
}
