//go:build record

// Asks real servers whether what StripExecute makes of a command is the same
// command to them: RUN=TestAttributesOnServers testdata/record.sh SERVERS.

package mysql

import (
	"encoding/binary"
	"fmt"
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

// selecting returns a statement that selects its placeholders as one string,
// the first of them by the function of its type.
func selecting(params int, first string) string {
	if params == 0 {
		return "select 'none'"
	}
	return "select concat_ws('|',ifnull(" + first + ",'NULL')" + strings.Repeat(",ifnull(hex(?),'NULL')", params-1) + ")"
}

// An execution is a COM_STMT_EXECUTE and the long data before it.
type execution struct {
	flags   byte
	unbound bool
	values  []value // the parameters, then the attributes
	long    []uint16
}

// TestAttributesOnServers executes statements with attributes on MySQL 9.7, and
// stripped on every server of RECORD. What the former takes the others take
// too, and what cannot be stripped it refuses.
func TestAttributesOnServers(t *testing.T) {
	integer := value{typ: 0x8003, data: "\x01\x02\x03\x04"}
	text := value{typ: 0xfd, data: "\x03abc"}
	blob := value{typ: 0xfc, long: true}
	none := value{typ: 0xfd, null: true}
	for _, tt := range []struct {
		name   string
		params int
		do     []execution
	}{
		{"no parameters", 0, []execution{{}, {flags: 8}, {flags: 8, values: []value{traceID}}}},
		{"one", 1, []execution{{values: []value{text}}, {flags: 8, values: []value{none}}}},
		{"attributes behind it", 1, []execution{{values: []value{text, traceID, none}}, {flags: 8, values: []value{text, integer, traceID}}}},
		{"types of before", 2, []execution{
			{values: []value{integer, text, traceID}},
			{unbound: true, values: []value{integer, text}},
			{flags: 8, unbound: true, values: []value{integer, none}},
			{unbound: true, values: []value{integer, text, traceID}},
			{values: []value{text, integer}},
			{unbound: true, values: []value{text, integer}},
		}},
		{"fewer values than placeholders", 2, []execution{{values: []value{integer}}}},
		{"long data", 2, []execution{
			{long: []uint16{0}, values: []value{blob, integer, traceID}},
			{unbound: true, long: []uint16{0}, values: []value{blob, integer}},
			{unbound: true, values: []value{{typ: 0xfc, data: "\x01x"}, integer}},
		}},
		{"long data that is NULL", 2, []execution{{long: []uint16{0}, values: []value{{typ: 0xfc, long: true, null: true}, integer}}}},
	} {
		t.Run(tt.name, func(t *testing.T) { onServers(t, tt.params, "hex(?)", tt.do) })
	}
	for _, v := range everyType {
		t.Run(fmt.Sprintf("type %x", v.typ), func(t *testing.T) {
			first := "hex(?)"
			switch v.typ {
			case 0x07, 0x0a, 0x0c:
				first = "date_format(?, '%Y-%m-%d %T')" // the digits behind differ
			case 0x0b:
				first = "cast(time_to_sec(?) as signed)"
			}
			onServers(t, 2, first, []execution{{values: []value{v, text, traceID}}, {unbound: true, values: []value{v, text}}})
		})
	}
}

func onServers(t *testing.T, params int, first string, do []execution) {
	servers := strings.Fields(os.Getenv("RECORD"))
	targets := make(map[string]string)
	for _, s := range servers {
		server, target, _ := strings.Cut(s, "=")
		targets[server] = target
	}
	sql := selecting(params, first)
	with := connect(t, targets["mysql-9.7"], baseline|ClientQueryAttributes)
	with.say(ComStmtPrepare, sql)
	withID, _, _, ok := ParsePrepareOK(with.last[HeaderSize:])
	if !ok {
		t.Fatalf("prepare %s: %q", sql, with.last)
	}
	stripped := make(map[string]*talker)
	ids := make(map[string]uint32)
	for server, target := range targets {
		stripped[server] = connect(t, target, baseline)
		ids[server] = stripped[server].prepare(sql)
	}
	var types []byte
	for _, e := range do {
		p := execute(e.flags, !e.unbound, true, params, e.values...)
		want := with.execute(p, withID, e.long)
		out, inForce, ok := StripExecute(nil, p, params, types, bitset(e.long))
		t.Logf("%q: %q", p, want)
		if !ok {
			if !strings.HasPrefix(want, "ERROR") {
				t.Error("it cannot be stripped")
			}
			continue
		}
		types = inForce
		for server, k := range stripped {
			got := k.execute(out, ids[server], e.long)
			switch {
			case got == want:
			case strings.HasPrefix(want, "ERROR"):
				t.Logf("%s takes what was refused: %q", server, got)
			default:
				t.Errorf("%s says %q to %q", server, got, out)
			}
		}
	}
}

// execute sends a COM_STMT_EXECUTE for the statement id.
func (k *talker) execute(b []byte, id uint32, long []uint16) string {
	for _, p := range long {
		k.write(0, payload(ComStmtSendLongData, id, p, "long "))
		k.write(0, payload(ComStmtSendLongData, id, p, "data"))
	}
	b = slices.Clone(b)
	binary.LittleEndian.PutUint32(b[1:], id)
	k.write(0, b)
	k.reply()
	return k.row()
}
