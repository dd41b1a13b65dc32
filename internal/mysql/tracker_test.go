package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// pkt builds a packet.
func pkt(sequence uint8, payload string) string {
	return string(AppendHeader(nil, len(payload), sequence)) + payload
}

// pkts builds packets of consecutive sequence ids.
func pkts(sequence uint8, payloads ...string) string {
	var b strings.Builder
	for i, p := range payloads {
		b.WriteString(pkt(sequence+uint8(i), p))
	}
	return b.String()
}

// Payloads. The names of OK and EOF packets say their status flags.
const (
	okPlain   = "\x00\x00\x00\x02\x00\x00\x00"
	okMore    = "\x00\x01\x00\x0a\x00\x00\x00"
	okBig     = "\x00\xfe\x08\x00\x08\x00\x08\x00\x08\x00\xfd\x08\x00\x08\x02\x00\x00\x00" // counts full of what could be flags
	okBigMore = "\x00\xfe\x00\x00\x00\x00\x01\x00\x00\x00\xfc\x00\x04\x0a\x00\x00\x00info"
	eofPlain  = "\xfe\x00\x00\x02\x00"
	eofMore   = "\xfe\x00\x00\x0a\x00"
	eofCursor = "\xfe\x00\x00\x42\x00"
	eofLast   = "\xfe\x00\x00\x82\x00"
	eofOut    = "\xfe\x00\x00\x0a\x10"
	endPlain  = "\xfe\x00\x00\x02\x00\x00\x00" // the OK in an EOF's place
	endMore   = "\xfe\x00\x00\x0a\x00\x00\x00"
	endCursor = "\xfe\x00\x00\x42\x00\x00\x00"
	errPlain  = "\xff\x28\x04#42000no"
	progress  = "\xff\xff\xff\x01\x01\x02\x00\x00\x00\x04copy"
	def       = "\x03def\x00\x00\x00\x01?\x00\x0c\x3f\x00"
	row       = "\x01a\xfb"
	binaryRow = "\x00\x00\x07"
	prepare21 = "\x00\x07\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00" // id 7, 2 columns, 1 parameter
)

func kinds(commands ...Command) []Kind {
	var ks []Kind
	for _, c := range commands {
		ks = append(ks, Kind(c))
	}
	return ks
}

// feed runs a stream through a Tracker and returns what it saw.
func feed(t *Tracker, stream string) (seen []string, rest int) {
	n, events := t.Feed([]byte(stream), nil)
	for _, e := range events {
		seen = append(seen, strings.TrimSpace(describe(e)))
	}
	return seen, len(stream) - n
}

