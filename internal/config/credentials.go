package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
)

// CredentialsExample is a credentials file of one line, for messages.
const CredentialsExample = "*=replay:secret"

// An account is what a captured user logs in as on the target.
type account struct {
	user     string
	keepUser bool // the captured user's own name
	password string
	line     int
}

// Credentials say as whom, and with which password, a captured user logs in on
// the target.
type Credentials struct {
	users    map[string]account
	fallback account // line 0: none
}

// Lookup returns the account for a captured user, and reports whether there is
// one.
func (c *Credentials) Lookup(user string) (target, password string, ok bool) {
	a, ok := c.users[user]
	if !ok {
		a = c.fallback
		if a.line == 0 {
			return "", "", false
		}
	}
	if a.keepUser {
		return user, a.password, true
	}
	return a.user, a.password, true
}

// LoadCredentials reads the file at path. Since it holds passwords, one that
// anybody but its owner may open is refused.
func LoadCredentials(path string) (*Credentials, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("credentials: %w; make it with: (umask 077; echo '%s' > %s), which logs in every captured user as account replay", err, CredentialsExample, path)
	}
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	defer f.Close()
	b, err := readPrivate(f)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	c, err := ParseCredentials(b)
	if err != nil {
		return nil, fmt.Errorf("credentials: %s: %w", path, err)
	}
	return c, nil
}

// ParseCredentials reads lines of the form
//
//	captured[=target]:password
//
// The user ends at the first colon, and only what stands before it is looked at
// for an equals sign, so that a password may hold both. Without target the
// captured name is kept; * as captured stands for every user not named. An
// empty name is the anonymous user. Empty lines and lines that begin with # say
// nothing. Nothing is trimmed: spaces belong to names and passwords.
//
// Errors never quote a line, for it may hold a password.
func ParseCredentials(b []byte) (*Credentials, error) {
	if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		return nil, errors.New("line 1: begins with a byte order mark; save the file without one")
	}
	c := &Credentials{users: make(map[string]account)}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text, ended := strings.CutSuffix(string(line), "\n")
		if ended {
			text = strings.TrimSuffix(text, "\r")
		}
		if text == "" || text[0] == '#' {
			continue
		}
		names, password, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("line %d: no colon; a line is USER:PASSWORD or USER=ACCOUNT:PASSWORD", n)
		}
		captured, target, renamed := strings.Cut(names, "=")
		a := account{user: target, keepUser: !renamed, password: password, line: n}
		before := c.users[captured]
		if captured == "*" {
			before = c.fallback
		}
		if before.line != 0 {
			return nil, fmt.Errorf("line %d: names the same captured user as line %d", n, before.line)
		}
		if captured == "*" {
			c.fallback = a
		} else {
			c.users[captured] = a
		}
	}
	if len(c.users) == 0 && c.fallback.line == 0 {
		return nil, fmt.Errorf("names no user; such as %s, which logs in every captured user as account replay", CredentialsExample)
	}
	return c, nil
}
