//go:build record

// Asks real servers whether what StripExecute makes of a command is the same
// command to them: RUN=TestAttributesOnServers testdata/record.sh SERVERS.

package mysql

import (
	"encoding/binary"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// connect logs in without a recorder.
func connect(t *testing.T, target string, caps Capabilities) *talker {
	t.Helper()
	c, err := net.Dial("tcp", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	k := &talker{t: t, c: c, wait: 25 * time.Millisecond}
	k.reply()
	l := Login{Capabilities: caps, MaxPacket: 1 << 30, Charset: useUnicode, User: account, Schema: schema, Plugin: PluginNativePassword}
	k.write(1, l.Append(nil))
	k.reply()
	if k.last[HeaderSize] == eofHeader {
		k.write(3, nil)
		k.reply()
	}
	if k.last[HeaderSize] != okHeader {
		t.Fatalf("login: %q", k.last)
	}
	return k
}

// row returns the first row of the last response, or its error.
func (k *talker) row() string {
	ps, err := packets(k.last)
	if err != nil {
		k.t.Fatal(err)
	}
	if e, ok := ParseError(ps[0].payload); ok {
		return e.Error()
	}
	if len(ps) < 5 {
		return "no rows"
	}
	return string(ps[len(ps)-2].payload)
}

// values selects params placeholders as one string.
func valuesQuery(params int) string {
	one := "ifnull(cast(? as char),'NULL')"
	return "select concat_ws('|'" + strings.Repeat(","+one, params) + ")"
}

// TestAttributesOnServers executes statements with attributes on MySQL 9.7, and
// stripped on every server of RECORD.
func TestAttributesOnServers(t *testing.T) {
	servers := make(map[string]string)
	var names []string
	for _, s := range strings.Fields(os.Getenv("RECORD")) {
		server, target, _ := strings.Cut(s, "=")
		servers[server], names = target, append(names, server)
	}
	integer := value{typ: 0x8003, data: "\x01\x02\x03\x04"}
	text := value{typ: 0xfd, data: "\x03abc"}
	blob := value{typ: 0xfc, long: true}
	none := value{typ: 0xfd, null: true}
	// An execution, and what precedes it.
	type step struct {
		flags   byte
		unbound bool
		values  []value // the parameters, then the attributes
		long    []uint16
	}
	for _, tt := range []struct {
		name   string
		params int
		steps  []step
	}{
		{"no parameters", 0, []step{{}, {flags: 8}, {flags: 8, values: []value{traceID}}}},
		{"one", 1, []step{{values: []value{integer}}, {flags: 8, values: []value{text}}}},
		{"attributes behind it", 1, []step{{values: []value{integer, traceID, none}}, {flags: 8, values: []value{text, integer, traceID}}}},
		{"types of before", 2, []step{
			{values: []value{integer, text, traceID}},
			{unbound: true, values: []value{integer, text, traceID}},
			{unbound: true, values: []value{integer, none, traceID}},
			{unbound: true, values: []value{integer, text}},
			{values: []value{text, integer}},
			{unbound: true, values: []value{text, integer}},
		}},
		{"types of before, new attributes", 1, []step{
			{values: []value{integer}},
			{unbound: true, values: []value{integer, traceID}},
		}},
		{"long data", 2, []step{
			{long: []uint16{0}, values: []value{blob, integer, traceID}},
			{unbound: true, long: []uint16{0}, values: []value{blob, integer, traceID}},
			{unbound: true, values: []value{{typ: 0xfc, data: "\x01x"}, integer, traceID}},
		}},
		{"long data that is NULL", 2, []step{{long: []uint16{0}, values: []value{{typ: 0xfc, long: true, null: true}, integer}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onServers(t, servers, names, tt.params, func(do func(byte, bool, []uint16, ...value)) {
				for _, s := range tt.steps {
					do(s.flags, !s.unbound, s.long, s.values...)
				}
			})
		})
	}
	for _, v := range everyType {
		t.Run("type", func(t *testing.T) {
			onServers(t, servers, names, 2, func(do func(byte, bool, []uint16, ...value)) {
				do(0, true, nil, v, text, traceID)
				do(0, false, nil, v, text, traceID)
			})
		})
	}
}

// onServers runs script with a function that executes one statement.
func onServers(t *testing.T, servers map[string]string, names []string, params int, script func(do func(byte, bool, []uint16, ...value))) {
	with := connect(t, servers["mysql-9.7"], baseline|ClientQueryAttributes)
	withID := with.prepareWith(valuesQuery(params))
	stripped := make(map[string]*talker)
	ids := make(map[string]uint32)
	for _, s := range names {
		stripped[s] = connect(t, servers[s], baseline)
		ids[s] = stripped[s].prepare(valuesQuery(params))
	}
	var types []byte
	script(func(flags byte, bound bool, long []uint16, values ...value) {
		sendLong := func(k *talker, id uint32) {
			for _, p := range long {
				k.write(0, payload(ComStmtSendLongData, id, p, "long "))
				k.write(0, payload(ComStmtSendLongData, id, p, "data"))
			}
		}
		p := execute(flags, bound, true, params, values...)
		binary.LittleEndian.PutUint32(p[1:], withID)
		sendLong(with, withID)
		with.write(0, p)
		with.reply()
		want := with.row()
		out, inForce, ok := StripExecute(nil, p, params, types, long)
		t.Logf("%q\n  stripped %q %v\n  mysql-9.7 says %q", p, out, ok, want)
		if !ok {
			return
		}
		types = slices.Clone(inForce)
		for _, s := range names {
			k := stripped[s]
			sendLong(k, ids[s])
			binary.LittleEndian.PutUint32(out[1:], ids[s])
			k.write(0, out)
			k.reply()
			if got := k.row(); got != want {
				t.Errorf("%s says %q, with attributes %q", s, got, want)
			}
		}
	})
}

// prepareWith is prepare, for a connection with ClientQueryAttributes.
func (k *talker) prepareWith(text string) uint32 { return k.prepare(text) }
