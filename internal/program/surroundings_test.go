package program

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	if got := Version("v1.2.3"); got != "v1.2.3" {
		t.Errorf("linked version: %s", got)
	}
	if Version("") == "" {
		t.Error("no version without the linker's")
	}
}

func TestColored(t *testing.T) {
	none := func(string) string { return "" }
	if Colored(new(bytes.Buffer), none) {
		t.Error("a buffer is no terminal")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Colored(f, none) {
		t.Error("a file is no terminal")
	}
	tty, err := os.Open("/dev/ptmx")
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	defer tty.Close()
	if !Colored(tty, none) {
		t.Error("a terminal has no colours")
	}
	for name, value := range map[string]string{"NO_COLOR": "1", "TERM": "dumb"} {
		if Colored(tty, func(key string) string {
			if key == name {
				return value
			}
			return ""
		}) {
			t.Errorf("colours in spite of %s=%s", name, value)
		}
	}
}

func TestPrivileged(t *testing.T) {
	if err := Privileged(); err != nil {
		t.Errorf("nothing needed: %v", err)
	}
	// No kernel has this one, so no process holds it.
	err := Privileged(Capability{"CAP_NET_RAW", 63})
	if err == nil || !strings.Contains(err.Error(), "CAP_NET_RAW missing; run it as root (sudo)") || !strings.Contains(err.Error(), "setcap cap_net_raw+ep ") {
		t.Errorf("error %v", err)
	}
}
