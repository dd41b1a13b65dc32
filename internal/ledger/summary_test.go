package ledger

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// The shape is a promise: fields may be added, none renamed or left out.
func TestSummaryShape(t *testing.T) {
	s := NewSummary("v1", start, start.Add(time.Minute), false, new(Counts))
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":"v1","started":"2026-01-02T15:04:05Z","ended":"2026-01-02T15:05:05Z","interrupted":false,` +
		`"commands":{"captured":0,"answered":0,"skipped":{},"lost":{},"pending":0,"errors":0,"waited":0,"stalled":0,"classes":{}},` +
		`"sessions":{"captured":0,"replayed":0,"skipped":{},"lost":{},"open":0,"mapped":0,"port_changed":0,"delayed":0,"greeting_missed":0,"collation_changed":0,"adopted":{"whole":0,"partly":0,"bare":0,"without":{}}},` +
		`"capture":{"frames":0,"kernel_drops":0,"bytes":0,"cut":0,"foreign":0},` +
		`"send":{"segments":0,"retransmits":0,"held_back":0,"errors":{},"bytes":0},` +
		`"lag_ms":{"p50":0,"p99":0,"max":0}}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSummaryValues(t *testing.T) {
	var c Counts
	c.Commands.Captured, c.Commands.Answered, c.Commands.Pending = 10, 5, 1
	c.Commands.Skipped[TLS], c.Commands.Lost[CaptureGap], c.Commands.Lost[NotSent] = 1, 2, 1
	c.Send.Retransmits = 4
	c.AddSendError("EPERM", 3)
	c.Lag.Record(1500 * time.Microsecond)
	s := NewSummary("v1", start, start, true, &c)
	if s.Commands.Skipped["tls"] != 1 || s.Commands.Lost["capture_gap"] != 2 || len(s.Commands.Lost) != 2 ||
		s.Send.Retransmits != 4 || s.Send.Errors["EPERM"] != 3 || !s.Interrupted ||
		s.LagMS.Max < 1.48 || s.LagMS.Max > 1.52 {
		t.Errorf("summary %+v", s)
	}
	c.AddSendError("EPERM", 1)
	if s.Send.Errors["EPERM"] != 3 {
		t.Error("the summary shares the counters' map")
	}
}

func TestLossless(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*Counts)
		want bool
	}{
		{"nothing", func(*Counts) {}, true},
		{"skipped", func(c *Counts) { c.Commands.Skipped[TLS], c.Sessions.Skipped[TLS] = 1, 1 }, true},
		{"open", func(c *Counts) { c.Sessions.Open = 1 }, true},
		{"not sent once", func(c *Counts) { c.AddSendError("ENOBUFS", 1) }, true},
		{"lost command", func(c *Counts) { c.Commands.Lost[NotSent] = 1 }, false},
		{"lost session", func(c *Counts) { c.Sessions.Lost[TargetClosed] = 1 }, false},
		{"pending", func(c *Counts) { c.Commands.Pending = 1 }, false},
		{"kernel drops", func(c *Counts) { c.Capture.KernelDrops = 1 }, false},
	} {
		var c Counts
		tt.set(&c)
		if s := NewSummary("", start, start, false, &c); s.Lossless() != tt.want {
			t.Errorf("%s: lossless %v, want %v", tt.name, s.Lossless(), tt.want)
		}
	}
}

// save is a run that opens path as this user, and saves value.
func save(path string, stdout io.Writer, value any) error {
	d, err := Open(path, stdout, os.Geteuid())
	if err == nil {
		err = d.Savable()
	}
	if err == nil {
		err = d.Save(value)
	}
	return err
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	var stdout bytes.Buffer
	value := map[string]int{"a": 1}
	const want = "{\n  \"a\": 1\n}\n"

	if err := save("-", &stdout, value); err != nil || stdout.String() != want {
		t.Errorf("standard output: %q, %v", stdout.String(), err)
	}
	if err := save("", nil, value); err != nil {
		t.Errorf("nowhere: %v", err)
	}

	path := filepath.Join(dir, "s.json")
	for range 2 { // new, then replaced
		if err := save(path, nil, value); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("file holds %q, %v", b, err)
		}
	}

	link := filepath.Join(dir, "link") // as /dev/stdout is one
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := save(link, nil, value); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 2 {
		t.Errorf("left over: %v", names)
	}

	for _, bad := range []string{dir, filepath.Join(dir, "no", "s.json")} {
		if _, err := Open(bad, nil, os.Geteuid()); err == nil || !strings.Contains(err.Error(), "summary: ") {
			t.Errorf("Open(%s) = %v", bad, err)
		}
	}
}

// A run that ends without an account leaves no file that it made, and others as
// they were.
func TestNotSaved(t *testing.T) {
	for _, uid := range []int{os.Geteuid(), os.Geteuid() + 1} {
		dir := t.TempDir()
		old := filepath.Join(dir, "old.json")
		if err := os.WriteFile(old, []byte("an account"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{filepath.Join(dir, "new.json"), old, ""} {
			d, err := Open(path, nil, uid)
			if err != nil {
				t.Fatal(err)
			}
			d.Close()
		}
		if b, err := os.ReadFile(old); err != nil || string(b) != "an account" {
			t.Errorf("the old file holds %q, %v", b, err)
		}
		if names, _ := os.ReadDir(dir); len(names) != 1 {
			t.Errorf("left over: %v", names)
		}
	}
}

// Who will be another user then cannot replace the file, and has it opened.
func TestSaveWithoutPrivileges(t *testing.T) {
	for _, exists := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "s.json")
		if exists {
			if err := os.WriteFile(path, []byte(strings.Repeat("x", 1000)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		d, err := Open(path, nil, os.Geteuid()+1)
		if err != nil || d.file == nil {
			t.Fatalf("Open: %v; it is not open", err)
		}
		if b, err := os.ReadFile(path); !exists && (err != nil || string(b) != unfinished) {
			t.Errorf("before it is saved the file holds %q, %v", b, err)
		}
		if err := d.Save(1); err != nil {
			t.Fatal(err)
		}
		d.Close()
		if b, err := os.ReadFile(path); err != nil || string(b) != "1\n" {
			t.Errorf("file holds %q, %v", b, err)
		}
	}
	// In /tmp everybody makes files, and replaces only what is his own.
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s.json")
	if d, err := Open(path, nil, os.Geteuid()+1); err != nil || d.file != nil {
		t.Errorf("a new file in a directory for all: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if d, err := Open(path, nil, os.Geteuid()+1); err != nil || d.file == nil {
		t.Errorf("another's file in a directory for all: %v", err)
	}
}
