package routing

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A setting is a sysctl and the value it must have.
type setting struct {
	key   string // as a path below /proc/sys: interface names may hold dots
	value string
	user  string // who needs it, such as "target IPv4 3306"
}

func (s setting) add() command { return command{"sysctl", "-w", s.name() + "=" + s.value} }

// name is the key with dots, as people know it, where that is not ambiguous.
func (s setting) name() string {
	if strings.Contains(s.key, ".") {
		return s.key
	}
	return strings.ReplaceAll(s.key, "/", ".")
}

func (s setting) present(h *host) bool { return h.value(s.key) == s.value }

func (s setting) do() error {
	return withSaved(func(all savedValues) error { return all.set(s) })
}

// share notes that s is needed here too where another port has changed it, so
// that undoing the other does not take it away.
func (s setting) share() error {
	return withSaved(func(all savedValues) error {
		if _, ok := all[s.key]; !ok {
			return nil
		}
		return all.set(s)
	})
}

func (s setting) undo() error {
	return withSaved(func(all savedValues) error { return all.release(s) })
}

func (s setting) undone() string { return "sysctl " + s.name() + ", which is as it was" }

// interfaceKey is the path of an interface's own value of a setting, or of
// "all" or "default".
func interfaceKey(six bool, nic, name string) string {
	f := "ipv4"
	if six {
		f = "ipv6"
	}
	return "net/" + f + "/conf/" + nic + "/" + name
}

// readSysctl returns "" where there is no such setting.
func readSysctl(key string) string {
	b, err := os.ReadFile("/proc/sys/" + key)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func writeSysctl(key, value string) error {
	// Not WriteFile: a setting of an interface that has gone must not be created.
	f, err := os.OpenFile("/proc/sys/"+key, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("set %s to %s: %w", key, value, err)
	}
	_, err = f.WriteString(value)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("set %s to %s: %w", key, value, err)
	}
	return nil
}

// effective returns the larger of a setting's value for all interfaces and for
// one, which is what counts for rp_filter and arp_announce (Linux,
// Documentation/networking/ip-sysctl.rst).
func (h *host) effective(nic, name string) int {
	all, _ := strconv.Atoi(h.value(interfaceKey(false, "all", name)))
	own, _ := strconv.Atoi(h.value(interfaceKey(false, nic, name)))
	return max(all, own)
}