func TestTracker(t *testing.T) {
	const eof, meta = ClientDeprecateEOF, ClientOptionalResultsetMetadata
	for _, tt := range []struct {
		name   string
		caps   Capabilities
		ext    Extended
		kinds  []Kind
		stream string
		want   string // what is seen, joined by "; "
		rest   int    // bytes not consumed
	}{
		{"OK", 0, 0, kinds(ComPing), pkt(1, okPlain), "COM_PING ends, seq 1", 0},
		{"OK of a command of two packets", 0, 0, kinds(ComQuery), pkt(2, okPlain), "COM_QUERY ends, seq 2", 0},
		{"ERR", 0, 0, kinds(ComQuery), pkt(1, errPlain), "COM_QUERY seq 1: ERROR 1064 (42000): no; COM_QUERY ends in an error, seq 1", 0},
		{"EOF for OK", 0, 0, kinds(ComSetOption, ComDebug, ComQuery), pkt(1, eofPlain) + pkt(1, eofPlain) + pkt(1, eofPlain),
			"COM_SET_OPTION ends, seq 1; COM_DEBUG ends, seq 1; COM_QUERY ends, seq 1", 0},
		{"EOF for OK, deprecated", eof, 0, kinds(ComSetOption, ComQuery), pkt(1, endPlain) + pkt(1, endMore) + pkt(2, okPlain),
			"COM_SET_OPTION ends, seq 1; COM_QUERY ends, seq 2", 0},
		{"unknown command", 0, 0, kinds(0x7f), pkt(1, errPlain), "COM_0x7f seq 1: ERROR 1064 (42000): no; COM_0x7f ends in an error, seq 1", 0},
		{"no response", 0, 0, kinds(ComQuit, ComStmtClose, ComStmtSendLongData, ComPing), pkt(1, okPlain), "COM_PING ends, seq 1", 0},
		{"nothing pending", 0, 0, nil, pkt(1, okPlain), "", 11},
		{"lenenc counts", 0, 0, kinds(ComQuery, ComPing), pkt(1, okBig) + pkt(1, okPlain), "COM_QUERY ends, seq 1; COM_PING ends, seq 1", 0},
		{"lenenc counts and more", 0, 0, kinds(ComQuery), pkts(1, okBigMore, okMore, okPlain), "COM_QUERY ends, seq 3", 0},

		{"result", 0, 0, kinds(ComQuery), pkts(1, "\x02", def, def, eofPlain, row, row, eofPlain), "COM_QUERY ends, seq 7", 0},
		{"result, no EOF", eof, 0, kinds(ComQuery), pkts(1, "\x02", def, def, row, row, endPlain+"\x05state"), "COM_QUERY ends, seq 6", 0},
		{"no rows", 0, 0, kinds(ComQuery), pkts(1, "\x01", def, eofPlain, eofPlain), "COM_QUERY ends, seq 4", 0},
		{"no rows, no EOF", eof, 0, kinds(ComQuery), pkts(1, "\x01", def, endPlain), "COM_QUERY ends, seq 3", 0},
		{"binary rows", 0, 0, kinds(ComStmtExecute), pkts(1, "\x01", def, eofPlain, binaryRow, binaryRow, eofPlain), "COM_STMT_EXECUTE ends, seq 6", 0},
		{"300 columns", eof, 0, kinds(ComQuery), pkts(1, slices.Concat([]string{"\xfc\x2c\x01"}, slices.Repeat([]string{def}, 300), []string{row, endPlain})...), "COM_QUERY ends, seq 47", 0},
		{"300 rows", eof, 0, kinds(ComQuery), pkts(1, slices.Concat([]string{"\x01", def}, slices.Repeat([]string{row}, 300), []string{endPlain})...), "COM_QUERY ends, seq 47", 0},
		{"ERR for a definition", 0, 0, kinds(ComQuery), pkts(1, "\x02", def, errPlain), "COM_QUERY seq 3: ERROR 1064 (42000): no; COM_QUERY ends in an error, seq 3", 0},
		{"ERR for the EOF", 0, 0, kinds(ComQuery), pkts(1, "\x01", def, errPlain), "COM_QUERY seq 3: ERROR 1064 (42000): no; COM_QUERY ends in an error, seq 3", 0},
		{"ERR for a row", eof, 0, kinds(ComQuery, ComPing), pkts(1, "\x01", def, row, errPlain) + pkt(1, okPlain), "COM_QUERY seq 4: ERROR 1064 (42000): no; COM_QUERY ends in an error, seq 4; COM_PING ends, seq 1", 0},
		{"a row beginning with fe", 0, 0, kinds(ComQuery), pkts(1, "\x01", def, eofPlain, "\xfe12345678", eofPlain), "COM_QUERY ends, seq 5", 0},

		{"several results", 0, 0, kinds(ComQuery), pkts(1, "\x01", def, eofMore, row, eofMore, okMore, "\x01", def, eofPlain, row, eofPlain), "COM_QUERY ends, seq 11", 0},
		{"several results, no EOF", eof, 0, kinds(ComQuery), pkts(1, "\x01", def, row, endMore, okMore, "\x01", def, row, endPlain), "COM_QUERY ends, seq 9", 0},
		{"ERR in a later result", eof, 0, kinds(ComQuery, ComPing), pkts(1, okMore, errPlain) + pkt(1, okPlain), "COM_QUERY seq 2: ERROR 1064 (42000): no; COM_QUERY ends in an error, seq 2; COM_PING ends, seq 1", 0},
		{"more results are none of PING's", 0, 0, kinds(ComPing, ComStmtFetch, ComPing), pkt(1, okMore) + pkts(1, binaryRow, eofMore) + pkt(1, okPlain), "COM_PING ends, seq 1; COM_STMT_FETCH ends, seq 2; COM_PING ends, seq 1", 0},
		{"OUT parameters", 0, 0, kinds(ComStmtExecute), pkts(1, "\x01", def, eofOut, binaryRow, eofPlain, okPlain), "COM_STMT_EXECUTE ends, seq 6", 0},

		{"optional metadata, full", meta, 0, kinds(ComQuery), pkts(1, "\x01\x01", def, eofPlain, row, eofPlain), "COM_QUERY ends, seq 5", 0},
		{"optional metadata, none", meta, 0, kinds(ComQuery), pkts(1, "\x01\x00", eofPlain, row, eofPlain), "COM_QUERY ends, seq 4", 0},
		{"optional metadata, none, no EOF", meta | eof, 0, kinds(ComQuery), pkts(1, "\x01\x00", row, endPlain), "COM_QUERY ends, seq 3", 0},
		{"cached metadata", 0, MariaDBCacheMetadata, kinds(ComStmtExecute), pkts(1, "\xfc\x01\x01\x00", eofPlain, binaryRow, eofPlain), "COM_STMT_EXECUTE ends, seq 4", 0},
		{"cached metadata sent", eof, MariaDBCacheMetadata, kinds(ComStmtExecute), pkts(1, "\x01\x01", def, binaryRow, endPlain), "COM_STMT_EXECUTE ends, seq 4", 0},

		{"prepare", 0, 0, kinds(ComStmtPrepare), pkts(1, prepare21, def, eofPlain, def, def, eofPlain), "COM_STMT_PREPARE seq 1: statement 7, 2 columns, 1 parameters; COM_STMT_PREPARE ends, seq 6", 0},
		{"prepare, no EOF", eof, 0, kinds(ComStmtPrepare), pkts(1, prepare21, def, def, def), "COM_STMT_PREPARE seq 1: statement 7, 2 columns, 1 parameters; COM_STMT_PREPARE ends, seq 4", 0},
		{"prepare without parameters", 0, 0, kinds(ComStmtPrepare), pkts(1, "\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", def, eofPlain), "COM_STMT_PREPARE seq 1: statement 7, 1 columns, 0 parameters; COM_STMT_PREPARE ends, seq 3", 0},
		{"prepare without columns", 0, 0, kinds(ComStmtPrepare), pkts(1, "\x00\x07\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", def, eofPlain), "COM_STMT_PREPARE seq 1: statement 7, 0 columns, 1 parameters; COM_STMT_PREPARE ends, seq 3", 0},
		{"prepare without either", 0, 0, kinds(ComStmtPrepare), pkt(1, "\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "COM_STMT_PREPARE seq 1: statement 7, 0 columns, 0 parameters; COM_STMT_PREPARE ends, seq 1", 0},
		{"prepare, metadata none", meta, 0, kinds(ComStmtPrepare), pkts(1, prepare21+"\x00", eofPlain, eofPlain), "COM_STMT_PREPARE seq 1: statement 7, 2 columns, 1 parameters; COM_STMT_PREPARE ends, seq 3", 0},
		{"prepare, metadata none, no EOF", meta | eof, 0, kinds(ComStmtPrepare), pkt(1, prepare21+"\x00"), "COM_STMT_PREPARE seq 1: statement 7, 2 columns, 1 parameters; COM_STMT_PREPARE ends, seq 1", 0},
		{"prepare refused", 0, 0, kinds(ComStmtPrepare, ComStmtExecute), pkt(1, errPlain) + pkt(1, errPlain),
			"COM_STMT_PREPARE seq 1: ERROR 1064 (42000): no; COM_STMT_PREPARE ends in an error, seq 1; COM_STMT_EXECUTE seq 1: ERROR 1064 (42000): no; COM_STMT_EXECUTE ends in an error, seq 1", 0},

		{"cursor", 0, 0, kinds(ComStmtExecute, ComStmtFetch, ComStmtFetch), pkts(1, "\x01", def, eofCursor) + pkts(1, binaryRow, eofCursor) + pkts(1, eofLast),
			"COM_STMT_EXECUTE ends, seq 3; COM_STMT_FETCH ends, seq 2; COM_STMT_FETCH ends, seq 1", 0},
		{"cursor, no EOF", eof, 0, kinds(ComStmtExecute, ComStmtFetch), pkts(1, "\x01", def, endCursor) + pkts(1, binaryRow, endCursor),
			"COM_STMT_EXECUTE ends, seq 3; COM_STMT_FETCH ends, seq 2", 0},
		{"OK for the rows (MySQL 9.7.4)", 0, 0, kinds(ComStmtExecute, ComPing), pkts(1, "\x01", def, okPlain) + pkt(1, okPlain), "COM_STMT_EXECUTE ends, seq 3; COM_PING ends, seq 1", 0},
		{"OK for the rows, no EOF (MySQL 9.7.4)", eof, 0, kinds(ComStmtExecute, ComPing), pkts(1, "\x01", def, okPlain) + pkt(1, okPlain), "COM_STMT_EXECUTE ends without an end; COM_PING ends, seq 1", 0},

		{"field list", 0, 0, kinds(ComFieldList), pkts(1, def, def, eofPlain), "COM_FIELD_LIST ends, seq 3", 0},
		{"field list, no EOF", eof, 0, kinds(ComFieldList), pkts(1, def, endPlain), "COM_FIELD_LIST ends, seq 2", 0},
		{"statistics", 0, 0, kinds(ComStatistics), pkt(1, "Uptime: 1"), "COM_STATISTICS ends, seq 1", 0},
		{"empty statistics", 0, 0, kinds(ComStatistics), pkt(1, ""), "COM_STATISTICS ends, seq 1", 0},

		{"local file", 0, 0, kinds(ComQuery), pkt(1, "\xfbx.csv") + pkt(9, okPlain), `COM_QUERY seq 1: wants file "x.csv"; COM_QUERY ends, seq 9`, 0},
		{"local file refused", 0, 0, kinds(ComQuery), pkt(1, "\xfbx.csv") + pkt(0, errPlain), `COM_QUERY seq 1: wants file "x.csv"; COM_QUERY seq 0: ERROR 1064 (42000): no; COM_QUERY ends in an error, seq 0`, 0},
		{"local file, then more", 0, 0, kinds(ComQuery), pkt(1, "\xfbx.csv") + pkts(9, okMore, okPlain), `COM_QUERY seq 1: wants file "x.csv"; COM_QUERY ends, seq 10`, 0},

		{"progress reports", 0, 0, kinds(ComQuery), pkts(1, progress, progress, okPlain), "COM_QUERY ends, seq 3", 0},
		{"progress reports and rows", eof, 0, kinds(ComQuery), pkts(1, progress, "\x01", progress, def, progress, row, progress, endPlain), "COM_QUERY ends, seq 8", 0},
		{"progress reports till the ids wrap", 0, 0, kinds(ComQuery, ComQuery), pkts(1, slices.Concat(slices.Repeat([]string{progress}, 255), []string{okPlain})...) + pkts(1, slices.Concat(slices.Repeat([]string{progress}, 256), []string{okPlain})...),
			"COM_QUERY ends, seq 0; COM_QUERY ends, seq 1", 0},

		{"login", 0, 0, []Kind{KindGreeting, KindLogin}, pkt(0, "\x0a8") + pkt(2, "\xfenative\x00salt") + pkt(4, okPlain),
			"greeting seq 0: parse greeting: packet is cut short; greeting ends, seq 0; login seq 2: switch to native, 4 bytes; login seq 4: OK; login ends, seq 4", 0},
		{"login by sha2", 0, 0, []Kind{KindLogin}, pkts(2, "\x01\x03", okPlain), "login seq 2: 2 bytes of the plugin; login seq 3: OK; login ends, seq 3", 0},
		{"login with an empty packet", 0, 0, []Kind{KindLogin}, pkt(2, "") + pkt(4, okPlain), "login seq 2: 0 bytes of the plugin; login seq 4: OK; login ends, seq 4", 0},
		{"login refused", 0, 0, []Kind{KindLogin}, pkt(2, errPlain), "login seq 2: ERROR 1064 (42000): no; login ends in an error, seq 2", 0},
		{"no greeting", 0, 0, []Kind{KindGreeting}, pkt(0, "\xff\x6a\x04no"), "greeting seq 0: ERROR 1130: no; greeting ends in an error, seq 0", 0},
		{"change user", 0, 0, kinds(ComChangeUser, ComPing), pkt(1, "\xfenative\x00salt") + pkt(3, okPlain) + pkt(1, okPlain),
			"COM_CHANGE_USER seq 1: switch to native, 4 bytes; COM_CHANGE_USER seq 3: OK; COM_CHANGE_USER ends, seq 3; COM_PING ends, seq 1", 0},

		{"binlog", 0, 0, kinds(ComBinlogDump), pkts(1, "\x00event", "\x00", "", "\xfe34567890", "\x00event"), "", 0},
		{"binlog, non-blocking", 0, 0, kinds(ComBinlogDumpGTID, ComPing), pkts(1, "\x00event", eofPlain) + pkt(1, okPlain), "COM_BINLOG_DUMP_GTID ends, seq 2; COM_PING ends, seq 1", 0},
		{"binlog refused", 0, 0, kinds(ComBinlogDump), pkt(1, errPlain), "COM_BINLOG_DUMP seq 1: ERROR 1064 (42000): no; COM_BINLOG_DUMP ends in an error, seq 1", 0},

		{"part of a header", 0, 0, kinds(ComPing, ComPing), pkt(1, okPlain) + "\x07\x00\x00", "COM_PING ends, seq 1", 3},
		{"part of an ERR", 0, 0, kinds(ComPing), pkt(1, errPlain)[:10], "", 10},
		{"part of a row", 0, 0, kinds(ComQuery), pkts(1, "\x01", def, eofPlain, row)[:38], "", 0},
		{"ERR of the server's own", 0, 0, kinds(ComPing), pkt(0, errPlain), "", 15},
		{"ERR of the server's own for the rows", eof, 0, kinds(ComStmtExecute), pkts(1, "\x01", def, binaryRow) + pkt(0, errPlain), "COM_STMT_EXECUTE ends without an end", 15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k Tracker
			k.SetCapabilities(tt.caps, tt.ext)
			for _, kind := range tt.kinds {
				k.Push(kind)
			}
			seen, rest := feed(&k, tt.stream)
			if got := strings.Join(seen, "; "); got != tt.want || rest != tt.rest {
				t.Errorf("saw %q, %d bytes left;\nwant %q, %d", got, rest, tt.want, tt.rest)
			}
			if k.Broken() {
				t.Error("broken")
			}
		})
	}
}

// Packets that cannot be where they are.
func TestTrackerBroken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		caps   Capabilities
		kinds  []Kind
		stream string
	}{
		{"sequence id of a command", 0, kinds(ComPing), pkt(0, okPlain)},
		{"sequence id skipped", 0, kinds(ComQuery), pkt(1, "\x01") + pkt(3, def)},
		{"sequence id skipped in the rows", ClientDeprecateEOF, kinds(ComQuery), pkts(1, "\x01", def, row) + pkt(5, row)},
		{"sequence id repeated", 0, kinds(ComQuery), pkts(1, okMore) + pkt(1, okPlain)},
		{"no packet", 0, kinds(ComQuery), pkt(1, "")},
		{"no OK", 0, kinds(ComPing), pkt(1, "")},
		{"a row for an OK", 0, kinds(ComInitDB), pkt(1, "\x01a")},
		{"OK cut short", 0, kinds(ComQuery), pkt(1, "\x00\x00\x00\x02")},
		{"OK without its counts", 0, kinds(ComQuery), pkt(1, "\x00\xfc")},
		{"EOF cut short", 0, kinds(ComQuery), pkts(1, "\x01", def, "\xfe")},
		{"EOF cut short behind rows", 0, kinds(ComQuery), pkts(1, "\x01", def, eofPlain, "\xfe\x00\x00\x02")},
		{"ERR cut short", 0, kinds(ComQuery), pkt(1, "\xff\x28")},
		{"ERR too long", 0, kinds(ComQuery), string(AppendHeader(nil, maxWhole+1, 1)) + errPlain},
		{"prepare's OK too long", 0, kinds(ComStmtPrepare), string(AppendHeader(nil, maxWhole+1, 1)) + prepare21},
		{"greeting too long", 0, []Kind{KindGreeting}, string(AppendHeader(nil, maxWhole+1, 0)) + "\x0a8.0\x00"},
		{"prepare's OK cut short", 0, kinds(ComStmtPrepare), pkt(1, prepare21[:11])},
		{"prepare's OK missing", 0, kinds(ComStmtPrepare), pkt(1, def)},
		{"prepare's EOF missing", 0, kinds(ComStmtPrepare), pkts(1, prepare21, def, def)},
		{"column count 0", 0, kinds(ComQuery), pkt(1, "\xfc\x00\x00")},
		{"column count 65536", 0, kinds(ComQuery), pkt(1, "\xfd\x00\x00\x01")},
		{"column count cut short", 0, kinds(ComQuery), pkt(1, "\xfc\x01")},
		{"EOF for a definition", 0, kinds(ComQuery), pkts(1, "\x02", def, eofPlain)},
		{"no definition", 0, kinds(ComQuery), pkts(1, "\x02", def, "")},
		{"row for the EOF", 0, kinds(ComQuery), pkts(1, "\x01", def, row)},
		{"no row", 0, kinds(ComQuery), pkts(1, "\x01", def, eofPlain, "")},
		{"row fetched is none", 0, kinds(ComStmtFetch), pkt(1, "")},
		{"fe in a result's place", 0, kinds(ComQuery), pkt(1, "\xfe12345678")},
		{"local file, then rows", 0, kinds(ComQuery), pkt(1, "\xfbx") + pkt(4, row)},
		{"local file, then none", 0, kinds(ComQuery), pkt(1, "\xfbx") + pkt(4, "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k Tracker
			k.SetCapabilities(tt.caps, 0)
			for _, kind := range tt.kinds {
				k.Push(kind)
			}
			seen, rest := feed(&k, tt.stream+pkt(1, okPlain))
			if !k.Broken() {
				t.Fatalf("not broken, saw %q", seen)
			}
			if n, events := k.Feed([]byte(pkt(1, okPlain)), nil); n != 0 || events != nil || rest == 0 {
				t.Errorf("goes on: %d, %v", n, events)
			}
			if _, ok := k.Unsolicited([]byte(pkt(0, errPlain))); ok {
				t.Error("reads an ERR from a broken stream")
			}
		})
	}
}

