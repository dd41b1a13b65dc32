package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String returns the value of a flag as it was written.
func (v *Values) String(name string) string { return v.c.String(name) }

// Strings returns the values of a flag that can be repeated, or given as a list
// with commas, less empty ones.
func (v *Values) Strings(name string) []string { return splitLists(v.c.StringSlice(name)) }

// Texts returns the values of a flag that can be repeated and may hold commas.
func (v *Values) Texts(name string) []string { return v.c.StringSlice(name) }

// splitLists takes lists with commas apart, and leaves out what is empty.
func splitLists(lists []string) (values []string) {
	for _, list := range lists {
		for s := range strings.SplitSeq(list, ",") {
			if s = strings.TrimSpace(s); s != "" {
				values = append(values, s)
			}
		}
	}
	return values
}

// Bool returns the value of a switch.
func (v *Values) Bool(name string) bool { return v.c.Bool(name) }

// Int returns the value of a flag that holds a whole number.
func (v *Values) Int(name string, lowest, highest int) (int, error) {
	n, err := strconv.Atoi(v.String(name))
	if err != nil || n < lowest || n > highest {
		return 0, v.Errorf(name, "%q is not a number from %d to %d", v.String(name), lowest, highest)
	}
	return n, nil
}

// Port returns the value of a flag that holds a TCP port.
func (v *Values) Port(name string) (uint16, error) {
	n, err := v.Int(name, 1, 65535)
	return uint16(n), err
}

// Duration returns the value of a flag that holds a time, zero included.
func (v *Values) Duration(name string) (time.Duration, error) {
	d, err := time.ParseDuration(v.String(name))
	if err != nil || d < 0 {
		return 0, v.Errorf(name, "%q is no time; write one as 500ms, 10s or 1h30m", v.String(name))
	}
	return d, nil
}

// Size returns the value of a flag that holds a number of bytes.
func (v *Values) Size(name string, lowest, highest int64) (int64, error) {
	n, err := ParseSize(v.String(name))
	if err != nil {
		return 0, v.Errorf(name, "%v", err)
	}
	if n < lowest || n > highest {
		return 0, v.Errorf(name, "%s is not between %s and %s", v.String(name), FormatSize(lowest), FormatSize(highest))
	}
	return n, nil
}

// Errorf makes a usage error about a flag that says where its value is from.
func (v *Values) Errorf(name, format string, args ...any) error {
	return Usagef("--%s%s: %s", name, v.from(name), fmt.Sprintf(format, args...))
}

// Missing makes a usage error about a flag that must be given.
func (v *Values) Missing(name, format string, args ...any) error {
	return Usagef("--%s is missing: %s", name, fmt.Sprintf(format, args...))
}

// from says where a flag's value is from, if not from the command line.
func (v *Values) from(name string) string {
	if origin := v.origin[name]; origin != "" {
		return " (from " + origin + ")"
	}
	return ""
}

// KeyOrInsecure checks that exactly one of --key-file and --insecure is given,
// on which both programs insist.
func KeyOrInsecure(v *Values) error {
	switch key, insecure := v.String("key-file") != "", v.Bool("insecure"); {
	case key && insecure:
		return Usagef("--insecure%s and --key-file%s exclude each other: leave one out", v.from("insecure"), v.from("key-file"))
	case !key && !insecure:
		return v.Missing("key-file", "make a key with 'intercept keygen FILE' and give both programs that file, or both --insecure")
	}
	return nil
}
