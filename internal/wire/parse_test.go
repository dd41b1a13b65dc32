package wire

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var (
	client4 = EndpointFrom(netip.MustParseAddrPort("192.0.2.7:40000"))
	server4 = EndpointFrom(netip.MustParseAddrPort("10.1.0.2:3306"))
	client6 = EndpointFrom(netip.MustParseAddrPort("[2001:db8::7]:40000"))
	server6 = EndpointFrom(netip.MustParseAddrPort("[fd01::2]:3306"))
)

// serialize makes a packet by other people's code.
func serialize(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, opts, ls...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b.Bytes())
}

// packet4 and packet6 make a packet from client to server.
func packet4(t testing.TB, ipOptions []layers.IPv4Option, tcp *layers.TCP, payload []byte) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 9, Id: 7, TOS: 8, Protocol: layers.IPProtocolTCP, Options: ipOptions,
		SrcIP: net.IP(client4.Addr[12:]), DstIP: net.IP(server4.Addr[12:])}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, tcp, gopacket.Payload(payload))
}

func packet6(t testing.TB, tcp *layers.TCP, payload []byte) []byte {
	t.Helper()
	ip := &layers.IPv6{Version: 6, HopLimit: 9, FlowLabel: 7, TrafficClass: 8, NextHeader: layers.IPProtocolTCP,
		SrcIP: net.IP(client6.Addr[:]), DstIP: net.IP(server6.Addr[:])}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, ip, tcp, gopacket.Payload(payload))
}

func option(kind layers.TCPOptionKind, data ...byte) layers.TCPOption {
	return layers.TCPOption{OptionType: kind, OptionLength: uint8(2 + len(data)), OptionData: data}
}

var optionSamples = []struct {
	name    string
	options []layers.TCPOption
	want    Options
}{
	{"none", nil, Options{}},
	{"a SYN of Linux", []layers.TCPOption{
		option(layers.TCPOptionKindMSS, 0x05, 0xb4),
		option(layers.TCPOptionKindSACKPermitted),
		option(layers.TCPOptionKindTimestamps, 1, 2, 3, 4, 5, 6, 7, 8),
		{OptionType: layers.TCPOptionKindNop},
		option(layers.TCPOptionKindWindowScale, 7),
	}, Options{MSS: 1460, SACKPermitted: true, WScale: 7, HasWScale: true}},
	{"a shift count of 0 is not none", []layers.TCPOption{option(layers.TCPOptionKindWindowScale, 0)}, Options{HasWScale: true}},
	{"a shift count beyond 14", []layers.TCPOption{option(layers.TCPOptionKindWindowScale, 15)}, Options{WScale: 14, HasWScale: true}},
	{"SACK, two blocks", []layers.TCPOption{
		option(layers.TCPOptionKindSACK, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5),
	}, Options{NSACK: 2, SACK: [3]Block{{1, 2}, {0xffffffff, 5}}}},
	{"SACK, four blocks", []layers.TCPOption{
		option(layers.TCPOptionKindSACK, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8),
	}, Options{NSACK: 3, SACK: [3]Block{{1, 2}, {3, 4}, {5, 6}}}},
	{"SACK, half a block", []layers.TCPOption{option(layers.TCPOptionKindSACK, 0, 0, 0, 1)}, Options{}},
	{"an unknown option is stepped over", []layers.TCPOption{option(253, 1, 2, 3), option(layers.TCPOptionKindMSS, 1, 0)}, Options{MSS: 256}},
	{"what follows the end is nothing", []layers.TCPOption{
		{OptionType: layers.TCPOptionKindEndList}, option(layers.TCPOptionKindMSS, 1, 0),
	}, Options{}},
	{"MSS of a wrong length", []layers.TCPOption{option(layers.TCPOptionKindMSS, 1), option(layers.TCPOptionKindSACKPermitted)}, Options{SACKPermitted: true}},
	{"length 0", []layers.TCPOption{
		option(layers.TCPOptionKindMSS, 1, 0), {OptionType: 253, OptionLength: 0, OptionData: []byte{0}},
	}, Options{MSS: 256}},
	{"length beyond the header", []layers.TCPOption{
		option(layers.TCPOptionKindMSS, 1, 0), {OptionType: 253, OptionLength: 200, OptionData: []byte{1, 1}},
	}, Options{MSS: 256}},
}

