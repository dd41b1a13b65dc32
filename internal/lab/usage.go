package lab

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// A Usage is what a process has taken of its machine.
type Usage struct {
	User, System time.Duration // CPU since its start
	Memory       int           // octets that are resident and its own: neither the program's text nor capture rings
}

// CPU is both kinds of it.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// tick is the unit of /proc/PID/stat, which is the same on every Linux machine
// that Go runs on.
const tick = 10 * time.Millisecond

// Usage reads what the daemon has taken so far.
func (d *Daemon) Usage() (u Usage, err error) {
	proc := fmt.Sprintf("/proc/%d/", d.PID())
	stat, err := os.ReadFile(proc + "stat")
	if err != nil {
		return u, err
	}
	// PID (NAME) STATE and ten more | utime | stime, see proc_pid_stat(5). A name may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(strings.Join(fields[11:13], " "), &user, &system); err != nil {
		return u, fmt.Errorf("%sstat: %w", proc, err)
	}
	u.User, u.System = time.Duration(user)*tick, time.Duration(system)*tick
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return u, err
	}
	_, rest, _ := bytes.Cut(status, []byte("RssAnon:"))
	if _, err := fmt.Sscanf(string(rest), "%d kB", &u.Memory); err != nil {
		return u, fmt.Errorf("%sstatus: RssAnon: %w", proc, err)
	}
	u.Memory *= 1024
	return u, nil
}