// Payloads of 16 MiB and more come in several packets, whose first bytes mean
// nothing.
func TestTrackerLargePackets(t *testing.T) {
	full := strings.Repeat("\xfe", MaxPayload)
	for _, caps := range []Capabilities{0, ClientDeprecateEOF} {
		front, back := []string{"\x01", def, eofPlain}, eofPlain
		if caps != 0 {
			front, back = front[:2], endPlain
		}
		for _, tt := range []struct {
			name string
			rows []string
		}{
			{"17 MB", []string{full, "\xff\x28\x04rest of it"}},
			{"beginning of an EOF", []string{full, eofPlain, row}},
			{"exactly 16 MiB less one", []string{full, "", row}},
			{"34 MB", []string{full, full, "x"}},
			{"two rows", []string{full, "", full, "x"}},
		} {
			stream := pkts(1, slices.Concat(front, tt.rows, []string{back})...) + pkt(1, okPlain)
			var k Tracker
			k.SetCapabilities(caps, 0)
			for _, kind := range kinds(ComQuery, ComPing) {
				k.Push(kind)
			}
			var ended []Kind
			for off, size := 0, 1; off < len(stream); size = size*3/2 + 1 {
				n, events := k.Feed([]byte(stream[off:min(off+size, len(stream))]), nil)
				off += n
				for _, e := range events {
					ended = append(ended, e.Kind)
				}
			}
			if !slices.Equal(ended, kinds(ComQuery, ComPing)) || k.Broken() {
				t.Errorf("capabilities %x, %s: ended %v, broken %v", caps, tt.name, ended, k.Broken())
			}
		}
	}
}

