package mysql

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A compressed packet of a recorded conversation, with its place.
type compressedPacket struct {
	CompressedHeader
	server  bool
	payload []byte // as on the wire
	plain   []byte
	turn    []byte // the turn that it begins in, from its header on

	sequences []uint8 // the ids of the packets whose headers end in it
}

// compression returns what the conversation's greeting and login put into
// effect.
func (c conversation) compression(tb testing.TB) Compression {
	tb.Helper()
	server, err := packets(c[0].bytes)
	if err != nil || len(c) < 2 {
		tb.Fatal("no greeting: ", err)
	}
	client, err := packets(c[1].bytes)
	if err != nil {
		tb.Fatal("no login: ", err)
	}
	g, err := ParseGreeting(server[0].payload)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := ParseLogin(client[0].payload)
	if err != nil {
		tb.Fatal(err)
	}
	return (g.Capabilities & l.Capabilities).Compression()
}

// loginTurns returns how many turns the login takes, the server's OK included:
// until then nothing is compressed.
func (c conversation) loginTurns(tb testing.TB) int {
	tb.Helper()
	for i, t := range c {
		if !t.server {
			continue
		}
		ps, err := packets(t.bytes)
		if err != nil {
			tb.Fatal("login: ", err)
		}
		if last := ps[len(ps)-1]; last.payload[0] == okHeader {
			return i + 1
		}
	}
	tb.Fatal("the login does not end")
	return 0
}

// decompress returns the conversation as it were without compression, and its
// compressed packets.
//
// Sequence ids are put right: with compression in effect the packets' own are
// what the compressed packets' ids left behind, and tell nothing. A client's
// packet that begins in a compressed packet of sequence id 0 is a command,
// unless it continues one of MaxPayload octets.
func (c conversation) decompress(tb testing.TB) (conversation, []compressedPacket) {
	tb.Helper()
	how, n := c.compression(tb), c.loginTurns(tb)
	plain := append(conversation(nil), c[:n]...)
	var all []compressedPacket
	var d Decompressor
	var rest [2][]byte // of a compressed packet that goes on in the side's next turn
	var missing [2]int // octets of a packet that goes on in the side's next compressed packet
	var header [2][]byte
	var continued bool
	var sequence uint8
	for _, t := range c[n:] {
		side := 0
		if t.server {
			side = 1
		}
		b := append(rest[side], t.bytes...)
		said := turn{server: t.server}
		for {
			h, ok := ParseCompressedHeader(b)
			if !ok || len(b) < CompressedHeaderSize+h.Length {
				break
			}
			payload := b[CompressedHeaderSize:][:h.Length]
			octets, err := d.Packet(how, h, payload)
			if err != nil {
				tb.Fatal(err)
			}
			p := compressedPacket{CompressedHeader: h, server: t.server, payload: payload, plain: append([]byte(nil), octets...), turn: b}
			for i := 0; i < len(p.plain); {
				if missing[side] > 0 {
					k := min(missing[side], len(p.plain)-i)
					said.bytes = append(said.bytes, p.plain[i:i+k]...)
					missing[side] -= k
					i += k
					continue
				}
				header[side] = append(header[side], p.plain[i])
				i++
				if len(header[side]) < HeaderSize {
					continue
				}
				inner, _ := ParseHeader(header[side])
				p.sequences = append(p.sequences, inner.Sequence)
				sequence++
				if !t.server && h.Sequence == 0 && !continued {
					sequence = 0
				}
				said.bytes = AppendHeader(said.bytes, inner.Length, sequence)
				if !t.server {
					if continued { // so that the response begins with 1, as ends expects
						sequence = 0
					}
					continued = inner.Length == MaxPayload
				}
				missing[side], header[side] = inner.Length, nil
			}
			all = append(all, p)
			b = b[CompressedHeaderSize+h.Length:]
		}
		rest[side] = append([]byte(nil), b...)
		plain = append(plain, said)
	}
	if len(rest[0])+len(rest[1])+missing[0]+missing[1]+len(header[0])+len(header[1]) > 0 {
		tb.Error("the conversation ends within a packet")
	}
	return plain, all
}

// describe returns what the golden files say of a compressed packet.
func (p compressedPacket) describe() string {
	who := "C"
	if p.server {
		who = "S"
	}
	how := "as they are"
	if p.Uncompressed != 0 {
		how = fmt.Sprintf("from %d, %x", p.Length, p.payload[:2])
	}
	if s := p.sequences; len(s) > 8 {
		return fmt.Sprintf("%s seq %d: %d octets %s, packets %d to %d", who, p.Sequence, len(p.plain), how, s[0], s[len(s)-1])
	}
	return fmt.Sprintf("%s seq %d: %d octets %s, packets %d", who, p.Sequence, len(p.plain), how, p.sequences)
}

// checkCompressed checks the framing of a compressed conversation and returns
// what is in it.
func (c conversation) checkCompressed(tb testing.TB) string {
	tb.Helper()
	plain, all := c.decompress(tb)
	var seen strings.Builder
	fmt.Fprintln(&seen, c.compression(tb))
	for _, p := range all {
		fmt.Fprintln(&seen, p.describe())
	}
	seen.WriteString(plain.check(tb))
	return seen.String()
}

// compressedConversations returns those of testdata/compressed by their names.
func compressedConversations(tb testing.TB) map[string]conversation {
	tb.Helper()
	files, err := filepath.Glob("testdata/compressed/*.bin")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no conversations in testdata/compressed (%v)", err)
	}
	all := make(map[string]conversation)
	for _, file := range files {
		c, err := readConversation(file)
		if err != nil {
			tb.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".bin")] = c
	}
	return all
}

// What real clients and servers said in compressed packets is, decompressed, a
// conversation like any other.
func TestCompressedConversations(t *testing.T) {
	for name, c := range compressedConversations(t) {
		t.Run(name, func(t *testing.T) {
			seen := c.checkCompressed(t)
			file := filepath.Join("testdata", "compressed", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(seen), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if seen != string(want) {
				t.Errorf("saw\n%swant\n%s", seen, want)
			}
		})
	}
}

// Head finds the answer to a PREPARE in every segment that begins with one,
// though the segment may end within it.
func TestHeadOfConversations(t *testing.T) {
	const n = HeaderSize + 12 // a packet with a PREPARE's OK
	var d Decompressor
	for name, c := range compressedConversations(t) {
		how := c.compression(t)
		_, all := c.decompress(t)
		found := 0
		for _, p := range all {
			if !p.server || len(p.plain) < n {
				continue
			}
			if got := d.Head(how, p.turn, n); string(got) != string(p.plain[:n]) {
				t.Errorf("%s: head %x of a packet of %d octets, want %x", name, got, p.Uncompressed, p.plain[:n])
			}
			found++
			if how == CompressionZstd || p.Uncompressed == 0 {
				continue // read whole or not at all
			}
			// A beginning gives the right octets or none, and a segment of the
			// common size gives them.
			for cut := range min(len(p.turn), 1460) {
				if got := d.Head(how, p.turn[:cut], n); got != nil && string(got) != string(p.plain[:n]) {
					t.Errorf("%s: head %x of the first %d octets, want %x", name, got, cut, p.plain[:n])
				}
			}
			if cut := min(len(p.turn), 1460-40); d.Head(how, p.turn[:cut], n) == nil {
				t.Errorf("%s: no head in the first %d octets", name, cut)
			}
		}
		if found == 0 {
			t.Errorf("%s: no response of %d octets: the test proves less than it should", name, n)
		}
	}
}
