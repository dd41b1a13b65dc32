package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
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
func (d *Daemon) Usage() (u Usage, err error) { return usage(d.PID()) }

// Usage reads what the server has taken so far.
func (s *Server) Usage(ctx context.Context) (u Usage, err error) {
	pid, err := s.pid(ctx)
	if err != nil {
		return u, err
	}
	return usage(pid)
}

func usage(pid int) (u Usage, err error) {
	proc := fmt.Sprintf("/proc/%d/", pid)
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

// Vitals are what a daemon says of itself at SIGUSR1.
type Vitals struct {
	Memory     int // octets, as in Usage
	Heap       int // octets in objects, those included that are not collected yet
	Goroutines int
}

// Vitals asks the daemon.
func (d *Daemon) Vitals(ctx context.Context) (v Vitals, err error) {
	const mark = "msg=vitals"
	before := strings.Count(d.Log(), mark)
	if err := d.Signal(syscall.SIGUSR1); err != nil {
		return v, err
	}
	if err := d.wait(ctx, func() bool { return strings.Count(d.Log(), mark) > before }); err != nil {
		return v, err
	}
	log := d.Log()
	line := log[strings.LastIndex(log, mark):]
	if _, err := fmt.Sscanf(line, mark+" memory=%d heap=%d goroutines=%d", &v.Memory, &v.Heap, &v.Goroutines); err != nil {
		return v, fmt.Errorf("%s: %w", line, err)
	}
	return v, nil
}
