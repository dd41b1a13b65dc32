package session

import (
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
)

func TestLogin(t *testing.T) {
	login := func(change func(*mysql.Login)) func(c *client) {
		return func(c *client) {
			l := testLogin
			change(&l)
			c.loginAs(l).queries(2).quit()
		}
	}
	none := func(c *client) { c.expect = nil }
	both := func(f, g func(c *client)) func(c *client) { return func(c *client) { f(c); g(c) } }
	plain := func(c *client) { c.login().queries(2).quit() }
	run(t, []scenario{
		{
			name:    "by an auth switch",
			target:  func(v *server) { v.login = loginSwitch },
			client:  plain,
			account: "answered=3 session replayed",
		},
		{
			name: "after auth replies of the client",
			client: func(c *client) {
				c.login()
				c.packet(3, []byte{2})
				c.packet(5, make([]byte, 256))
				c.queries(2).quit()
			},
			account: "answered=3 session replayed",
		},
		{
			name:    "without a schema, password of another user",
			client:  login(func(l *mysql.Login) { l.Capabilities &^= mysql.ClientConnectWithDB; l.User = "" }),
			account: "answered=3 session replayed",
		},
		{
			name:    "refused",
			target:  func(v *server) { v.login = loginRefused },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "with a plugin that is not known",
			target:  func(v *server) { v.login = loginForeign },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "that asks for more than a hash",
			target:  func(v *server) { v.login = loginMore },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "an ERR in place of the greeting",
			target:  func(v *server) { v.greeting = []byte("\xff\x6a\x04Host '10.0.0.1' is not allowed to connect") },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "a greeting that cannot be read",
			target:  func(v *server) { v.greeting = []byte("\x09old") },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "nothing listens",
			sim:     func(m *sim) { m.peer.server = nil },
			client:  both(plain, none),
			account: "lost.target_refused=3 session lost target_refused",
		},
		{
			name:    "nobody is there",
			sim:     func(m *sim) { m.peer.silent = true },
			client:  both(plain, none),
			account: "lost.target_unreachable=3 session lost target_unreachable",
		},
		{
			name:    "an unknown user",
			client:  both(login(func(l *mysql.Login) { l.User = "stranger" }), none),
			account: "skipped.unknown_user=3 session skipped unknown_user",
		},
		{
			name:    "said to be compressed",
			client:  both(login(func(l *mysql.Login) { l.Capabilities |= mysql.ClientCompress }), none),
			account: "session lost compression",
		},
		{
			name: "TLS",
			client: func(c *client) {
				l := testLogin
				l.Capabilities |= mysql.ClientSSL
				c.packet(1, l.Append(nil)[:32])
				c.raw([]byte("\x16\x03\x01\x02\x00 client hello"))
				c.raw([]byte("\x17\x03\x03 application data"))
				c.fin()
			},
			account: "session skipped tls",
		},
		{
			name:    "none: a health check",
			client:  func(c *client) { c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: a health check that resets",
			client:  func(c *client) { c.rst() },
			account: "session skipped no_login",
		},
		{
			name:    "none: another protocol",
			client:  func(c *client) { c.raw([]byte("GET / HTTP/1.1\r\n\r\n")); c.raw([]byte("more")); c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: a command",
			client:  func(c *client) { c.query("select 1").forget(1).fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: one that is no 4.1 login",
			client:  func(c *client) { c.packet(1, []byte("\x05\x00\x00\x00\x00root\x00")); c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "half a login",
			client:  func(c *client) { c.login(); it := &c.items[0]; it.b = it.b[:20]; c.fin() },
			account: "session skipped no_login",
		},
		{
			name:    "and nothing else",
			client:  func(c *client) { c.login().fin() },
			account: "session replayed",
		},
	})
}

func TestRefusalsSayWhy(t *testing.T) {
	tests := []struct {
		name   string
		target func(*server)
		want   string
	}{
		{"refused", func(v *server) { v.login = loginRefused }, "app as t_app: ERROR 1045 (HY000): Access denied; servers say so of a wrong password, an unknown account, and an account that requires TLS alike"},
		{"foreign", func(v *server) { v.login = loginForeign }, `app as t_app: the account needs the authentication plugin "auth_gssapi_client", which is not spoken: on the target let it use caching_sha2_password, sha256_password, mysql_native_password, client_ed25519 or parsec`},
		{"more", func(v *server) { v.login = loginMore }, "app as t_app: mysql_native_password: the server goes on with a packet 0x01 of 2 bytes where it has to say OK or ERR"},
		{"host", func(v *server) { v.greeting = []byte("\xff\x6a\x04not allowed") }, "app as t_app: ERROR 1130: not allowed"},
		{"greeting", func(v *server) { v.greeting = []byte("\x09old") }, "app as t_app: the target's greeting cannot be read: parse greeting: protocol version 9, want 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			tt.target(m.peer.server)
			m.play(newClient().login().fin(), lockstep)
			if len(m.refused) != 1 || m.refused[0] != tt.want {
				t.Errorf("got %q, want %q", m.refused, tt.want)
			}
		})
	}
}

func TestChangeUser(t *testing.T) {
	run(t, []scenario{
		{
			name: "twice",
			client: func(c *client) {
				c.login().queries(2).changeUser("other", "s").queries(3).changeUser("app", "").queries(1).quit()
			},
			account: "answered=9 session replayed",
		},
		{
			name: "statements are gone, ids go on",
			client: func(c *client) {
				c.login()
				a := c.prepare("p0c0 a")
				c.execute(a).changeUser("other", "s")
				b := c.prepare("p0c0 b")
				c.execute(b).quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name: "to nobody known",
			client: func(c *client) {
				c.login().queries(1).changeUser("stranger", "").forget(1)
				c.queries(2).forget(2).fin()
			},
			account: "answered=1 lost.unknown_user=3 session lost unknown_user",
			paces:   oneByOne,
		},
		{
			name:    "malformed: the target says so",
			client:  func(c *client) { c.login().command(mysql.ComChangeUser, "nobody", 30).fin() },
			account: "lost.login_refused=1 session lost login_refused",
			paces:   oneByOne,
		},
		{
			name: "refused",
			sim:  func(m *sim) { m.env.Credentials = func(u string) (string, string, bool) { return u, "secret", true } },
			client: func(c *client) {
				c.login().queries(1).changeUser("refused", "").queries(1).forget(1).fin()
				c.expect[1] = strings.Replace(c.expect[1], "t_", "", 1)
			},
			account: "answered=1 lost.login_refused=2 session lost login_refused",
			paces:   oneByOne,
		},
	})
}
