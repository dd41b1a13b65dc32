package program

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/metrics"
	"syscall"
)

// TellVitals logs, at each SIGUSR1 until stop is called, what a long run is
// watched by: memory in octets, and how many goroutines there are.
func TellVitals(log *slog.Logger) (stop func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			memory, err := anonymous()
			if err != nil {
				log.Warn("vitals", "error", err)
				continue
			}
			log.Info("vitals", "memory", memory, "heap", heap(), "goroutines", runtime.NumGoroutine())
		}
	}()
	return func() {
		signal.Stop(asked)
		close(asked)
	}
}

// anonymous returns the octets of memory that are resident and this process's
// alone (RssAnon): neither the program's text nor the capture rings, which are
// the kernel's.
func anonymous() (int, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident, shared int // pages: proc_pid_statm(5)
	if _, err := fmt.Sscan(string(b), &size, &resident, &shared); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return (resident - shared) * os.Getpagesize(), nil
}

// heap returns the octets of the heap's objects, garbage included.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
