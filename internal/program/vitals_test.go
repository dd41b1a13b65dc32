package program

import (
	"io"
	"log/slog"
	"os"
	"regexp"
	"syscall"
	"testing"
)

func TestVitals(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	stop := TellVitals(slog.New(slog.NewTextHandler(w, nil)))
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 1000)
	n, err := r.Read(line)
	if want := regexp.MustCompile(`msg=vitals memory=\d{7,} heap=\d{5,} goroutines=\d+\n$`); err != nil || !want.Match(line[:n]) {
		t.Errorf("%s, %v", line[:n], err)
	}
}