// Bytes of a body that nobody has can be skipped.
func TestTrackerSkip(t *testing.T) {
	var k Tracker
	k.SetCapabilities(ClientDeprecateEOF, 0)
	k.Push(Kind(ComQuery))
	if k.Skippable() != 0 {
		t.Error("skippable before the first byte")
	}
	head := pkts(1, "\x01", def) + string(AppendHeader(nil, 5000, 3)) + "x"
	if n, _ := k.Feed([]byte(head), nil); n != len(head) || k.Skippable() != 4999 {
		t.Fatalf("consumed %d of %d, %d can be skipped", n, len(head), k.Skippable())
	}
	if events := k.Skip(4998, nil); len(events) != 0 || k.Skippable() != 1 {
		t.Errorf("%v, %d can be skipped", events, k.Skippable())
	}
	k.Feed([]byte("x"), nil)
	k.Feed([]byte(pkt(4, endPlain+strings.Repeat("s", 100))[:50]), nil)
	if events := k.Skip(k.Skippable(), nil); len(events) != 1 || events[0].Type != End {
		t.Errorf("the end is not seen: %v", events)
	}
	defer func() {
		if recover() == nil {
			t.Error("needed bytes can be skipped")
		}
	}()
	k.Skip(1, nil)
}

func TestTrackerUnsolicited(t *testing.T) {
	const idle = "\xff\xbf\x0f#HY000The client was disconnected by the server because of inactivity"
	for _, tt := range []struct {
		name  string
		kinds []Kind
		b     string
		want  bool
	}{
		{"sequence id 0", nil, pkt(0, idle), true},
		{"sequence id 0, command pending", kinds(ComPing), pkt(0, idle), true},
		{"sequence id 1", nil, pkt(1, idle), true},
		{"sequence id 1, command pending", kinds(ComPing), pkt(1, idle), false},
		{"in the greeting's place", []Kind{KindGreeting}, pkt(0, idle), false},
		{"more behind it", nil, pkt(0, idle) + "x", true},
		{"cut short", nil, pkt(0, idle)[:30], false},
		{"header", nil, pkt(0, idle)[:3], false},
		{"OK", nil, pkt(0, okPlain), false},
		{"nothing", nil, "", false},
		{"no code", nil, pkt(0, "\xff\x01"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k Tracker
			for _, kind := range tt.kinds {
				k.Push(kind)
			}
			p, ok := k.Unsolicited([]byte(tt.b))
			if ok != tt.want || ok && string(p) != idle {
				t.Errorf("%q, %v", p, ok)
			}
		})
	}
	var k Tracker
	k.Push(Kind(ComQuery))
	k.Feed([]byte(pkts(1, "\x01")), nil)
	if _, ok := k.Unsolicited([]byte(pkt(2, idle))); ok {
		t.Error("within a response")
	}
}

