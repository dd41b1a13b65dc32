package program

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// All threads of a program that is nice are, those included that it makes later.
func TestNice(t *testing.T) {
	const child = "MRTECOPY_TEST_NICE"
	if os.Getenv(child) != "" {
		threads := func() {
			var running sync.WaitGroup
			for range 4 {
				running.Add(1)
				go func() {
					runtime.LockOSThread()
					running.Done()
					select {}
				}()
			}
			running.Wait()
		}
		threads()
		if err := Nice(7); err != nil {
			t.Fatal(err)
		}
		threads()
		if err := Nice(3); err != nil { // less nice it does not become
			t.Fatal(err)
		}
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			tid, _ := strconv.Atoi(task.Name())
			if has, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && has != 20-7 {
				t.Errorf("thread %d has priority %d", tid, 20-has)
			}
		}
		if len(tasks) < 8 {
			t.Errorf("%d threads", len(tasks))
		}
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestNice$", "-test.v")
	c.Env = append(os.Environ(), child+"=1")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}