// TestParseReadsWhatOthersWrite reads packets made by gopacket.
func TestParseReadsWhatOthersWrite(t *testing.T) {
	ipOptions := []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}
	for _, tt := range optionSamples {
		t.Run(tt.name, func(t *testing.T) {
			for _, payload := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("abc"), 20000)} {
				tcp := &layers.TCP{
					SrcPort: 40000, DstPort: 3306, Seq: 0xfffffffe, Ack: 0x80000001,
					Window: 0xfedc, Urgent: 9, PSH: true, ACK: true, ECE: true, Options: tt.options,
				}
				want := Segment{Seq: 0xfffffffe, Ack: 0x80000001, Flags: PSH | ACK | ECE, Window: 0xfedc, Options: tt.want, Payload: payload}
				packets := []struct {
					b    []byte
					flow Flow
				}{
					{rawOptions(packet4(t, nil, tcp, payload), 20, tt.options), Flow{client4, server4}},
					{rawOptions(packet4(t, ipOptions, tcp, payload), 24, tt.options), Flow{client4, server4}},
					{rawOptions(packet6(t, tcp, payload), 40, tt.options), Flow{client6, server6}},
				}
				for _, p := range packets {
					want.Flow = p.flow
					got := dirty
					if !Parse(p.b, len(p.b), &got) {
						t.Fatalf("not parsed: %x", p.b)
					}
					checkSegment(t, got, want)

					// Ethernet padding.
					if padded := append(bytes.Clone(p.b), 1, 2, 3); !Parse(padded, len(padded), &got) {
						t.Fatal("not parsed with padding")
					}
					checkSegment(t, got, want)
				}
			}
		})
	}
}

// rawOptions writes the lengths of malformed options into a packet; gopacket puts
// the right ones, or refuses.
func rawOptions(b []byte, tcp int, options []layers.TCPOption) []byte {
	at := tcp + 20
	for _, o := range options {
		if o.OptionType == layers.TCPOptionKindNop || o.OptionType == layers.TCPOptionKindEndList {
			at++
			continue
		}
		b[at+1] = o.OptionLength
		at += 2 + len(o.OptionData)
	}
	return b
}

// dirty is a Segment every field of which Parse has to set.
var dirty = Segment{
	Flow: Flow{client6, client6}, Seq: 1, Ack: 2, Flags: 0xff, Window: 3, Missing: 99, Payload: []byte("old"),
	Options: Options{MSS: 1, WScale: 2, HasWScale: true, SACKPermitted: true, NSACK: 3, SACK: [3]Block{{1, 2}, {3, 4}, {5, 6}}},
}

