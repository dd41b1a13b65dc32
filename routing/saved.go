package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// savedDir is emptied by a restart of the machine, as the settings are.
const savedDir = "/run/mrtecopy"

// savedValues are the settings that were changed, by key.
type savedValues map[string]*savedValue

// A savedValue lives until the last one that needs the setting has let it go:
// two ports of one host may need the same.
type savedValue struct {
	Was   string   `json:"was"`
	Set   string   `json:"set"`
	Users []string `json:"users"`
}

// set changes a setting and remembers what it was.
func (all savedValues) set(s setting) error {
	now := readSysctl(s.key)
	v, ok := all[s.key]
	switch {
	case now == "":
		return fmt.Errorf("there is no sysctl %s", s.name())
	case ok && now == v.Set || ok && now == v.Was: // ours, or ours and put back by someone
	default:
		v = &savedValue{Was: now}
	}
	v.Set = s.value
	if !slices.Contains(v.Users, s.user) {
		v.Users = append(v.Users, s.user)
	}
	// First on disk: a value that is saved and was not changed does no harm.
	all[s.key] = v
	if err := all.write(); err != nil {
		return err
	}
	return writeSysctl(s.key, s.value)
}

// release puts a setting back once nobody needs it any more. A value that
// somebody else has changed since, or whose interface has gone, is left alone.
func (all savedValues) release(s setting) error {
	v, ok := all[s.key]
	if !ok {
		return nil
	}
	if v.Users = slices.DeleteFunc(v.Users, func(u string) bool { return u == s.user }); len(v.Users) == 0 {
		if readSysctl(s.key) == v.Set {
			if err := writeSysctl(s.key, v.Was); err != nil {
				return err
			}
		}
		delete(all, s.key)
	}
	return all.write()
}

// of returns the settings that user has changed, by key.
func (all savedValues) of(user string) []setting {
	var own []setting
	for k, v := range all {
		if slices.Contains(v.Users, user) {
			own = append(own, setting{k, v.Set, user})
		}
	}
	slices.SortFunc(own, func(a, b setting) int { return strings.Compare(a.key, b.key) })
	return own
}

// withSaved calls f with the saved values and keeps others, who would read
// and write them as well, out meanwhile.
func withSaved(f func(savedValues) error) error {
	if err := os.MkdirAll(savedDir, 0o755); err != nil {
		return fmt.Errorf("save what sysctls were: %w", err)
	}
	dir, err := os.Open(savedDir)
	if err != nil {
		return fmt.Errorf("save what sysctls were: %w", err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", savedDir, err)
	}
	all, err := readSaved()
	if err != nil {
		return err
	}
	return f(all)
}

func readSaved() (savedValues, error) {
	path, err := savedPath()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return savedValues{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what sysctls were: %w", err)
	}
	return parseSaved(path, b)
}

func parseSaved(path string, b []byte) (savedValues, error) {
	all := savedValues{}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("read what sysctls were from %s: %w", path, err)
	}
	for k, v := range all {
		if v == nil || filepath.Clean(k) != k || !strings.HasPrefix(k, "net/") {
			return nil, fmt.Errorf("read what sysctls were from %s: %q is none of ours", path, k)
		}
	}
	return all, nil
}

func (all savedValues) write() error {
	path, err := savedPath()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("save what sysctls were: %w", err)
		}
		return nil
	}
	b, err := json.MarshalIndent(all, "", "\t")
	if err == nil {
		err = os.WriteFile(path+".new", append(b, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("save what sysctls were: %w", err)
	}
	return nil
}

// savedPath names the file of this network namespace: on one machine there may
// be several, and /run is common to all of them. The cookie is never given to
// another one until the machine restarts, which an inode is.
func savedPath() (string, error) {
	id, err := namespaceID()
	if err != nil {
		return "", fmt.Errorf("name the network namespace: %w", err)
	}
	return filepath.Join(savedDir, "sysctls-"+id+".json"), nil
}

func namespaceID() (string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
		return fmt.Sprint(cookie), nil
	}
	var st unix.Stat_t // before Linux 5.14
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return "", err
	}
	return fmt.Sprintf("i%d", st.Ino), nil
}

// sets reports whether s was changed by us.
func (all savedValues) sets(s setting) bool {
	v, ok := all[s.key]
	return ok && v.Set == s.value
}
