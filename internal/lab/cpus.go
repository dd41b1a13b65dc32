package lab

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpus splits the CPUs this process may use between the two halves of the lab:
// clients and production here, target and blackhole there. Real hosts do not
// share CPUs, and a target that competes with the load which it is to follow
// shows nothing but how the scheduler decides. With one CPU both have it.
func cpus() (here, there string) {
	all := strings.Split(allCPUs(), ",")
	half := (len(all) + 1) / 2
	if half == len(all) {
		return all[0], all[0]
	}
	return strings.Join(all[:half], ","), strings.Join(all[half:], ",")
}

// allCPUs are those this process may use.
func allCPUs() string {
	var set unix.CPUSet
	var all []string
	if unix.SchedGetaffinity(0, &set) == nil {
		for i := range len(set) * 64 {
			if set.IsSet(i) {
				all = append(all, strconv.Itoa(i))
			}
		}
	}
	if len(all) == 0 {
		all = []string{"0"}
	}
	return strings.Join(all, ",")
}

// steer has each host's CPUs do the work of receiving, as those of real hosts do:
// else the sender's system call takes the frame all the way into the receiver's
// TCP. (Receive packet steering; Linux: Documentation/networking/scaling.rst.)
func (l *Lab) steer(ctx context.Context) error {
	for _, h := range l.hosts {
		mask := 0
		for _, cpu := range strings.Split(h.cpus, ",") {
			if n, _ := strconv.Atoi(cpu); n < 32 { // a mask of more has commas
				mask |= 1 << n
			}
		}
		if _, err := run(ctx, "ip", "netns", "exec", h.NS, "sh", "-c", fmt.Sprintf("echo %x > /sys/class/net/eth0/queues/rx-0/rps_cpus", mask)); err != nil {
			return fmt.Errorf("steer what %s receives: %w", h.Name, err)
		}
	}
	return nil
}
