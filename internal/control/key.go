package control

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
)

// A Key is the secret that mrtecopy and intercept share.
type Key [32]byte

// Format keeps the key out of whatever is printed with it, by any verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "(secret)") }

// LogValue keeps the key out of logs.
func (Key) LogValue() slog.Value { return slog.StringValue("(secret)") }

// MarshalText keeps the key out of JSON and YAML.
func (Key) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// keyDigits is the length of a key in its file.
const keyDigits = 2 * len(Key{})

// LoadKey reads the key file at path: 64 hexadecimal digits and perhaps a line
// end. A file that others than its owner may read is refused.
func LoadKey(path string) (k Key, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Key{}, fmt.Errorf("key file %s: no such file; make one with `intercept keygen %[1]s` and copy it to both hosts", path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("key file: %w", err)
	case !info.Mode().IsRegular():
		return Key{}, fmt.Errorf("key file %s: not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return Key{}, fmt.Errorf("key file %s: others may read or write it (mode %04o); mend it with `chmod 600 %[1]s`", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(keyDigits)+3)) // one more than a key with CR and LF
	if err != nil {
		return Key{}, fmt.Errorf("key file: %w", err)
	}
	if !parseKey(text, &k) {
		// The text is a secret, perhaps somebody else's: it is not shown.
		return Key{}, fmt.Errorf("key file %s: not a key, which is %d hexadecimal digits; `intercept keygen FILE` makes one", path, keyDigits)
	}
	return k, nil
}

func parseKey(text []byte, k *Key) bool {
	line, _ := strings.CutSuffix(string(text), "\n")
	line, _ = strings.CutSuffix(line, "\r")
	if len(line) != keyDigits {
		return false
	}
	_, err := hex.Decode(k[:], []byte(line))
	return err == nil
}

// GenerateKey writes a new random key to a new file at path, which only its
// owner may read.
func GenerateKey(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key file %s is there already; remove it first if no daemon needs it any more", path)
	}
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	var k Key
	_, _ = rand.Read(k[:]) // never fails: it ends the program instead
	_, err = fmt.Fprintf(f, "%s\n", hex.EncodeToString(k[:]))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}
