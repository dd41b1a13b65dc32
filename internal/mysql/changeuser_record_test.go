//go:build record

// Asks real servers whether they take what ChangeUser.Append makes:
// RUN=TestChangeUserOnServers testdata/record.sh SERVERS.

package mysql

import (
	"os"
	"strings"
	"testing"
)

func TestChangeUserOnServers(t *testing.T) {
	for _, s := range strings.Fields(os.Getenv("RECORD")) {
		server, target, _ := strings.Cut(s, "=")
		_, number, _ := strings.Cut(server, "-")
		v := measured[number]
		for _, extra := range []Capabilities{0, ClientConnectAttrs} {
			k := connect(t, target, baseline|extra)
			for _, u := range []ChangeUser{
				{HasCharset: true, Charset: 8, Plugin: PluginNativePassword},
				{HasCharset: true, Charset: 46, Schema: schema},
				{HasCharset: true, Charset: 246, Plugin: "nonsense", AuthResponse: make([]byte, 255), Attributes: []byte("\x03_os\x05Linux")},
				{HasCharset: true, Charset: 2304},
				{HasCharset: true, Charset: 309},
				{},
			} {
				u.User, u.Padded = account, server == "mysql-5.6"
				var name string
				if u.HasCharset {
					u.Charset, _ = v.NearestCollation(u.Charset)
					name = readCollations(t)[u.Charset].name
				}
				k.write(0, u.Append(nil, baseline|extra))
				k.reply()
				if k.last[HeaderSize] == eofHeader {
					k.write(2, nil)
					k.reply()
				}
				if k.last[HeaderSize] != okHeader {
					t.Fatalf("%s: %+v: %q", server, u, k.last)
				}
				k.say(ComQuery, "select concat_ws(' ',ifnull(database(),''),@@collation_connection)")
				if want := u.Schema + " " + name; !strings.Contains(k.row(), want) {
					t.Errorf("%s: %+v: %q, want %q", server, u, k.row(), want)
				}
			}
		}
	}
}
