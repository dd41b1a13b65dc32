package session

import (
	"fmt"
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/simulation"
)

// speaking is a client of a production server with query attributes that does
// everything they touch.
func speaking(how mysql.Compression) func(*simulation.Client) {
	return func(c *simulation.Client) {
		c.Speak(true, how).LoginSpeaking().Queries(7)
		a := c.Prepare("p2c1 select ?, ?")
		b := c.Prepare("p0c2 select 1, 2, '" + strings.Repeat("x", 100) + "'")
		c.Execute(a).Execute(b).Query("bad").Execute(a).Close(a)
		c.ChangeUser("other", "").Query("insert " + strings.Repeat("long ", 1000))
		d := c.Prepare("p9c1 select nine")
		c.Execute(d).Reset().Query("LOAD nothing").Query("select 2").Quit()
	}
}

func withAttributes(v *simulation.Server) { v.Caps |= mysql.ClientQueryAttributes }

func mysql97(v *simulation.Server) {
	v.Version = "9.7.4-2"
	v.Caps |= mysql.ClientQueryAttributes
}

func TestQueryAttributes(t *testing.T) {
	run(t, []scenario{
		{
			name:    "production has them, the target does not",
			client:  speaking(mysql.CompressionNone),
			account: "answered=22 errors=1 session replayed",
		},
		{
			name:    "both have them",
			target:  withAttributes,
			client:  speaking(mysql.CompressionNone),
			account: "answered=22 errors=1 session replayed",
		},
		{
			name:   "the client announces them, production never offered them",
			target: withAttributes,
			client: func(c *simulation.Client) {
				c.Speak(false, mysql.CompressionNone).LoginSpeaking().Queries(3).Quit()
			},
			account: "answered=4 session replayed",
		},
		{
			name:   "production's greeting is unknown, its client sends them",
			target: withAttributes,
			client: func(c *simulation.Client) {
				speaking(mysql.CompressionNone)(c)
				c.Greeting = nil
			},
			account: "answered=22 errors=1 session replayed greeting missed",
		},
		{
			name:   "production's greeting is unknown, its client does not send them",
			target: withAttributes,
			client: func(c *simulation.Client) {
				c.Speak(false, mysql.CompressionNone).LoginSpeaking().Queries(3).Quit()
				c.Greeting = nil
			},
			account: "answered=4 session replayed greeting missed",
		},
		{
			name: "a COM_QUERY cut short in them",
			client: func(c *simulation.Client) {
				c.Speak(true, mysql.CompressionNone).LoginSpeaking().Query("select 1")
				c.Commands++
				c.Packet(0, []byte("\x03\x05"))
				c.Answer(20)
				c.Query("select 2").Quit()
			},
			account: "answered=3 skipped.dialect=1 session replayed",
		},
		{
			name: "a COM_STMT_EXECUTE cut short in them",
			client: func(c *simulation.Client) {
				c.Speak(true, mysql.CompressionNone).LoginSpeaking()
				a := c.Prepare("p2c1 select ?, ?")
				c.Statement(mysql.ComStmtExecute, a, "\x00\x01\x00\x00\x00\x02").Forget(1)
				c.Execute(a).Quit()
			},
			account: "answered=3 skipped.dialect=1 session replayed",
		},
	})
}

// What is streamed keeps its length, and what has to be read whole is not
// streamed.
func TestQueryAttributesOfLargeCommands(t *testing.T) {
	text := "insert " + strings.Repeat("0123456789", testStreamAbove/8)
	for _, where := range []string{"there", "not there"} {
		t.Run(where, func(t *testing.T) {
			m := newSim(t)
			c := simulation.NewClient().Speak(true, mysql.CompressionNone).LoginSpeaking().Query(text)
			if where == "there" {
				withAttributes(m.peer.Server)
			}
			a := c.Prepare("p1c1 select ?")
			arg := func(name string) string {
				return "\x00\x01\x00\x00\x00\x01\x00\x01\xfc\x00" + name + "\xfd\x00\x00\x20" + strings.Repeat("y", 2<<20)
			}
			c.Statement(mysql.ComStmtExecute, a, arg("\x00"))
			c.Expect[2] = fmt.Sprintf("%s {p1c1 select ?} %s", mysql.ComStmtExecute,
				simulation.Short([]byte(strings.Replace(arg(""), "\x00\x00\x00\x01\x00\x01", "\x00\x00\x00\x00\x01", 1))))
			c.Query("select 1").Quit()
			c.Split(func() int { return 60_000 })
			m.play(c, lockstep)
			m.executed(c.Expect)
			if got, want := m.account(), "answered=5 session replayed"; got != want {
				t.Errorf("account: %s, want %s", got, want)
			}
		})
	}
}

