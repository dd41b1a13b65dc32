package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadLine(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		want, err     string
	}{
		{"a line", "u:p@tcp(h)/\n", 0o600, "u:p@tcp(h)/", ""},
		{"without its end", "x", 0o400, "x", ""},
		{"two lines", "a\nb\n", 0o600, "", "one line"},
		{"empty", "\n", 0o600, "", "one line"},
		{"open to others", "secret\n", 0o640, "", "chmod 600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			got, err := LoadLine(path)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}