// Many commands may be sent before the first is answered.
func TestTrackerPending(t *testing.T) {
	var k Tracker
	pushed, ended := 0, 0
	for _, burst := range []struct{ push, answer int }{{3, 3}, {15, 15}, {16, 1}, {500, 100}, {1, 400}, {20, 36}, {40, 38}, {2, 4}} {
		for range burst.push {
			k.Push(Kind(pushed % 200)) // the order is seen in the kinds
			for !Command(pushed % 200).HasResponse() {
				pushed++
				k.Push(Kind(pushed % 200))
			}
			pushed++
		}
		for range burst.answer {
			for !Command(ended % 200).HasResponse() {
				ended++
			}
			_, events := k.Feed([]byte(pkt(1, errPlain)), nil)
			if len(events) != 2 || events[1].Kind != Kind(ended%200) {
				t.Fatalf("saw %v, want the end of %v", events, Command(ended%200))
			}
			ended++
		}
	}
	if k.Pending() != 0 || k.kinds.rest != nil {
		t.Errorf("%d pending, %d behind", k.Pending(), cap(k.kinds.rest))
	}
}

func TestTrackerSize(t *testing.T) {
	if n := unsafe.Sizeof(Tracker{}); n > 64 {
		t.Errorf("a Tracker has %d bytes, want 64 at most: there is one per session", n)
	}
}