func TestCompression(t *testing.T) {
	for _, how := range []mysql.Compression{mysql.CompressionZlib, mysql.CompressionZstd} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			run(t, []scenario{
				{
					name:    "a client of all trades",
					client:  speaking(how),
					account: "answered=22 errors=1 session replayed",
				},
				{
					name: "in small pieces",
					client: func(c *simulation.Client) {
						speaking(how)(c)
						c.Split(func() int { return 3 })
					},
					account: "answered=22 errors=1 session replayed",
					paces:   []string{"at once", "a turn each"},
				},
				{
					name: "a command of several packets",
					client: func(c *simulation.Client) {
						c.Speak(false, how).LoginSpeaking().Query("insert " + strings.Repeat("0123456789", 3<<20)).Query("select 1").Quit()
					},
					account: "answered=3 session replayed",
				},
				{
					name: "a hole within a packet",
					client: func(c *simulation.Client) {
						c.Speak(false, how).LoginSpeaking().Query("select 1").Query("update " + strings.Repeat("x", 300)).Forget(1).Query("select 2").Quit()
						it := &c.Items[2]
						from := it.End.Add(-8)
						c.Items = append(c.Items[:2:2], append([]simulation.Item{
							{Kind: simulation.ItemData, B: it.B[:len(it.B)-8], Ack: it.Ack, End: from},
							{Kind: simulation.ItemGap, B: it.B[len(it.B)-8:], Ack: it.Ack, End: it.End},
						}, c.Items[3:]...)...)
					},
					account: "answered=3 lost.capture_gap=1 session replayed",
				},
				{
					name: "a hole over packets",
					client: func(c *simulation.Client) {
						c.Speak(false, how).LoginSpeaking().Query("select 1").Query("update " + strings.Repeat("x", 300)).Forget(1).Query("select 2").Forget(1).
							Query("select " + strings.Repeat("y", 300)).Query("select 3").Quit()
						for i := 2; i < 4; i++ {
							c.Items[i].Kind = simulation.ItemGap
						}
					},
					account: "answered=4 lost.capture_gap=1 session replayed",
					paces:   []string{"one by one", "at once"},
				},
				{
					name: "a hole within an auth reply",
					client: func(c *simulation.Client) {
						c.Speak(false, how).LoginSpeaking()
						c.LoggedIn = false
						c.Packet(3, make([]byte, 100))
						c.Answer(11)
						c.LoggedIn = true
						c.Query("select 1").Query("select 2").Quit()
						c.Hole(len(c.Items[0].B)+30, 20)
					},
					account: "answered=3 session replayed",
				},
				{
					name: "garbage",
					client: func(c *simulation.Client) {
						c.Speak(false, how).LoginSpeaking().Query("select 1")
						c.How = mysql.CompressionNone
						c.Raw([]byte("\x04\x00\x00\x00\xff\xff\x00abcd"))
						c.Raw([]byte("more"))
						c.Fin()
					},
					account: "answered=1 session lost compression",
					paces:   oneByOne,
				},
			})
		})
	}
}

func TestProxyHeader(t *testing.T) {
	for name, header := range map[string]string{
		"v1":         "PROXY TCP4 192.0.2.7 10.0.0.1 40001 3306\r\n",
		"v1 unknown": "PROXY UNKNOWN\r\n",
		"v2":         "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x9c\x41\x0c\xea",
		"v2 local":   "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			run(t, []scenario{
				{
					name:    "alone",
					client:  func(c *simulation.Client) { c.Raw([]byte(header)); c.Login().Queries(2).Quit() },
					account: "answered=3 session replayed",
				},
				{
					name: "in pieces",
					client: func(c *simulation.Client) {
						c.Raw([]byte(header))
						c.Login().Queries(2).Quit().Split(func() int { return 1 })
					},
					account: "answered=3 session replayed",
					paces:   oneByOne,
				},
				{
					name:    "and nothing else",
					client:  func(c *simulation.Client) { c.Raw([]byte(header)); c.Fin() },
					account: "session skipped no_login",
				},
			})
		})
	}
}

