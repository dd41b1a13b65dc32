package control

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGeneratedKeyIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := GenerateKey(path); err != nil {
		t.Fatal(err)
	}
	k, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != hex.EncodeToString(k[:])+"\n" {
		t.Errorf("file %q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := GenerateKey(path); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("generating again: %v", err)
	}
	if again, err := LoadKey(path); err != nil || again != k {
		t.Errorf("the second generation changed the key; %v", err)
	}
	other := filepath.Join(t.TempDir(), "key")
	if err := GenerateKey(other); err != nil {
		t.Fatal(err)
	}
	if o, err := LoadKey(other); err != nil || o == k {
		t.Errorf("two keys are the same; %v", err)
	}
	if err := GenerateKey(filepath.Join(path, "no", "directory")); err == nil {
		t.Error("generated into nowhere")
	}
}

func TestLoadKey(t *testing.T) {
	const digits = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
	tests := []struct {
		name, text string
		mode       os.FileMode
		want       string // in the error; none: the key is loaded
	}{
		{"plain", digits, 0o600, ""},
		{"line end", digits + "\n", 0o400, ""},
		{"line end of another system", digits + "\r\n", 0o600, ""},
		{"two line ends", digits + "\n\n", 0o600, "not a key"},
		{"spaces", " " + digits, 0o600, "not a key"},
		{"short", digits[1:], 0o600, "not a key"},
		{"long", digits + "0", 0o600, "not a key"},
		{"no digit", "g" + digits[1:], 0o600, "64 hexadecimal digits"},
		{"empty", "", 0o600, "not a key"},
		{"big", strings.Repeat(digits, 1000), 0o600, "not a key"},
		{"group reads", digits, 0o640, "chmod 600 "},
		{"others read", digits, 0o604, "chmod 600 "},
		{"others write", digits, 0o602, "chmod 600 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			k, err := LoadKey(path)
			if tt.want == "" {
				if err != nil || k[1] != 0x11 || k[31] != 0xff {
					t.Errorf("got %x, %v", k[:], err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q and the path in it", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), digits[2:20]) {
				t.Errorf("error %v shows the secret", err)
			}
			if k != (Key{}) {
				t.Error("returned a key with the error")
			}
		})
	}
	if _, err := LoadKey(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "intercept keygen") {
		t.Errorf("no file: %v", err)
	}
	if _, err := LoadKey(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	k := Key{0xab, 0xab, 0xab, 0xab}
	config := Config{Key: &k}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "key", k, "pointer", &k)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "key", k, "config", config)
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		shown += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, &k) + fmt.Sprintf(verb, struct{ K Key }{k})
	}
	for _, secret := range []string{"abab", "171 171", "171,171", "0xab", "\xab"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q is shown in %s", secret, shown)
		}
	}
}
