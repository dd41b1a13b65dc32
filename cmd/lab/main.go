// Command lab raises the lab of the end-to-end tests for people: to try things
// in it by hand, or to watch the demonstration.
//
//	lab up     raise it and leave it up
//	lab down   take it down
//	lab demo   raise it, replay a load for a while, show what happened, take it down
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mrtecopy/internal/lab"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const usage = `usage: lab up|down|demo

  up     raise four hosts (client, production, target, blackhole) as network
         namespaces, with a server on production and on the target
  down   take them down
  demo   raise them, replay a sysbench load for -for, compare the servers, take
         them down
`

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("lab", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, usage); f.PrintDefaults() }
	d := demo{out: stdout}
	f.DurationVar(&d.duration, "for", 20*time.Second, "how long the demonstration's load lasts")
	f.IntVar(&d.threads, "threads", 8, "connections of the demonstration's load")
	f.IntVar(&d.rate, "rate", 0, "transactions a second of the demonstration's load; 0: as many as fit")
	f.StringVar(&d.load, "load", "oltp_read_write", "sysbench load of the demonstration")

	verb := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	if f.Parse(args) != nil || f.NArg() > 0 {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var err error
	switch verb {
	case "up":
		err = up(ctx, stdout)
	case "down":
		err = down()
	case "demo":
		err = d.run(ctx)
	default:
		f.Usage()
		return 2
	}
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "lab: interrupted")
		return 130 // as a shell reports a Ctrl-C
	}
	if err != nil {
		fmt.Fprintln(stderr, "lab:", err)
		return 1
	}
	return 0
}

// stateFile remembers the lab that `up` left: its prefix and its directory.
var stateFile = filepath.Join(".lab", "up")

func up(ctx context.Context, stdout io.Writer) (err error) {
	if _, err := os.Stat(stateFile); err == nil {
		return errors.New("a lab is up already; take it down with: make lab-down")
	}
	l, err := lab.Up(ctx, lab.Options{Prefix: "mclab", Keep: true, Log: stdout})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Down())
		}
	}()
	if err := errors.Join(os.MkdirAll(filepath.Dir(stateFile), 0o755),
		os.WriteFile(stateFile, []byte(l.Prefix()+" "+l.Dir()+"\n"), 0o644)); err != nil {
		return err
	}
	if err := l.ShareKey(ctx); err != nil {
		return err
	}
	if _, err := l.Routes(ctx, "apply"); err != nil {
		return err
	}
	fmt.Fprint(stdout, l.Guide())
	return nil
}

func down() error {
	b, err := os.ReadFile(stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no lab is up")
	} else if err != nil {
		return err
	}
	prefix, dir, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	if !ok {
		return fmt.Errorf("%s: not a prefix and a directory: %q", stateFile, b)
	}
	if err := lab.TearDown(prefix, dir); err != nil {
		return err
	}
	return os.Remove(stateFile)
}
