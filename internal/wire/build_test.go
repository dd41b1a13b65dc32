package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"mrtecopy/internal/seq"
)

var writtenOptions = []Options{
	{},
	{MSS: 1460},
	{MSS: 1460, SACKPermitted: true, HasWScale: true, WScale: 9},
	{HasWScale: true},
	{SACKPermitted: true},
	{NSACK: 1, SACK: [3]Block{{1, 2}}},
	{NSACK: 3, SACK: [3]Block{{0xfffffff0, 2}, {5, 6}, {0x80000000, 0x80000001}}},
	{MSS: 1, SACKPermitted: true, HasWScale: true, WScale: 14, NSACK: 3, SACK: [3]Block{{1, 2}, {3, 4}, {5, 6}}}, // all 40 octets
}

// TestAppendWritesWhatOthersRead has gopacket read what Append wrote, and write
// it again: with its checksums every octet must be the same.
func TestAppendWritesWhatOthersRead(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 2, 3, 7, 8, 9, 100, 1459, 1460, 40000}
	for i, flow := range []Flow{{client4, server4}, {server4, client4}, {client6, server6}, {server6, client6}} {
		for _, o := range writtenOptions {
			for _, size := range sizes {
				s := Segment{
					Flow: flow, Seq: seq.Num(rnd.Uint32()), Ack: seq.Num(rnd.Uint32()),
					Flags: Flags(rnd.Uint32()), Window: uint16(rnd.Uint32()), Options: o, Payload: make([]byte, size),
				}
				for j := range s.Payload {
					s.Payload[j] = byte(rnd.Uint32())
				}
				if i%2 == 0 { // sums that carry far
					for j := range s.Payload {
						s.Payload[j] |= 0xfe
					}
				}
				before := []byte("what was there")
				b := s.Append(before)[len(before):]
				if len(b) != s.HeaderSize()+size {
					t.Fatalf("%d octets, want %d", len(b), s.HeaderSize()+size)
				}
				checkAgainstGopacket(t, &s, b)

				var again Segment
				if !Parse(b, len(b), &again) {
					t.Fatalf("not parsed: %x", b)
				}
				checkSegment(t, again, s)
			}
		}
	}
}

func checkAgainstGopacket(t *testing.T, s *Segment, b []byte) {
	t.Helper()
	first := gopacket.Decoder(layers.LayerTypeIPv6)
	if s.Dst.Addr.Is4() {
		first = layers.LayerTypeIPv4
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("%v: %x", e.Error(), b)
	}
	tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		t.Fatalf("no TCP in %v", p)
	}
	flags := tcp.FIN == s.Flags.Has(FIN) && tcp.SYN == s.Flags.Has(SYN) && tcp.RST == s.Flags.Has(RST) && tcp.PSH == s.Flags.Has(PSH) &&
		tcp.ACK == s.Flags.Has(ACK) && tcp.URG == s.Flags.Has(URG) && tcp.ECE == s.Flags.Has(ECE) && tcp.CWR == s.Flags.Has(CWR)
	if tcp.Seq != uint32(s.Seq) || tcp.Ack != uint32(s.Ack) || tcp.Window != s.Window || !flags ||
		uint16(tcp.SrcPort) != s.Src.Port || uint16(tcp.DstPort) != s.Dst.Port || !bytes.Equal(tcp.Payload, s.Payload) {
		t.Errorf("gopacket reads %+v, written was %+v", tcp, s)
	}
	var options Options
	for _, o := range tcp.Options {
		switch o.OptionType {
		case layers.TCPOptionKindMSS:
			options.MSS = binary.BigEndian.Uint16(o.OptionData)
		case layers.TCPOptionKindWindowScale:
			options.HasWScale, options.WScale = true, o.OptionData[0]
		case layers.TCPOptionKindSACKPermitted:
			options.SACKPermitted = true
		case layers.TCPOptionKindSACK:
			for d := o.OptionData; len(d) > 0; d = d[8:] {
				options.SACK[options.NSACK] = Block{seq.Num(binary.BigEndian.Uint32(d)), seq.Num(binary.BigEndian.Uint32(d[4:]))}
				options.NSACK++
			}
		}
	}
	if options != s.Options {
		t.Errorf("gopacket reads options %+v, written were %+v", options, s.Options)
	}

	var again []byte
	if s.Dst.Addr.Is4() {
		ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if ip.Flags != layers.IPv4DontFragment || ip.FragOffset != 0 || ip.TTL != 64 {
			t.Errorf("%+v", ip)
		}
		tcp.SetNetworkLayerForChecksum(ip)
		again = serialize(t, ip, tcp, gopacket.Payload(s.Payload))
	} else {
		ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		if ip.HopLimit != 64 || ip.FlowLabel != 0 {
			t.Errorf("%+v", ip)
		}
		tcp.SetNetworkLayerForChecksum(ip)
		again = serialize(t, ip, tcp, gopacket.Payload(s.Payload))
	}
	if !bytes.Equal(b, again) {
		t.Errorf("written was  %x\ngopacket has %x", b[:s.HeaderSize()], again[:s.HeaderSize()])
	}
}

// TestSumIsThatOfRFC1071 at every length and with every octet set, where each
// addition carries.
func TestSumIsThatOfRFC1071(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range 200 {
		b := make([]byte, n)
		for _, fill := range []func() byte{
			func() byte { return 0 }, func() byte { return 0xff }, func() byte { return byte(rnd.Uint32()) },
		} {
			for i := range b {
				b[i] = fill()
			}
			for _, start := range []uint64{0, 1, 0xffff, 6 + 0xffff} {
				want := uint32(start)
				for i, c := range b {
					want += uint32(c) << (8 * (1 - i%2))
					want = want>>16 + want&0xffff
				}
				want = want>>16 + want&0xffff
				if got := uint32(^fold(sum(b, start))); got%0xffff != want%0xffff { // 0xffff is another 0
					t.Fatalf("%d octets from %#x: %#x, want %#x", n, start, got, want)
				}
			}
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	s4 := Segment{Flow: Flow{client4, server4}, Flags: ACK, Options: writtenOptions[6], Payload: make([]byte, 1000)}
	s6 := Segment{Flow: Flow{client6, server6}, Flags: SYN, Options: writtenOptions[2]}
	b := make([]byte, 0, 1500)
	n := testing.AllocsPerRun(1000, func() {
		b = s4.Append(b[:0])
		b = s6.Append(b[:0])
	})
	if n != 0 {
		t.Errorf("writing two packets allocates %v times, want 0", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := Segment{Flow: Flow{client4, server4}, Flags: ACK, Payload: make([]byte, 200)}
	buf := make([]byte, 0, 1500)
	for b.Loop() {
		buf = s.Append(buf[:0])
	}
}

func BenchmarkParse(b *testing.B) {
	s := Segment{Flow: Flow{client4, server4}, Flags: ACK, Payload: make([]byte, 200)}
	p := s.Append(nil)
	for b.Loop() {
		Parse(p, len(p), &s)
	}
}
