package config

import (
	"errors"
	"os"
	"slices"

	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"
)

// An entry is one key of a configuration file.
type entry struct {
	key    string
	values []string
	line   int
}

// readFile reads the configuration file at path for a command with these flags.
func readFile(path string, flags []cli.Flag) ([]entry, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, Usagef("configuration file: %v", err)
	}
	return parseFile(path, b, flags)
}

// parseFile reads a YAML mapping from long flag names to scalars, or to lists
// of scalars where the flag can be repeated.
func parseFile(path string, b []byte, flags []cli.Flag) ([]entry, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, Usagef("%s: %v", path, err)
	}
	if len(doc.Content) == 0 { // nothing but comments
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, Usagef("%s:%d: the file must hold lines such as port: 3306", path, root.Line)
	}
	var entries []entry
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		f := byName(flags, key.Value)
		switch {
		case f == nil:
			return nil, Usagef("%s:%d: unknown key %q%s", path, key.Line, key.Value, DidYouMean("", key.Value, FlagNames(flags)))
		case key.Value == configFlag:
			return nil, Usagef("%s:%d: a configuration file cannot name another", path, key.Line)
		case slices.ContainsFunc(entries, func(e entry) bool { return e.key == key.Value }):
			return nil, Usagef("%s:%d: %s is given twice; write a list: %s: [a, b]", path, key.Line, key.Value, key.Value)
		}
		values, err := scalars(value)
		if err != nil {
			return nil, Usagef("%s:%d: %s: %v", path, value.Line, key.Value, err)
		}
		if _, ok := f.(*cli.StringSliceFlag); !ok && len(values) != 1 {
			return nil, Usagef("%s:%d: %s takes one value", path, value.Line, key.Value)
		}
		entries = append(entries, entry{key.Value, values, key.Line})
	}
	return entries, nil
}

// byName returns the flag with this long name.
func byName(flags []cli.Flag, name string) cli.Flag {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return f.Names()[0] == name && settable(f) })
	if i < 0 {
		return nil
	}
	return flags[i]
}

// scalars returns the text of a scalar, or of each scalar in a list, as it is
// written in the file: 010 stays 010.
func scalars(n *yaml.Node) ([]string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil, errors.New("has no value")
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}, nil
	case n.Kind != yaml.SequenceNode:
		return nil, errors.New("must be a value or a list of values")
	}
	var values []string
	for _, c := range n.Content {
		if c.Kind == yaml.AliasNode {
			c = c.Alias
		}
		if c.Kind != yaml.ScalarNode || c.Tag == "!!null" {
			return nil, errors.New("must be a value or a list of values")
		}
		values = append(values, c.Value)
	}
	return values, nil
}