func TestNegotiate(t *testing.T) {
	const (
		mariadbServer = 0x81fffffe
		mariadbClient = 0x00bfa284
		mysqlServer   = 0xdfffffff
		mysqlOld      = 0x807ff7ff
		mysqlClient   = 0x19bfa285
		nodeMysql     = 0x0006f3cf // without PLUGIN_AUTH
	)
	const auth = mysql.ClientPluginAuth | mysql.ClientPluginAuthLenencClientData | mysql.ClientMultiFactorAuthentication
	tests := []struct {
		name       string
		production *Dialect
		client     mysql.Capabilities
		extended   mysql.Extended
		target     Dialect

		caps         mysql.Capabilities
		wantExtended mysql.Extended
	}{
		{"mysql 9.7 client, 5.6 to 9.7: what 5.6 never offered stays off",
			&Dialect{Capabilities: mysqlOld}, mysqlClient, 0, Dialect{Capabilities: mysqlServer},
			mysqlClient&mysqlOld | mysql.ClientMultiFactorAuthentication, 0},
		{"mysql 9.7 client, 9.7 to 9.7",
			&Dialect{Capabilities: mysqlServer}, mysqlClient, 0, Dialect{Capabilities: mysqlServer},
			mysqlClient, 0},
		{"mysql 9.7 client, 9.7 to 5.6",
			&Dialect{Capabilities: mysqlServer}, mysqlClient, 0, Dialect{Capabilities: mysqlOld},
			mysqlClient & mysqlOld, 0},
		{"mariadb client, 11.8 to 11.8: the extended ones but progress",
			&Dialect{Capabilities: mariadbServer, Extended: 0x3d}, mariadbClient, 0x1d, Dialect{Capabilities: mariadbServer, Extended: 0x3d},
			mariadbClient, 0x1c},
		{"mariadb client, 11.8 to 10.5",
			&Dialect{Capabilities: mariadbServer, Extended: 0x3d}, mariadbClient, 0x3d, Dialect{Capabilities: mariadbServer, Extended: 0x0f},
			mariadbClient, 0x0c},
		{"mariadb client, 11.8 to 9.7",
			&Dialect{Capabilities: mariadbServer, Extended: 0x3d}, mariadbClient, 0x3d, Dialect{Capabilities: mysqlServer},
			mariadbClient | mysql.ClientLongPassword | mysql.ClientMultiFactorAuthentication, 0},
		{"mysql client, 9.7 to 11.8: no extended ones come of it",
			&Dialect{Capabilities: mysqlServer}, mysqlClient, 0, Dialect{Capabilities: mariadbServer, Extended: 0x3d},
			mysqlClient&mariadbServer | mysql.ClientLongPassword, 0},
		{"an old client to 9.7: our login has plugins",
			&Dialect{Capabilities: mysqlOld}, nodeMysql, 0, Dialect{Capabilities: mysqlServer},
			nodeMysql | auth, 0},
		{"a production nobody heard: attributes are left out",
			nil, mysqlClient, 0, Dialect{Capabilities: mysqlServer},
			mysqlClient &^ mysql.ClientQueryAttributes, 0},
		{"compression and TLS",
			&Dialect{Capabilities: mysqlServer}, mysqlClient | mysql.ClientCompress | mysql.ClientSSL, 0, Dialect{Capabilities: mysqlServer},
			mysqlClient, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Session{production: tt.production, clientCaps: tt.client, clientExtended: tt.extended}
			caps, extended := s.negotiate(&tt.target)
			if caps != tt.caps || extended != tt.wantExtended {
				t.Errorf("got %08x %x, want %08x %x", caps, extended, tt.caps, tt.wantExtended)
			}
		})
	}
}