func checkSegment(t *testing.T, got, want Segment) {
	t.Helper()
	if !bytes.Equal(got.Payload, want.Payload) {
		t.Errorf("payload of %d octets differs from the %d wanted", len(got.Payload), len(want.Payload))
	}
	got.Payload, want.Payload = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestACutCaptureSaysWhatIsMissing: the wire's length counts, not the capture's.
func TestACutCaptureSaysWhatIsMissing(t *testing.T) {
	payload := []byte("0123456789")
	for _, b := range [][]byte{
		packet4(t, nil, &layers.TCP{SYN: true, FIN: true}, payload),
		packet6(t, &layers.TCP{SYN: true, FIN: true}, payload),
	} {
		header := len(b) - len(payload)
		for n := range len(b) + 1 {
			var s Segment
			ok := Parse(b[:n], len(b), &s)
			if ok != (n >= header) {
				t.Fatalf("%d octets of %d: parsed %v", n, len(b), ok)
			}
			if !ok {
				continue
			}
			if string(s.Payload) != string(payload[:n-header]) || s.Missing != len(b)-n || s.Len() != len(payload)+2 {
				t.Errorf("%d octets of %d: payload %q, %d missing, SEG.LEN %d", n, len(b), s.Payload, s.Missing, s.Len())
			}
			if s.End() != s.Seq.Add(len(payload)+2) {
				t.Errorf("ends at %d", s.End())
			}
			if cap(s.Payload) != len(s.Payload) {
				t.Error("appending to the payload would write into the frame")
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tcp := func() *layers.TCP { return &layers.TCP{SrcPort: 1, DstPort: 2} }
	v4 := func() []byte { return packet4(t, nil, tcp(), []byte("abc")) }
	v6 := func() []byte { return packet6(t, tcp(), []byte("abc")) }
	// with puts values at offsets.
	with := func(b []byte, at int, v ...byte) []byte { copy(b[at:], v); return b }
	tests := []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"version 5", with(v4(), 0, 0x55)},
		{"IPv4, header of 16 octets", with(v4(), 0, 0x44)},
		{"IPv4, header longer than the packet", with(v4(), 0, 0x4f)},
		{"IPv4, longer than the wire", with(v4(), 2, 0, 44)},
		{"IPv4, shorter than its header", with(v4(), 2, 0, 19)},
		{"IPv4, shorter than the TCP header", with(v4(), 2, 0, 39)},
		{"IPv4, UDP", with(v4(), 9, 17)},
		{"IPv4, first fragment", with(v4(), 6, 0x20, 0)},
		{"IPv4, a later fragment", with(v4(), 6, 0, 1)},
		{"IPv4, TCP header of 16 octets", with(v4(), 32, 0x40)},
		{"IPv4, TCP header longer than the packet", with(v4(), 32, 0x60)},
		{"IPv6, longer than the wire", with(v6(), 4, 0, 24)},
		{"IPv6, shorter than the TCP header", with(v6(), 4, 0, 19)},
		{"IPv6, UDP", with(v6(), 6, 17)},
		{"IPv6, fragment", with(v6(), 6, 44)},
		{"IPv6, no next header", with(v6(), 6, 59)},
		{"IPv6, extension longer than the packet", with(v6(), 6, 60, 9, 6, 200)},
		{"IPv6, TCP header of 16 octets", with(v6(), 52, 0x40)},
		{"IPv6, from a mapped address", with(v6(), 8, server4.Addr[:]...)},
		{"IPv6, to a mapped address", with(v6(), 24, server4.Addr[:]...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Segment
			if Parse(tt.b, len(tt.b), &s) {
				t.Errorf("parsed %x as %+v", tt.b, s)
			}
		})
	}
}

// TestExtensionHeadersAreSteppedOver, up to seven.
func TestExtensionHeadersAreSteppedOver(t *testing.T) {
	plain := packet6(t, &layers.TCP{SrcPort: 40000, DstPort: 3306}, []byte("abc"))
	kinds := []byte{0, 43, 60}
	for n := range 10 {
		next, rest := byte(protoTCP), plain[ipv6Header:]
		for i := range n { // from the last to the first
			h := make([]byte, 8+8*(i%3))
			h[0], h[1] = next, byte(i%3)
			next, rest = kinds[i%3], append(h, rest...)
		}
		b := append(bytes.Clone(plain[:ipv6Header]), rest...)
		b[6] = next
		binary.BigEndian.PutUint16(b[4:], uint16(len(rest)))
		var s Segment
		if ok := Parse(b, len(b), &s); ok != (n < 8) {
			t.Errorf("%d extension headers: parsed %v", n, ok)
		} else if ok && (string(s.Payload) != "abc" || s.Dst != server6) {
			t.Errorf("%d extension headers: %+v", n, s)
		}
	}
}

// TestPacketsBeyond64KiB have no length in their header; the capture's counts.
func TestPacketsBeyond64KiB(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 10000)
	b4 := append(packet4(t, nil, &layers.TCP{}, nil), payload...)
	b4[2], b4[3] = 0, 0
	b6 := append(packet6(t, &layers.TCP{}, nil), payload...)
	b6[4], b6[5] = 0, 0
	for _, b := range [][]byte{b4, b6} {
		var s Segment
		if !Parse(b, len(b), &s) || !bytes.Equal(s.Payload, payload) {
			t.Errorf("%d octets of payload, want %d", len(s.Payload), len(payload))
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	b4 := packet4(t, nil, &layers.TCP{Options: optionSamples[1].options}, []byte("abc"))
	b6 := packet6(t, &layers.TCP{Options: optionSamples[4].options}, []byte("abc"))
	var s Segment
	ok := true
	n := testing.AllocsPerRun(1000, func() {
		ok = ok && Parse(b4, len(b4), &s) && Parse(b6, len(b6), &s)
	})
	if n != 0 || !ok {
		t.Errorf("parsing two packets allocates %v times, want 0", n)
	}
}

// FuzzParse holds a parsed segment against the packet it came from, and against
// what is parsed from the packet written from it.
func FuzzParse(f *testing.F) {
	for _, tt := range optionSamples {
		f.Add(rawOptions(packet4(f, nil, &layers.TCP{Options: tt.options}, []byte("abc")), 20, tt.options), uint16(0))
		f.Add(rawOptions(packet6(f, &layers.TCP{Options: tt.options}, []byte("abc")), 40, tt.options), uint16(9))
	}
	f.Fuzz(func(t *testing.T, b []byte, more uint16) {
		size := len(b) + int(more)
		s := dirty
		if !Parse(b, size, &s) {
			return
		}
		header := len(b) - len(s.Payload)
		if len(s.Payload) > 0 && !bytes.Contains(b, s.Payload) || header < 40 {
			t.Fatalf("payload %x is not of %x", s.Payload, b)
		}
		if s.Missing < 0 || len(s.Payload)+s.Missing > size-40 {
			t.Fatalf("%d octets and %d missing, of a packet of %d", len(s.Payload), s.Missing, size)
		}
		if int(s.Options.NSACK) > len(s.Options.SACK) || s.Options.WScale > MaxWScale || s.Options.Size() > 40 {
			t.Fatalf("impossible options %+v", s.Options)
		}
		// What is cut off at the end is missing, and nothing else changes.
		if n := len(s.Payload); n > 0 {
			var cut Segment
			end := len(b) - trailer(b, s) - 1
			if !Parse(b[:end], size, &cut) || len(cut.Payload) != n-1 || cut.Missing != s.Missing+1 {
				t.Fatalf("cut by one octet: %d and %d missing; whole: %d and %d missing", len(cut.Payload), cut.Missing, n, s.Missing)
			}
		}
		if s.HeaderSize()+len(s.Payload) > 0xffff {
			return
		}
		again := dirty
		w := s.Append(nil)
		if !Parse(w, len(w), &again) {
			t.Fatalf("what was written is not parsed: %x", w)
		}
		s.Missing = 0
		checkSegment(t, again, s)
	})
}

// trailer returns the octets of b behind the payload of s, a view into b.
func trailer(b []byte, s Segment) int {
	for n := range len(b) {
		end := len(b) - n
		if &b[end-1] == &s.Payload[len(s.Payload)-1] {
			return n
		}
	}
	panic("wire: the payload is not of the packet")
}

// TestFlags names them in the order of the header's bits.
func TestFlags(t *testing.T) {
	for f, want := range map[Flags]string{0: "-", SYN: "S", SYN | ACK: "SA", FIN | PSH | ACK: "FPA", RST: "R", 0xff: "FSRPAUEC"} {
		if got := f.String(); got != want {
			t.Errorf("%08b is called %q, want %q", f, got, want)
		}
	}
	if !(SYN | ACK).Has(SYN) || (SYN).Has(SYN|ACK) {
		t.Error("Has asks for any, not all")
	}
}

func TestEndpoints(t *testing.T) {
	for _, text := range []string{"192.0.2.7:40000", "[2001:db8::7]:3306"} {
		ap := netip.MustParseAddrPort(text)
		e := EndpointFrom(ap)
		if e.AddrPort() != ap || e.String() != text || e.Addr.Is4() != ap.Addr().Is4() {
			t.Errorf("%v became %v", ap, e)
		}
	}
	mapped := AddrFrom(netip.MustParseAddr("::ffff:192.0.2.7"))
	if mapped != client4.Addr || mapped.String() != "192.0.2.7" {
		t.Errorf("%v", mapped)
	}
	if zoned := AddrFrom(netip.MustParseAddr("fe80::1%eth0")); zoned != AddrFrom(netip.MustParseAddr("fe80::1")) {
		t.Errorf("%v", zoned)
	}
	f := Flow{client4, server4}
	if f.Reverse() != (Flow{server4, client4}) || f.String() != "192.0.2.7:40000>10.1.0.2:3306" {
		t.Errorf("%v", f)
	}
}
