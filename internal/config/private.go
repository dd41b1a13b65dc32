package config

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// readPrivate reads a file that holds secrets. One that anybody but its owner may
// open is refused.
func readPrivate(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s is open to other users of this host (mode %04o): chmod 600 %s", f.Name(), info.Mode().Perm(), f.Name())
	}
	return io.ReadAll(f)
}

// LoadLine returns the one line of a file that holds a secret.
func LoadLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := readPrivate(f)
	if err != nil {
		return "", err
	}
	line := strings.TrimRight(string(b), "\r\n")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("%s does not hold one line", path)
	}
	return line, nil
}