func TestTrackerDoesNotAllocate(t *testing.T) {
	stream := []byte(pkts(1, prepare21, def, eofPlain, def, def, eofPlain) +
		pkts(1, "\x02", def, def, eofPlain, binaryRow, binaryRow, eofPlain) + pkt(1, errPlain) + pkt(1, okPlain))
	commands := kinds(ComStmtPrepare, ComStmtExecute, ComQuery, ComStmtClose, ComPing)
	for _, depth := range []int{0, 100} { // commands always pending behind
		var k Tracker
		for range depth * 4 {
			for _, c := range commands {
				k.Push(c)
			}
		}
		var events []Event
		n := testing.AllocsPerRun(1000, func() {
			for _, c := range commands {
				k.Push(c)
			}
			for off := 0; off < len(stream); {
				var n int
				n, events = k.Feed(stream[off:min(off+40, len(stream))], events[:0])
				off += n
			}
		})
		if n != 0 || k.Broken() {
			t.Errorf("with %d pending: %v allocations, want 0; broken %v", depth, n, k.Broken())
		}
	}
}

func BenchmarkTrackerPoint(b *testing.B) {
	stream := []byte(pkts(1, "\x02", def, def, eofPlain, row, eofPlain))
	var k Tracker
	var events []Event
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		k.Push(Kind(ComQuery))
		_, events = k.Feed(stream, events[:0])
	}
}

func BenchmarkTrackerRows(b *testing.B) {
	r := pkts(1, slices.Repeat([]string{strings.Repeat("x", 100)}, 256)...)
	stream := []byte(r)
	var k Tracker
	k.SetCapabilities(ClientDeprecateEOF, 0)
	k.Push(Kind(ComQuery))
	k.Feed([]byte(pkt(255, "\x01")+pkt(0, def)), nil)
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		if n, _ := k.Feed(stream, nil); n != len(stream) {
			b.Fatal(fmt.Sprint("consumed ", n))
		}
	}
}
