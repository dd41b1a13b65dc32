package mysql

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
)

// The recorded logins of real clients come out of the exchange as they went
// in, packet by packet: the same octets where the plugin leaves no choice, and
// otherwise as many. The servers' last words are explained.
func TestAuthExchangeOfConversations(t *testing.T) {
	seen := make(map[string]bool)
	for name, c := range conversations(t) {
		server, how, ok := strings.Cut(name, "-login-")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			password := "secret"
			if strings.HasSuffix(how, "-empty") {
				password = ""
			}
			seen[authReplay(t, c, password, how == "sha2-tls" || how == "sha256-no-key")] = true
		})
		seen[server] = true
	}
	for _, want := range []string{"mysql-5.6", "mysql-9.7", "mariadb-10.11", "mariadb-11.8",
		PluginNativePassword, PluginCachingSHA2Password, PluginSHA256Password, PluginEd25519, PluginParsec, PluginClearPassword} {
		if !seen[want] {
			t.Errorf("no login is of %s", want)
		}
	}
}

// authReplay answers the server's packets of a recorded login and returns the
// plugin it ended with. tls: its refusal is known to be for the lack of TLS.
func authReplay(t *testing.T, c conversation, password string, tls bool) (plugin string) {
	t.Helper()
	fromServer, err := packets(c.stream(true))
	if err != nil {
		t.Fatal(err)
	}
	fromClient, err := packets(c.stream(false))
	if err != nil {
		t.Fatal(err)
	}
	g, err := ParseGreeting(fromServer[0].payload)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseLogin(fromClient[0].payload)
	if err != nil {
		t.Fatal(err)
	}
	o := AuthOptions{Cleartext: true}
	x, response, err := o.Begin(l.Plugin, g.Salt[:], password)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := canonical(response), canonical(l.AuthResponse); got != want {
		t.Errorf("login: %s, the client sent %s", got, want)
	}
	plugin = l.Plugin
	var nonce []byte
	next := fromClient[1:]
	for _, p := range fromServer[1:] {
		answer := true
		switch p.payload[0] {
		case okHeader:
			return plugin
		case errHeader:
			e, _ := ParseError(p.payload)
			if text, ok := x.Explain(e); ok != tls {
				t.Errorf("%v is explained by %q", e, text)
			}
			return plugin
		case eofHeader:
			s, err := ParseAuthSwitch(p.payload)
			if err != nil {
				t.Fatal(err)
			}
			plugin, nonce = s.Plugin, s.Data
			x, response, err = o.Begin(s.Plugin, s.Data, password)
			if err != nil {
				t.Fatal(err)
			}
		default:
			response, answer, err = x.More(p.payload)
			if err != nil {
				t.Fatal(err)
			}
		}
		if !answer {
			continue
		}
		client := next[0]
		next = next[1:]
		if client.Sequence != p.Sequence+1 {
			t.Fatalf("the client's packet has sequence id %d, want %d", client.Sequence, p.Sequence+1)
		}
		if got, want := canonical(response), canonical(client.payload); got != want {
			t.Errorf("%s: %s, the client sent %s", plugin, got, want)
		}
		if plugin == PluginParsec && len(client.payload) > 0 {
			key, err := o.parsecKey(password, p.payload[1:])
			if err != nil {
				t.Fatal(err)
			}
			if !ed25519.Verify(key.Public().(ed25519.PublicKey), append(nonce[:32:32], client.payload[:32]...), client.payload[32:]) {
				t.Error("the client signs with another key")
			}
		}
	}
	t.Error("the login has no end")
	return plugin
}

// canonical describes a response; two of the same exchange are described the
// same. A single NUL, which libmysqlclient sends for the empty password, is as good as nothing.
func canonical(response []byte) string {
	switch n := len(response); {
	case n == 96, n == 256: // parsec's and RSA's are random
		return fmt.Sprintf("%d bytes", n)
	case n == 1 && response[0] == 0:
		return ""
	}
	return fmt.Sprintf("%x", response)
}
