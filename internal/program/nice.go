package program

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Nice lets everybody else on this host go first: every thread's priority becomes
// n at least (nice(2), 0 to 19). Linux keeps it per thread, and new threads take
// their maker's.
func Nice(n int) error {
	for changed := true; changed; {
		changed = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			const kernels = 20 // minus the priority is what the system call returns
			has, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
			if err == nil && kernels-has < n {
				err = unix.Setpriority(unix.PRIO_PROCESS, tid, n)
				changed = true // it may just have made another thread
			}
			if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
				return err
			}
		}
	}
	return nil
}
