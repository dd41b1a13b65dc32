package config

import (
	"slices"
	"strings"
)

// Interfaces returns the network interfaces that a flag names, each once. That
// they exist is for whoever opens them to find out.
func (v *Values) Interfaces(name string) ([]string, error) {
	names := Unique(v.Strings(name))
	for _, s := range names {
		// the rule of dev_valid_name in the kernel, IFNAMSIZ with its zero
		if len(s) > 15 || strings.ContainsAny(s, "/: \t\n\v\f\r") || s == "." || s == ".." {
			return nil, v.Errorf(name, "%q is no interface name; see: ip -br link", s)
		}
	}
	return names, nil
}

// Unique returns s without repetitions, in order.
func Unique(s []string) []string {
	var u []string
	for _, x := range s {
		if !slices.Contains(u, x) {
			u = append(u, x)
		}
	}
	return u
}
