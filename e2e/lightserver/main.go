// Command lightserver is the server of the benchmarks: it speaks as much of the
// MySQL protocol as a client needs to log in and to run statements, and answers
// at once with the same few octets each time. So what is left to measure are the
// network and the replay, and two cores carry both ends and our programs.
//
//	lightserver [-listen ADDRESS:PORT] [-counts FILE]
//
// It takes every login and every statement. A statement that begins with an S has
// one row of one column, any other an OK.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	f := flag.NewFlagSet("lightserver", flag.ContinueOnError)
	f.SetOutput(stderr)
	listen := f.String("listen", "0.0.0.0:3306", "where to listen")
	file := f.String("counts", "", "the file that the counts are kept in; see counts.go")
	if f.Parse(args) != nil || f.NArg() != 0 {
		return 2
	}
	err := func() error {
		at, err := netip.ParseAddrPort(*listen)
		if err != nil {
			return err
		}
		c, err := openCounts(*file)
		if err != nil {
			return err
		}
		return serve(at, c)
	}()
	fmt.Fprintln(stderr, "lightserver:", err)
	return 1
}
