package routing

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// A command is a program and its arguments: what is printed is what is run.
type command []string

// String returns c as one types it in a shell.
func (c command) String() string {
	words := make([]string, len(c))
	for i, w := range c {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote puts quotes round a word only where a shell would not take it as it
// stands: an interface may be called almost anything.
func quote(w string) string {
	plain := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_./:=@%+,", c)
	}
	if w != "" && strings.TrimFunc(w, plain) == "" {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// run runs c, one of `ip`. What it printed is part of the error.
func run(c command) error {
	path, err := findProgram(c[0])
	if err != nil {
		return err
	}
	out, err := exec.Command(path, c[1:]...).CombinedOutput()
	if err == nil {
		return nil
	}
	said := strings.ReplaceAll(string(bytes.TrimSpace(out)), "\n", "; ")
	if strings.Contains(said, "Operation not permitted") {
		said += " (needs root, or CAP_NET_ADMIN)"
	}
	return fmt.Errorf("%v: %w: %s", c, err, said)
}

// findProgram also looks where a shell that is not root's does not.
func findProgram(name string) (string, error) {
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		path, err := exec.LookPath(dir + name)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, unix.ENOENT) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s is not installed: apt-get install iproute2", name)
}

// kernelRoutesByPort returns an error on a kernel that does not know `ipproto`
// and `sport` in rules (before 4.17): it would ignore them, and send every
// packet of the host the way of the replies.
func kernelRoutesByPort() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("ask for the kernel's version: %w", err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	if major, minor := parseRelease(release); major < 4 || major == 4 && minor < 17 {
		return fmt.Errorf("this kernel is %s: routing by port needs Linux 4.17 or later", release)
	}
	return nil
}

// parseRelease reads the first two numbers of, such as, 6.1.0-18-amd64.
func parseRelease(s string) (major, minor int) {
	fmt.Sscanf(s, "%d.%d", &major, &minor)
	return major, minor
}
