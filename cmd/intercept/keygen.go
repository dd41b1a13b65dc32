package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/config"
	"mrtecopy/internal/control"
)

func keygenCommand(s surroundings) *cli.Command {
	return &cli.Command{
		Name:      "keygen",
		Usage:     "make the key that intercept and mrtecopy share",
		UsageText: "intercept keygen FILE",
		Description: `Writes a new random key, 64 hexadecimal digits, to FILE, which must not exist
yet and can be read by its owner only (mode 600; both programs refuse it
otherwise). Copy it to the production host over a channel you trust:

  intercept keygen key
  scp -p key production:`,
		Action: func(c *cli.Context) error { return keygen(c, s) },
	}
}

func keygen(c *cli.Context, s surroundings) error {
	if c.Args().Len() != 1 || c.Args().First() == "" {
		return config.Usagef("keygen takes one argument, the file to write; such as: intercept keygen key")
	}
	path := c.Args().First()
	if err := control.GenerateKey(path); err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "wrote %s; give the same file to mrtecopy: scp -p %s PRODUCTION:\n", path, path)
	return nil
}
