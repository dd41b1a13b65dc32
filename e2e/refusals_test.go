package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

func contains(s string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// What keeps mrtecopy from running is said in a line that names it, with an exit
// code, and nothing is left behind.
func TestMrtecopyCannotRun(t *testing.T) {
	l := labtest.Lab(t)
	open := l.Production.File(t, "open", "app:x\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	closed := l.Production.File(t, "closed", "app:x\n")
	garbled := l.Production.File(t, "garbled", "app\n")
	badKey := l.Production.File(t, "bad-key", "0123\n")
	for _, tt := range []struct {
		name  string
		flags []string
		code  int
		words []string
	}{
		{"missing interface", []string{"--interface", "eth7"}, 1, []string{"eth7"}},
		{"no credentials file", []string{"--credentials", "/no/such/file"}, 1, []string{"/no/such/file"}},
		{"credentials that others can read", []string{"--credentials", open}, 1, []string{open, "chmod 600"}},
		{"garbled credentials", []string{"--credentials", garbled}, 1, []string{garbled, "1"}},
		{"no key file", []string{"--key-file", "/no/such/key"}, 1, []string{"/no/such/key"}},
		{"a key file that is none", []string{"--key-file", badKey}, 1, []string{badKey}},
		{"key and insecure", []string{"--insecure"}, 2, []string{"--insecure", "--key-file"}},
		{"the target is production", []string{"--target", l.Production.V4.String() + ":3306"}, 2, []string{l.Production.V4.String()}},
		{"the target is this host's other address", []string{"--target", "127.0.0.1:3306"}, 2, []string{"127.0.0.1"}},
		{"no such flag", []string{"--tarjet", "x"}, 2, []string{"--target"}},
		{"no number", []string{"--shards", "two"}, 2, []string{"shards", "two"}},
		{"summary into nowhere", []string{"--summary", "/no/such/dir/s"}, 1, []string{"/no/such/dir"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectEnd(t, l, l.Production, "mrtecopy", append(l.MrtecopyArgs(lab.Run{}), tt.flags...), tt.code, tt.words)
		})
	}
	t.Run("not root", func(t *testing.T) {
		// A file of the unprivileged user's own, so that only the privilege is missing.
		if err := os.Chown(closed, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		args := []string{"--reuid", "65534", "--regid", "65534", "--clear-groups", "mrtecopy", "live", "--target", l.Target.V4.String() + ":3306",
			"--intercept", l.Blackhole.V4.String(), "--credentials", closed, "--insecure"}
		expectEnd(t, l, l.Production, "setpriv", args, 1, []string{"CAP_NET_RAW", "root"})
	})
	t.Run("credentials it may not read", func(t *testing.T) {
		private := l.Production.File(t, "private", "app:x\n")
		args := []string{"--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "+net_raw,+net_admin", "--ambient-caps", "+net_raw,+net_admin",
			"mrtecopy", "live", "--target", l.Target.V4.String() + ":3306", "--intercept", l.Blackhole.V4.String(), "--credentials", private, "--insecure"}
		expectEnd(t, l, l.Production, "setpriv", args, 1, []string{private, "permission denied"})
	})
}

const nobody = 65534

func TestInterceptCannotRun(t *testing.T) {
	l := labtest.Lab(t)
	key := l.Blackhole.File(t, "open-key", strings.Repeat("ab", 32)+"\n")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	good := []string{"--interface", "eth0", "--target", l.Target.V4.String(), "--insecure"}
	for _, tt := range []struct {
		name  string
		args  []string
		code  int
		words []string
	}{
		{"missing interface", append([]string{"--interface", "eth7"}, good[2:]...), 1, []string{"eth7"}},
		{"a key that others can read", []string{"--interface", "eth0", "--target", l.Target.V4.String(), "--key-file", key}, 1, []string{key, "chmod 600"}},
		{"neither key nor insecure", good[:4], 2, []string{"--key-file", "--insecure"}},
		{"no such address to listen on", append(good, "--listen", "10.99.0.1:36524"), 1, []string{"10.99.0.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) { expectEnd(t, l, l.Blackhole, "intercept", tt.args, tt.code, tt.words) })
	}
	t.Run("the host is a router", func(t *testing.T) {
		forward := func(on string) {
			if _, err := l.Blackhole.Run(t.Context(), "sh", "-c", "echo "+on+" > /proc/sys/net/ipv4/ip_forward"); err != nil {
				t.Fatal(err)
			}
		}
		forward("1")
		defer forward("0")
		if _, err := l.Routes(t.Context(), "undo"); err != nil {
			t.Fatal(err)
		}
		expectEnd(t, l, l.Blackhole, "intercept", good, 1, []string{"intercept route blackhole", "apply"})
		if _, err := l.Routes(t.Context(), "apply"); err != nil {
			t.Fatal(err)
		}
		// With the rule in place a router will do.
		r := labtest.Begin(t, lab.Run{})
		r.Load("-n", "10", "short")
		r.Whole()
	})
	t.Run("not root", func(t *testing.T) {
		args := append([]string{"--reuid", "65534", "--regid", "65534", "--clear-groups", "intercept"}, good...)
		expectEnd(t, l, l.Blackhole, "setpriv", args, 1, []string{"CAP_NET_RAW", "root"})
	})
}

// expectEnd runs a program that must end by itself with a code and these words.
func expectEnd(t *testing.T, l *lab.Lab, h *lab.Host, program string, args []string, code int, words []string) {
	t.Helper()
	cmd := h.Command(t.Context(), program, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		cmd.Process.Kill()
		<-ended
		t.Fatalf("%s went on:\n%s", program, said.String())
	}
	out := said.String()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	if !contains(out, words...) {
		t.Errorf("the message does not name %v:\n%s", words, out)
	}
	if n := strings.Count(strings.TrimSpace(out), "\n"); n > 3 {
		t.Errorf("the message has %d lines, want one or a few:\n%s", n+1, out)
	}
	if contains(out, "goroutine ") {
		t.Errorf("%s crashed:\n%s", program, out)
	}
}
