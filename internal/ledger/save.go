package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Destination is where a summary is written to at the end of a run, hours
// later and perhaps with fewer privileges.
type Destination struct {
	path   string // "": nowhere, "-": stdout
	stdout io.Writer
	file   *os.File // written in place; nil: the file is replaced as a whole, so that nobody reads half of one
	made   bool     // file is new, and holds nothing but unfinished
}

// unfinished is what a file that is written in place holds until Save: JSON, but
// no account.
const unfinished = `{"unfinished": true}` + "\n"

// Open prepares to write to path, or to stdout if that is "-", or nowhere if it
// is empty, and says why that cannot be. A program may give up its privileges
// after that, and be uid.
func Open(path string, stdout io.Writer, uid int) (*Destination, error) {
	d := &Destination{path: path, stdout: stdout}
	if path == "" || path == "-" {
		return d, nil
	}
	if err := d.open(uid); err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	return d, nil
}

func (d *Destination) open(uid int) (err error) {
	flags := os.O_WRONLY
	info, err := os.Lstat(d.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		flags |= os.O_CREATE
		info = nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory", d.path)
	}
	if info == nil || info.Mode().IsRegular() {
		dir := filepath.Dir(d.path)
		if err := unix.Access(dir, unix.W_OK); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if replaceable(dir, info, uid) {
			return nil
		}
	}
	// A device or a link, such as /dev/stdout, or a directory that root may write to
	// only as long as it has the privilege.
	d.file, err = os.OpenFile(d.path, flags|unix.O_NONBLOCK, 0o644)
	if errors.Is(err, unix.ENXIO) {
		return nil // a FIFO that nobody reads yet: at the end, perhaps
	}
	if err == nil && info == nil {
		d.made = true
		_, err = d.file.WriteString(unfinished)
	}
	return err
}

// Close ends what Open began. A file that was made for a Save that did not come is
// taken away, if that is permitted still.
func (d *Destination) Close() {
	if d.file == nil {
		return
	}
	_ = d.file.Close()
	if d.made {
		_ = os.Remove(d.path)
	}
}

// replaceable reports whether who is uid and has no privileges may replace a file
// in dir, of which info is nil if it does not exist.
func replaceable(dir string, file fs.FileInfo, uid int) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	if owner(info) == uid {
		return info.Mode()&0o200 != 0
	}
	sticky := info.Mode()&fs.ModeSticky != 0
	return info.Mode()&0o002 != 0 && (!sticky || file == nil || owner(file) == uid)
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// Savable reports, as an error, why a Save cannot succeed: to be asked when the
// privileges are given up, not after hours.
func (d *Destination) Savable() error {
	if d.path == "" || d.path == "-" || d.file != nil {
		return nil
	}
	if info, err := os.Lstat(d.path); err == nil && !info.Mode().IsRegular() {
		return nil // a FIFO
	}
	// Not Access, which asks for the real user.
	if err := unix.Faccessat(unix.AT_FDCWD, filepath.Dir(d.path), unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("summary: %s: %w", filepath.Dir(d.path), err)
	}
	return nil
}

// Save writes v as indented JSON.
func (d *Destination) Save(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	b = append(b, '\n')
	switch info, lerr := os.Lstat(d.path); {
	case d.path == "":
	case d.path == "-":
		_, err = d.stdout.Write(b)
	case d.file != nil:
		_, _ = d.file.Seek(0, io.SeekStart) // a device has neither place nor length
		_, err = d.file.Write(b)
		_ = d.file.Truncate(int64(len(b)))
		err = errors.Join(err, d.file.Close())
		d.file = nil
	case lerr == nil && !info.Mode().IsRegular():
		err = os.WriteFile(d.path, b, 0o644)
	default:
		err = replace(d.path, b)
	}
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	return nil
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
