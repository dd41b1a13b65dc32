package session

import (
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

func TestLogin(t *testing.T) {
	login := func(change func(*mysql.Login)) func(c *simulation.Client) {
		return func(c *simulation.Client) {
			l := simulation.TestLogin
			change(&l)
			c.LoginAs(l).Queries(2).Quit()
		}
	}
	none := func(c *simulation.Client) { c.Expect = nil }
	both := func(f, g func(c *simulation.Client)) func(c *simulation.Client) {
		return func(c *simulation.Client) { f(c); g(c) }
	}
	plain := func(c *simulation.Client) { c.Login().Queries(2).Quit() }
	run(t, []scenario{
		{
			name:    "by an auth switch",
			target:  func(v *simulation.Server) { v.Login = simulation.LoginSwitch },
			client:  plain,
			account: "answered=3 session replayed",
		},
		{
			name: "after auth replies of the client",
			client: func(c *simulation.Client) {
				c.Login()
				c.Packet(3, []byte{2})
				c.Packet(5, make([]byte, 256))
				c.Queries(2).Quit()
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
			target:  func(v *simulation.Server) { v.Login = simulation.LoginRefused },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "with a plugin that is not known",
			target:  func(v *simulation.Server) { v.Login = simulation.LoginForeign },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "that asks for more than a hash",
			target:  func(v *simulation.Server) { v.Login = simulation.LoginMore },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name: "an ERR in place of the greeting",
			target: func(v *simulation.Server) {
				v.Greeting = []byte("\xff\x6a\x04Host '10.0.0.1' is not allowed to connect")
			},
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "a greeting that cannot be read",
			target:  func(v *simulation.Server) { v.Greeting = []byte("\x09old") },
			client:  both(plain, none),
			account: "lost.login_refused=3 session lost login_refused",
		},
		{
			name:    "nothing listens",
			sim:     func(m *sim) { m.peer.Server = nil },
			client:  both(plain, none),
			account: "lost.target_refused=3 session lost target_refused",
		},
		{
			name:    "nobody is there",
			sim:     func(m *sim) { m.peer.Silent = true },
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
			client: func(c *simulation.Client) {
				l := simulation.TestLogin
				l.Capabilities |= mysql.ClientSSL
				c.Packet(1, l.Append(nil)[:32])
				c.Raw([]byte("\x16\x03\x01\x02\x00 client hello"))
				c.Raw([]byte("\x17\x03\x03 application data"))
				c.Fin()
			},
			account: "session skipped tls",
		},
		{
			name:    "none: a health check",
			client:  func(c *simulation.Client) { c.Fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: a health check that resets",
			client:  func(c *simulation.Client) { c.Rst() },
			account: "session skipped no_login",
		},
		{
			name:    "none: another protocol",
			client:  func(c *simulation.Client) { c.Raw([]byte("GET / HTTP/1.1\r\n\r\n")); c.Raw([]byte("more")); c.Fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: a command",
			client:  func(c *simulation.Client) { c.Query("select 1").Forget(1).Fin() },
			account: "session skipped no_login",
		},
		{
			name:    "none: one that is no 4.1 login",
			client:  func(c *simulation.Client) { c.Packet(1, []byte("\x05\x00\x00\x00\x00root\x00")); c.Fin() },
			account: "session skipped no_login",
		},
		{
			name:    "half a login",
			client:  func(c *simulation.Client) { c.Login(); it := &c.Items[0]; it.B = it.B[:20]; c.Fin() },
			account: "session skipped no_login",
		},
		{
			name:    "and nothing else",
			client:  func(c *simulation.Client) { c.Login().Fin() },
			account: "session replayed",
		},
	})
}

func TestRefusalsSayWhy(t *testing.T) {
	tests := []struct {
		name   string
		target func(*simulation.Server)
		want   string
	}{
		{"refused", func(v *simulation.Server) { v.Login = simulation.LoginRefused }, "app as t_app: ERROR 1045 (HY000): Access denied; servers say so of a wrong password, an unknown account, and an account that requires TLS alike"},
		{"foreign", func(v *simulation.Server) { v.Login = simulation.LoginForeign }, `app as t_app: the account needs the authentication plugin "auth_gssapi_client", which is not spoken: on the target let it use caching_sha2_password, sha256_password, mysql_native_password, client_ed25519 or parsec`},
		{"more", func(v *simulation.Server) { v.Login = simulation.LoginMore }, "app as t_app: mysql_native_password: the server goes on with a packet 0x01 of 2 bytes where it has to say OK or ERR"},
		{"host", func(v *simulation.Server) { v.Greeting = []byte("\xff\x6a\x04not allowed") }, "app as t_app: ERROR 1130: not allowed"},
		{"greeting", func(v *simulation.Server) { v.Greeting = []byte("\x09old") }, "app as t_app: the target's greeting cannot be read: parse greeting: protocol version 9, want 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSim(t)
			tt.target(m.peer.Server)
			m.play(simulation.NewClient().Login().Fin(), lockstep)
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
			client: func(c *simulation.Client) {
				c.Login().Queries(2).ChangeUser("other", "s").Queries(3).ChangeUser("app", "").Queries(1).Quit()
			},
			account: "answered=9 session replayed",
		},
		{
			name: "statements are gone, ids go on",
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p0c0 a")
				c.Execute(a).ChangeUser("other", "s")
				b := c.Prepare("p0c0 b")
				c.Execute(b).Quit()
			},
			account: "answered=6 session replayed",
		},
		{
			name: "to nobody known",
			client: func(c *simulation.Client) {
				c.Login().Queries(1).ChangeUser("stranger", "").Forget(1)
				c.Queries(2).Forget(2).Fin()
			},
			account: "answered=1 lost.unknown_user=3 session lost unknown_user",
			paces:   oneByOne,
		},
		{
			name:    "malformed: the target says so",
			client:  func(c *simulation.Client) { c.Login().Command(mysql.ComChangeUser, "nobody", 30).Fin() },
			account: "lost.login_refused=1 session lost login_refused",
			paces:   oneByOne,
		},
		{
			name: "refused",
			sim:  func(m *sim) { m.env.Credentials = func(u string) (string, string, bool) { return u, "secret", true } },
			client: func(c *simulation.Client) {
				c.Login().Queries(1).ChangeUser("refused", "").Queries(1).Forget(1).Fin()
				c.Expect[1] = strings.Replace(c.Expect[1], "t_", "", 1)
			},
			account: "answered=1 lost.login_refused=2 session lost login_refused",
			paces:   oneByOne,
		},
	})
}