func TestCollation(t *testing.T) {
	old := &Dialect{Version: mysql.ParseVersion("5.6.24"), Charset: 8}
	modern := &Dialect{Version: mysql.ParseVersion("9.7.4-2"), Charset: 255}
	tests := []struct {
		name       string
		production *Dialect
		target     string
		id         uint16
		want       func(got uint16) bool
		changed    uint64
	}{
		{"known everywhere", modern, "10.11.18-MariaDB", 45, is(45), 0},
		{"unknown to production: its default", old, "9.7.4-2", 255, is(8), 0},
		{"unknown to the target", modern, "5.6.24", 255, func(id uint16) bool { return id != 255 && id < 256 }, 1},
		{"unknown to the target, whose nearest has to fit a byte", modern, "10.11.18-MariaDB", 255, func(id uint16) bool { return id < 256 }, 1},
		{"unknown to the target, in two bytes", modern, "5.6.24", 309, func(id uint16) bool { return id < 256 }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e Env
			s := Session{production: tt.production, target: mysql.ParseVersion(tt.target)}
			for range 2 {
				if got := s.collation(&e, tt.id); !tt.want(got) {
					t.Errorf("got %d", got)
				}
			}
			if n := e.Counts.Sessions.CollationChanged; n != tt.changed {
				t.Errorf("counted %d, want %d", n, tt.changed)
			}
		})
	}
}

func is(want uint16) func(uint16) bool { return func(got uint16) bool { return got == want } }

func TestCommandsOfOneFamily(t *testing.T) {
	run(t, []scenario{
		{
			name:   "COM_STMT_BULK_EXECUTE to MySQL: as many executions as it has rows",
			target: func(v *simulation.Server) { mysql97(v); v.NextID = 7 },
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p2c0 insert ?, ?")
				c.Bulk(a, "\x80\x00"+"\x01\x00\xfd\x00"+"\x00\x07\x00\x02ab"+"\x01\x01"+"\x00\x08\x00\x00",
					"\x00\x01\x01\x00\xfd\x00\x07\x02ab", "\x03\x01\x01\x00\xfd\x00", "\x00\x01\x01\x00\xfd\x00\x08\x00")
				c.Bulk(a, "\x40\x00"+"\x00\x09\x01", "\x02\x01\x01\x00\xfd\x00\x09") // types of before
				c.Execute(a).Quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name:   "COM_STMT_BULK_EXECUTE with what only it can say",
			target: mysql97,
			client: func(c *simulation.Client) {
				c.Login()
				a := c.Prepare("p1c0 insert ?")
				c.Bulk(a, "\x00\x00\x00\x07")             // no types
				c.Bulk(a, "\x80\x00\x01\x00\x00\x07\x02") // DEFAULT
				c.Bulk(a, "\x80\x00\x01\x00\x00\x07\x00") // cut short
				c.Bulk(a, "\x80\x00\x01\x00")             // no rows
				c.Execute(a).Quit()
			},
			account: "answered=3 skipped.dialect=4 session replayed",
		},
		{
			name:   "the last prepared statement, to MySQL",
			target: func(v *simulation.Server) { mysql97(v); v.NextID = 5 },
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("p0c0 a")
				b := c.Prepare("p0c0 b")
				c.Statements[lastPrepared] = c.Statements[b]
				c.Execute(lastPrepared).Execute(b).Quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name:   "the last prepared statement, pipelined, to MySQL",
			target: func(v *simulation.Server) { mysql97(v); v.NextID = 5 },
			client: func(c *simulation.Client) {
				c.Login()
				c.Prepare("p0c0 a")
				c.Pipeline(func() {
					b := c.Prepare("p0c0 b")
					c.Statements[lastPrepared] = c.Statements[b]
					c.Execute(lastPrepared)
				})
				c.Query("select 1").Quit()
			},
			account: "answered=5 session replayed",
		},
		{
			name:   "a schema, to a target whose login takes none",
			target: func(v *simulation.Server) { v.Caps &^= mysql.ClientConnectWithDB },
			client: func(c *simulation.Client) {
				c.Speak(false, mysql.CompressionNone).Login()
				c.Expect = append(c.Expect, `COM_INIT_DB "shop"`)
				c.Queries(3).Quit()
			},
			account: "answered=4 session replayed",
		},
	})
}
