package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCredentials(t *testing.T) {
	for _, tt := range []struct {
		name, file, user string
		target, password string
		ok               bool
	}{
		{"own name", "app:pw\n", "app", "app", "pw", true},
		{"another account", "app=replay:pw\n", "app", "replay", "pw", true},
		{"not named", "app:pw\n", "other", "", "", false},
		{"names are case-sensitive", "app:pw\n", "App", "", "", false},
		{"default keeps the name", "*:pw\n", "app", "app", "pw", true},
		{"default renames", "*=acct:pw\n", "app", "acct", "pw", true},
		{"a name beats the default", "*=acct:x\napp:pw\n", "app", "app", "pw", true},
		{"an empty password", "app:\n", "app", "app", "", true},
		{"the anonymous user", ":pw\n", "", "", "pw", true},
		{"the anonymous user renamed", "=acct:pw\n", "", "acct", "pw", true},
		{"renamed to the anonymous user", "app=:pw\n", "app", "", "pw", true},
		{"colons and equals signs in the password", "app:a=b:c\n", "app", "app", "a=b:c", true},
		{"equals signs in the account", "app=a=b:pw\n", "app", "a=b", "pw", true},
		{"spaces count", " app : pw \n", " app ", " app ", " pw ", true},
		{"a line that begins with a space is no comment", " #app:pw\n", " #app", " #app", "pw", true},
		{"# inside", "a#b:p#w\n", "a#b", "a#b", "p#w", true},
		{"a comment", "#app:no\napp:pw\n", "app", "app", "pw", true},
		{"no line end", "app:pw", "app", "app", "pw", true},
		{"a DOS line end", "x:y\r\napp:pw\r\n", "app", "app", "pw", true},
		{"a carriage return of the password's own", "app:pw\r\r\n", "app", "app", "pw\r", true},
		{"and where no line feed follows", "app:pw\r", "app", "app", "pw\r", true},
		{"not UTF-8", "app:\xff\xfe\n", "app", "app", "\xff\xfe", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseCredentials([]byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			target, password, ok := c.Lookup(tt.user)
			if target != tt.target || password != tt.password || ok != tt.ok {
				t.Errorf("Lookup(%q) = %q, %q, %v, want %q, %q, %v", tt.user, target, password, ok, tt.target, tt.password, tt.ok)
			}
		})
	}
}

func TestCredentialsErrors(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"empty", "", "*=replay:secret"},
		{"comments only", "# nothing\n\n", "names no user"},
		{"no colon", "a:b\n\nsecret\n", "line 3: no colon"},
		{"twice", "app:secret\n#\napp=x:secret\n", "line 3: names the same captured user as line 1"},
		{"two defaults", "*:secret\n*=x:secret\n", "line 2: names the same captured user as line 1"},
		{"byte order mark", "\xef\xbb\xbfapp:secret\n", "byte order mark"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseCredentials([]byte(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if tt.name != "empty" && tt.name != "comments only" && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error %q quotes a password", err)
			}
		})
	}
}

func TestLoadCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if _, err := LoadCredentials(path); err == nil || !strings.Contains(err.Error(), CredentialsExample) {
		t.Errorf("missing file: error %v, want an example line", err)
	}
	if err := os.WriteFile(path, []byte("*:pw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604, 0o620, 0o601} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCredentials(path); err == nil || !strings.HasSuffix(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: error %v, want chmod 600", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCredentials(path); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// FuzzCredentials holds the parser to its rule: whatever a line says, its
// captured user is found again, with everything behind the first colon as the
// password.
func FuzzCredentials(f *testing.F) {
	for _, s := range []string{"app:pw", "*=acct:pw", "=:", "a=b=c:d:e", "#x", "x:y\r\nz:\n", "\xef\xbb\xbfa:b", "a:b\na:c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCredentials(b)
		if err != nil {
			return
		}
		for _, line := range strings.Split(string(b), "\n") {
			names, password, ok := strings.Cut(line, ":")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			captured, target, renamed := strings.Cut(names, "=")
			if captured == "*" {
				continue
			}
			if !renamed {
				target = captured
			}
			gotTarget, gotPassword, ok := c.Lookup(captured)
			if !ok || gotTarget != target || gotPassword != password && gotPassword+"\r" != password {
				t.Fatalf("line %q gave %q, %q, %v", line, gotTarget, gotPassword, ok)
			}
		}
	})
}
