package program

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Confinement says what a program needs once everything is open.
type Confinement struct {
	Keep []Capability
	User string // to become; "": it stays who it is
}

// ErrKeepsPrivileges means that the program runs on with all its privileges.
var ErrKeepsPrivileges = errors.New("privileges are kept")

// NoDumps makes that nothing of this process's memory, which holds passwords and
// keys, gets into a core dump, or to a debugger of the same user.
func NoDumps() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("switch core dumps off: %w", err)
	}
	// The one above is enough, unless a handler of cores thinks otherwise.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switch core dumps off: %w", err)
	}
	return nil
}

// Main is what a daemon's main does first.
func Main() {
	if err := NoDumps(); err != nil { // no kernel of ours refuses it
		fmt.Fprintln(os.Stderr, err)
	}
}

// Settled logs what of Confine's error a program can live with, and returns the
// rest.
func Settled(log *slog.Logger, err error) error {
	if errors.Is(err, ErrKeepsPrivileges) || errors.Is(err, ErrUnfiltered) {
		log.Warn("privileges", "error", err)
		return nil
	}
	return err
}

// An identity is a user's numbers.
type identity struct{ uid, gid int }

// lookUp returns the numbers of a user, who is named by name or number.
func lookUp(name string) (id identity, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return id, fmt.Errorf("there is no user %s (getent passwd)", name)
		}
	}
	id.uid, err = strconv.Atoi(u.Uid)
	if err == nil {
		id.gid, err = strconv.Atoi(u.Gid)
	}
	return id, err
}

// UserID returns the number of the user as whom the program will run: that of
// name, or its own if that is empty.
func UserID(name string) (int, error) {
	if name == "" {
		return unix.Geteuid(), nil
	}
	id, err := lookUp(name)
	return id.uid, err
}
