package config

import (
	"fmt"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// A UsageError is a command line, environment or configuration file that the
// operator has to change: exit code 2.
type UsageError struct{ msg string }

func (e *UsageError) Error() string { return e.msg }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// DidYouMean returns ", did you mean PREFIXx?" for the one of names that
// looks most like name, or nothing when none looks like it.
func DidYouMean(prefix, name string, names []string) string {
	best, closeness := "", 0.8 // transposed and missing letters score higher
	for _, n := range names {
		// 0.7 and 4 are Winkler's own constants
		if c := smetrics.JaroWinkler(n, name, 0.7, 4); len(n) > 1 && c > closeness {
			best, closeness = n, c
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s%s?", prefix, best)
}

// FlagNames returns the long names of flags.
func FlagNames(flags []cli.Flag) []string {
	var names []string
	for _, f := range flags {
		names = append(names, f.Names()[0])
	}
	return names
}
