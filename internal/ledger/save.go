package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Save writes v as indented JSON to path, or to stdout if path is "-". A
// regular file is replaced as a whole, so that nobody reads half of one.
func Save(path string, stdout io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	b = append(b, '\n')
	switch regular, err := replaceable(path); {
	case err != nil:
		return fmt.Errorf("summary: %w", err)
	case path == "-":
		_, err = stdout.Write(b)
		return err
	case !regular:
		err = os.WriteFile(path, b, 0o644)
		if err != nil {
			return fmt.Errorf("summary: %w", err)
		}
		return nil
	}
	if err := replace(path, b); err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	return nil
}

// Savable reports, as an error, why a later Save to path cannot succeed: to be
// asked before a run of hours, not after it.
func Savable(path string) error {
	regular, err := replaceable(path)
	switch {
	case err != nil:
		return fmt.Errorf("summary: %w", err)
	case path == "-" || !regular:
		return nil
	}
	if err := unix.Access(filepath.Dir(path), unix.W_OK); err != nil {
		return fmt.Errorf("summary: %s: %w", filepath.Dir(path), err)
	}
	return nil
}

// replaceable reports whether path is, or can become, a regular file. Others,
// such as /dev/stdout and its links, are written in place.
func replaceable(path string) (bool, error) {
	if path == "-" {
		return false, nil
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case info.IsDir():
		return false, fmt.Errorf("%s is a directory", path)
	}
	return info.Mode().IsRegular(), nil
}

func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
