package program

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Nobody reads: writing goes on. When somebody does again, what was kept comes,
// and the number of lines that were not, and all that is written then.
func TestOutlet(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	o := NewOutlet(w)
	const n = 10 * outletLines
	for i := range n {
		fmt.Fprintf(o, "line %d\n", i)
	}
	lines := bufio.NewScanner(r)
	kept, dropped := 0, 0
	for dropped == 0 && lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "(%d lines were dropped", &dropped); err == nil {
			break
		}
		if want := fmt.Sprintf("line %d", kept); lines.Text() != want {
			t.Fatalf("%q, want %q", lines.Text(), want)
		}
		kept++
	}
	if kept < outletLines || kept+dropped != n {
		t.Errorf("%d lines, and %d dropped, of %d", kept, dropped, n)
	}
	fmt.Fprintln(o, "the last one")
	o.Close()
	w.Close()
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 && string(rest) != "the last one\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

// A reader that never comes does not keep the program.
func TestOutletIsStuck(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := NewOutlet(w)
	fmt.Fprint(o, strings.Repeat("x", 1<<20))
	o.close(10 * time.Millisecond)
	fmt.Fprintln(o, "too late")
	w.Close() // ends the write that hangs
	<-o.done
}
