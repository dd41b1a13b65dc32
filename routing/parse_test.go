package routing

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParsePeers(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the lines below are of a little-endian machine")
	}
	const list = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0CEA 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 21385 1 0 100 0 0 10 0
   1: 0000000000000000FFFF00000300A8C0:0CEA 0000000000000000FFFF00000700A8C0:8F1A 01 00000000:00000000 02:000A5C1B 00000000   106        0 21386 1
   2: 00000000000000000000000001000000:0CEA 00000000000000000000000001000000:8F1C 01 00000000:00000000 02:000A5C1B 00000000   106        0 21387 1
   3: 0000000000000000FFFF00000300A8C0:0CEB 0000000000000000FFFF00000800A8C0:8F1A 01 00000000:00000000 02:000A5C1B 00000000   106        0 21388 1
   4: 0000000000000000FFFF00000300A8C0:0CEA 0000000000000000FFFF00000900A8C0:8F1A 06 00000000:00000000 02:000A5C1B 00000000   106        0 21389 1
   5: 0300A8C0:0CEA 0A00A8C0:8F1A 01 00000000:00000000
`
	got, err := parsePeers([]byte(list), 3306, nil)
	want := []netip.Addr{netip.MustParseAddr("192.168.0.7"), netip.MustParseAddr("::1"), netip.MustParseAddr("192.168.0.10")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
	for _, bad := range []string{"\nx\n", "\n0: 0A:0CEA 0300A8C0:0CEA 01\n", "\n0: 0300A8C0:0CEA 0300A8C0:CEA 01\n", "\n0: 0300A8C0:0CEA 0300A8C0:0CEA 1F1\n"} {
		if got, err := parsePeers([]byte(bad), 3306, nil); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

func FuzzParsePeers(f *testing.F) {
	f.Add([]byte("titles\n   0: 0300A8C0:0CEA 0A00A8C0:8F1A 01 00000000:00000000\n"))
	f.Add([]byte("titles\n   1: 0000000000000000FFFF00000300A8C0:0CEA 0000000000000000FFFF00000700A8C0:8F1A 01\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		peers, err := parsePeers(b, 3306, nil)
		if err == nil && len(peers) > bytes.Count(bytes.ToUpper(b), []byte(":0CEA ")) {
			t.Errorf("more peers than lines with the port: %v", peers)
		}
		for _, p := range peers {
			if !p.IsValid() || p.Is4In6() {
				t.Errorf("peer %v", p)
			}
		}
	})
}

// Attributes come out as they went in, and nothing is read outside of them.
func FuzzParseAttributes(f *testing.F) {
	f.Add(appendAttribute(appendAttribute(nil, unix.FRA_PRIORITY, []byte{1, 2, 3, 4}), unix.FRA_IIFNAME, []byte("eth0\x00")))
	f.Add([]byte{3, 0, 0, 0})
	f.Add([]byte{255, 255, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs, err := parseAttributes(b)
		if err != nil {
			return
		}
		var again []byte
		for _, a := range attrs {
			again = appendAttribute(again, a.kind, a.value)
			if n := a.number(); n != 0 && len(a.value) > 4 || len(a.text()) > len(a.value) {
				t.Errorf("attribute %v: number %d, text %q", a, n, a.text())
			}
		}
		if len(again) != align(len(b)) { // the last one need not be padded
			t.Errorf("%x became %x", b, again)
		}
	})
}

func FuzzParseMessages(f *testing.F) {
	message := func(kind, flags uint16, body []byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = binary.NativeEndian.AppendUint16(b, flags)
		return append(append(b, make([]byte, 8)...), body...)
	}
	f.Add(message(unix.NLMSG_DONE, unix.NLM_F_MULTI, make([]byte, 4)))
	f.Add(message(unix.NLMSG_ERROR, 0, []byte{0xff, 0xff, 0xff, 0xff}))
	f.Add(append(message(unix.RTM_NEWRULE, unix.NLM_F_MULTI, make([]byte, 12)), message(unix.NLMSG_DONE, unix.NLM_F_MULTI, nil)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		bodies, _, _ := parseMessages(b, nil)
		total := 0
		for _, m := range bodies {
			total += unix.SizeofNlMsghdr + len(m)
			// What is in them is anything, too.
			if r, err := parseRule(m); err == nil && (r.from.IsValid() && r.from.Bits() < 0 || r.to.IsValid() && r.to.Bits() < 0) {
				t.Errorf("rule %+v", r)
			}
			if e, err := parseRoute(m); err == nil && e.bits != m[1] {
				t.Errorf("route %+v", e)
			}
			if l, err := parseLink(m); err == nil && len(l.kind) > len(m) {
				t.Errorf("link %+v", l)
			}
		}
		if total > len(b) {
			t.Errorf("%d octets hold messages of %d", len(b), total)
		}
	})
}

func FuzzParseRule(f *testing.F) {
	header := []byte{unix.AF_INET, 24, 32, 0, unix.RT_TABLE_MAIN, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0}
	with := func(attrs ...attribute) []byte {
		b := slices.Clone(header)
		for _, a := range attrs {
			b = appendAttribute(b, a.kind, a.value)
		}
		return b
	}
	f.Add(with(attribute{unix.FRA_SRC, []byte{10, 0, 0, 3}}, attribute{unix.FRA_DST, []byte{10, 0, 9, 0}}, attribute{unix.FRA_IP_PROTO, []byte{6}}))
	f.Add(with(attribute{unix.FRA_SPORT_RANGE, []byte{0xea, 0x0c, 0xea, 0x0c}}, attribute{fraSportMask, []byte{0xff, 0xff}}))
	f.Add(with(attribute{unix.FRA_FWMARK, []byte{1, 0, 0, 0}}, attribute{unix.FRA_IIFNAME, []byte("eth0\x00")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRule(b)
		if err != nil {
			return
		}
		// A rule that surely applies may apply, and has nothing we do not know.
		a := netip.MustParseAddr("10.0.0.3")
		may, surely := r.mayCatch("eth0", a, 3306)
		if surely && (!may || r.narrower || r.to.IsValid()) {
			t.Errorf("%+v: may %t, surely %t", r, may, surely)
		}
		if !may && r.iif == "" && !r.from.IsValid() && r.high == 0 {
			t.Errorf("%+v applies to all", r)
		}
		if r.add().String() == "" {
			t.Errorf("%+v has no command", r)
		}
	})
}

func FuzzParseSaved(f *testing.F) {
	f.Add([]byte(`{"net/ipv4/conf/eth0/rp_filter":{"was":"1","set":"2","users":["target IPv4 3306"]}}`))
	f.Add([]byte(`{"../../etc/passwd":{"was":"1","set":"2"}}`))
	f.Add([]byte(`{"net/../kernel/panic":{"was":"1","set":"2"}}`))
	f.Add([]byte(`{"net/x":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseSaved("file", b)
		if err != nil {
			return
		}
		for k := range all {
			if !strings.HasPrefix(filepath.Join("/proc/sys", k), "/proc/sys/net/") {
				t.Errorf("key %q", k)
			}
		}
		for _, s := range all.of("target IPv4 3306") {
			if !all.sets(s) {
				t.Errorf("%v is not in %v", s, all)
			}
		}
	})
}
