//go:build linux

package capture

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mrtecopy/internal/mysql"
)

// run runs a filter on an outgoing IP packet, as the kernel does, and counts the
// instructions. It knows those that filters here consist of.
func run(tb testing.TB, filter []bpf.RawInstruction, packet []byte) (passed bool, steps int) {
	tb.Helper()
	var a, x uint32
	var scratch [16]uint32
	for pc := 0; ; pc++ {
		steps++
		switch i := filter[pc].Disassemble().(type) {
		case bpf.RetConstant:
			return i.Val != 0, steps
		case bpf.LoadConstant:
			x = i.Val // those here load X
		case bpf.LoadExtension:
			a = map[bpf.Extension]uint32{bpf.ExtProto: unix.ETH_P_IP, bpf.ExtType: unix.PACKET_OUTGOING}[i.Num]
		case bpf.LoadIndirect:
			at := int(x) + int(i.Off)
			if at+i.Size > len(packet) {
				return false, steps
			}
			a = 0
			for _, b := range packet[at : at+i.Size] {
				a = a<<8 | uint32(b)
			}
		case bpf.LoadScratch:
			x = scratch[i.N] // likewise
		case bpf.StoreScratch:
			scratch[i.N] = x
		case bpf.TAX:
			x = a
		case bpf.TXA:
			a = x
		case bpf.ALUOpX: // ALUOpAdd
			a += x
		case bpf.ALUOpConstant:
			switch i.Op {
			case bpf.ALUOpAdd:
				a += i.Val
			case bpf.ALUOpAnd:
				a &= i.Val
			case bpf.ALUOpShiftLeft:
				a <<= i.Val
			case bpf.ALUOpShiftRight:
				a >>= i.Val
			default:
				tb.Fatalf("ALU operation %v", i.Op)
			}
		case bpf.Jump:
			pc += int(i.Skip)
		case bpf.JumpIf:
			var holds bool
			switch i.Cond {
			case bpf.JumpEqual:
				holds = a == i.Val
			case bpf.JumpNotEqual:
				holds = a != i.Val
			case bpf.JumpBitsSet:
				holds = a&i.Val != 0
			case bpf.JumpBitsNotSet:
				holds = a&i.Val == 0
			default:
				tb.Fatalf("condition %v", i.Cond)
			}
			if holds {
				pc += int(i.SkipTrue)
			} else {
				pc += int(i.SkipFalse)
			}
		default:
			tb.Fatalf("instruction %v", i)
		}
	}
}

// A production server's packets cost what they must: the bounds are what they
// cost today.
func TestFilterCost(t *testing.T) {
	filter := must(ServerFilter(serverAddrs[:1], 3306))
	noisy := strings.Repeat("\x9d\x31\xfe\x52\xa7", 290)
	for _, c := range []struct {
		name   string
		sample sample
		want   int // instructions
	}{
		{"to the server", sample{src: client4, dst: server4, payload: "query"}, 24},
		{"of another port", sample{src: "10.1.0.2:22", dst: "10.9.9.9:22"}, 23},
		{"from the server, ACK", sample{src: server4, dst: client4, tcpOptions: 12}, 30},
		{"from the server, within a result", sample{src: server4, dst: client4, tcpOptions: 12, payload: noisy}, 32},
		{"from the server, within a result of text", sample{src: server4, dst: client4, tcpOptions: 12, payload: "some text, and more of it"}, 32},
		{"from the server, OK", sample{src: server4, dst: client4, tcpOptions: 12, payload: "\x07\x00\x00\x01\x00\x01\x00\x02\x00\x00\x00"}, 42},
		{"from the server, result", sample{src: server4, dst: client4, tcpOptions: 12, payload: "\x01\x00\x00\x01\x02\x20\x00\x00\x02\x03def"}, 42},
		{"from the server, PREPARE OK", sample{src: server4, dst: client4, tcpOptions: 12, payload: prepareHead}, 42},
		{"from the server, zlib", sample{src: server4, dst: client4, tcpOptions: 12, payload: zlibHead}, 43},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := run(t, filter, c.sample.bytes())
			t.Logf("%d instructions", got)
			if got > c.want {
				t.Errorf("%d instructions, want %d", got, c.want)
			}
		})
	}
}

// passesHead reports whether the filter passes a segment of the server's with
// that payload.
func passesHead(tb testing.TB, filter []bpf.RawInstruction, payload []byte) bool {
	tb.Helper()
	s := sample{src: server4, dst: client4, tcpOptions: 12, payload: string(payload[:min(len(payload), 32)])}
	passed, _ := run(tb, filter, s.bytes())
	return passed
}

// saidByServers returns what servers said at a time in conversations that
// package mysql keeps, by the conversations' names.
func saidByServers(tb testing.TB, pattern string) map[string][][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("..", "mysql", "testdata", pattern))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no conversations (%v)", err)
	}
	all := make(map[string][][]byte)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".bin")
		for len(b) > 0 { // 'C' or 'S' | int<4> size | octets
			n := 5 + int(binary.LittleEndian.Uint32(b[1:]))
			if b[0] == 'S' {
				all[name] = append(all[name], b[5:n])
			}
			b = b[n:]
		}
	}
	return all
}

// isPrepareOK reports whether b begins with what may be the OK of a PREPARE.
func isPrepareOK(b []byte) bool {
	h, ok := mysql.ParseHeader(b)
	if !ok || h.Length != 12 && h.Length != 13 || len(b) < mysql.HeaderSize+h.Length {
		return false
	}
	_, _, _, ok = mysql.ParsePrepareOK(b[mysql.HeaderSize:])
	return ok
}

// isRefusal reports whether b begins with an ERR.
func isRefusal(b []byte) bool {
	h, ok := mysql.ParseHeader(b)
	return ok && 1 <= h.Sequence && h.Sequence <= maxSequence && len(b) > mysql.HeaderSize && b[mysql.HeaderSize] == 0xff
}

// Of what real servers said in uncompressed sessions the filter passes greetings
// and the OKs of PREPAREs, and nothing else: neither at the responses' beginnings
// nor where a segment might begin with one of their packets.
func TestFilterPassesOnlyHeads(t *testing.T) {
	filter := must(ServerFilter(serverAddrs, 3306))
	var greetings, prepares, others, within int
	for name, turns := range saidByServers(t, "*.bin") {
		for i, said := range turns {
			passed := passesHead(t, filter, said)
			switch {
			case i == 0:
				greetings++
				if !passed {
					t.Errorf("%s: greeting %x is dropped", name, said)
				}
			case isPrepareOK(said):
				prepares++
				if !passed {
					t.Errorf("%s: PREPARE OK %x is dropped", name, said[:16])
				}
			case isRefusal(said):
				if !passed {
					t.Errorf("%s: refusal %x is dropped", name, said)
				}
			default:
				others++
				if passed {
					t.Errorf("%s: response %x passes", name, said[:min(len(said), 24)])
				}
			}
			for b := said; len(b) >= mysql.HeaderSize; {
				h, _ := mysql.ParseHeader(b)
				b = b[min(mysql.HeaderSize+h.Length, len(b)):]
				if within++; passesHead(t, filter, b) && !isPrepareOK(b) && !isRefusal(b) {
					t.Errorf("%s: packet %x passes", name, b[:min(len(b), 24)])
				}
			}
		}
	}
	if greetings < 30 || prepares < 100 || others < 500 || within < 5000 {
		t.Errorf("only %d greetings, %d PREPARE OKs, %d other responses, %d packets: the test proves less than it should", greetings, prepares, others, within)
	}
	t.Logf("%d greetings, %d PREPARE OKs, %d other responses, %d packets", greetings, prepares, others, within)
}

// Of what real servers said in compressed sessions it passes every answer to a
// PREPARE.
func TestFilterPassesCompressedHeads(t *testing.T) {
	filter := must(ServerFilter(serverAddrs, 3306))
	var d mysql.Decompressor
	prepares, others, dropped := 0, 0, 0
	for name, turns := range saidByServers(t, "compressed/*.bin") {
		how := mysql.CompressionZlib
		if strings.Contains(name, "zstd") {
			how = mysql.CompressionZstd
		}
		for i, said := range turns {
			passed := passesHead(t, filter, said)
			switch {
			case i == 0 && !passed:
				t.Errorf("%s: greeting %x is dropped", name, said)
			case i == 0:
			case isPrepareOK(d.Head(how, said, mysql.HeaderSize+12)):
				prepares++
				if !passed {
					t.Errorf("%s: the answer to a PREPARE %x is dropped", name, said[:min(len(said), 24)])
				}
			default:
				others++
				if !passed {
					dropped++
				}
			}
		}
	}
	if prepares < 25 {
		t.Errorf("only %d PREPAREs: the test proves less than it should", prepares)
	}
	t.Logf("%d PREPARE OKs pass, %d of %d other responses are dropped", prepares, dropped, others)
}

// Of segments that begin anywhere in a result, next to none passes.
func TestFilterDropsTheMiddle(t *testing.T) {
	filter := must(ServerFilter(serverAddrs, 3306))
	rnd := rand.New(rand.NewPCG(1, 2))
	middles := map[string]func(b []byte){
		"random": func(b []byte) {
			for i := range b {
				b[i] = byte(rnd.Int())
			}
		},
		"text": func(b []byte) {
			for i := range b {
				b[i] = byte(' ' + rnd.IntN(95))
			}
		},
		"numbers": func(b []byte) { // small ones of 64 bits
			for i := 0; i < len(b); i += 8 {
				b[i] = byte(rnd.Int())
			}
		},
		"zeros": func(b []byte) { clear(b) },
	}
	for name, fill := range middles {
		t.Run(name, func(t *testing.T) {
			passed := 0
			const n = 100000
			for range n {
				b := make([]byte, 40)
				fill(b)
				if b = b[rnd.IntN(8):]; modelHeads(b) {
					passed++
					if !passesHead(t, filter, b) {
						t.Fatalf("%x is dropped", b)
					}
				}
			}
			if passed > n/1000 {
				t.Errorf("%d of %d pass", passed, n)
			}
		})
	}
}
