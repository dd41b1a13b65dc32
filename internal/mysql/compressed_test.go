package mysql

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/bits"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

func TestCompressedHeader(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     CompressedHeader
		ok       bool
	}{
		{"empty", "", CompressedHeader{}, false},
		{"cut short", "01 00 00 00 00 00", CompressedHeader{}, false},
		{"plain", "0b 00 00 01 00 00 00 07", CompressedHeader{Length: 11, Sequence: 1}, true},
		{"compressed", "48 00 00 01 a2 00 00 78 9c", CompressedHeader{72, 1, 162}, true},
		{"all bits", "01 02 03 ff 04 05 06", CompressedHeader{0x030201, 255, 0x060504}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, ok := ParseCompressedHeader(unhex(t, c.in))
			if h != c.want || ok != c.ok {
				t.Errorf("got %+v, %v, want %+v, %v", h, ok, c.want, c.ok)
			}
		})
	}
}

func TestCapabilitiesCompression(t *testing.T) {
	for _, c := range []struct {
		name string
		caps Capabilities
		want Compression
	}{
		{"none", baseCapabilities, CompressionNone},
		{"zlib", baseCapabilities | ClientCompress, CompressionZlib},
		{"zstd", baseCapabilities | ClientZstdCompressionAlgorithm, CompressionZstd},
		{"both", baseCapabilities | ClientZstdCompressionAlgorithm | ClientCompress, CompressionZlib},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.caps.Compression(); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

const baseCapabilities = ClientLongPassword | ClientProtocol41 | ClientPluginAuth

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// compress returns b as a peer sends it.
func compress(tb testing.TB, how Compression, b []byte) []byte {
	tb.Helper()
	switch how {
	case CompressionZlib:
		var out bytes.Buffer
		z := zlib.NewWriter(&out)
		z.Write(b)
		if err := z.Close(); err != nil {
			tb.Fatal(err)
		}
		return out.Bytes()
	case CompressionZstd:
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			tb.Fatal(err)
		}
		defer z.Close()
		return z.EncodeAll(b, nil)
	}
	return b
}

// Plain texts of several sizes and kinds.
func plainTexts() map[string][]byte {
	mixed := func(n int) []byte { // octets of frequencies 1/2, 1/4, 1/8 and so on, with codes of all lengths
		b := noisy(n)
		for i := 1; i < n; i++ {
			b[i] = byte(bits.LeadingZeros16(uint16(b[i])<<8 | uint16(b[i-1])))
		}
		return b
	}
	return map[string][]byte{
		"one octet":      {0x0e},
		"short":          []byte(strings.Repeat("select 1 ", 10)),
		"16 KiB":         mixed(16 << 10),
		"all the same":   bytes.Repeat([]byte{'x'}, 100000),
		"several blocks": mixed(300000),
		"the longest":    bytes.Repeat([]byte("0123456789abcde"), MaxPayload/15),
	}
}

var compressions = []Compression{CompressionZlib, CompressionZstd}

func TestDecompress(t *testing.T) {
	var d Decompressor
	for _, how := range compressions {
		for name, plain := range plainTexts() {
			t.Run(how.String()+", "+name, func(t *testing.T) {
				payload := compress(t, how, plain)
				h := CompressedHeader{Length: len(payload), Uncompressed: len(plain)}
				got, err := d.Packet(how, h, payload)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("got %d octets, %v, want %d", len(got), err, len(plain))
				}
				// What is cut, changed or announced otherwise is refused.
				for n := range min(len(payload), 300) {
					if _, err := d.Packet(how, CompressedHeader{n, 0, len(plain)}, payload[:n]); err == nil {
						t.Errorf("no error with %d of %d octets", n, len(payload))
					}
				}
				for _, n := range []int{1, len(plain) - 1, len(plain) + 1, MaxPayload} {
					if n == len(plain) || n == 0 || n > MaxPayload {
						continue
					}
					h.Uncompressed = n
					if _, err := d.Packet(how, h, payload); err == nil {
						t.Errorf("no error with %d octets announced, %d there", n, len(plain))
					}
				}
			})
		}
	}
}

func TestDecompressRefuses(t *testing.T) {
	short := []byte("select 1 select 1 select 1 select 1")
	z := compress(t, CompressionZlib, short)
	wrongSum := append([]byte(nil), z...)
	wrongSum[len(z)-1] ^= 1
	n := len(short)
	for _, c := range []struct {
		name    string
		how     Compression
		h       CompressedHeader
		payload []byte
		want    string // in the error
	}{
		{"no compression", CompressionNone, CompressedHeader{n, 0, 0}, short, "no compression"},
		{"unknown compression", 9, CompressedHeader{len(z), 0, n}, z, "no compression"},
		{"cut short", CompressionZlib, CompressedHeader{len(z) + 1, 0, n}, z, "cut short"},
		{"plain, cut short", CompressionZlib, CompressedHeader{n + 1, 0, 0}, short, "cut short"},
		{"empty", CompressionZlib, CompressedHeader{0, 0, 5}, nil, "EOF"},
		{"zstd, empty", CompressionZstd, CompressedHeader{0, 0, 5}, nil, "not as long"},
		{"not zlib", CompressionZlib, CompressedHeader{n, 0, n}, short, "invalid header"},
		{"not zstd", CompressionZstd, CompressedHeader{n, 0, n}, short, "magic"},
		{"checksum", CompressionZlib, CompressedHeader{len(z), 0, n}, wrongSum, "checksum"},
		{"a dictionary", CompressionZlib, CompressedHeader{8, 0, n}, unhex(t, "78bb 00000002 0300"), "dictionary"},
		{"impossible length", CompressionZlib, CompressedHeader{len(z), 0, 1 << 24}, z, "not as long"},
		{"negative length", CompressionZstd, CompressedHeader{len(z), 0, -1}, z, "not as long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Decompressor
			plain, err := d.Packet(c.how, c.h, c.payload)
			if err == nil || !strings.Contains(err.Error(), c.want) || plain != nil {
				t.Errorf("got %q, %v, want an error with %q", plain, err, c.want)
			}
		})
	}
}

// Whatever the level: what a peer compresses with the most effort, a window as
// large as the packet included, is read.
func TestDecompressLevels(t *testing.T) {
	plain := plainTexts()["the longest"]
	var d Decompressor
	for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(16<<20), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		payload := z.EncodeAll(plain, nil)
		z.Close()
		got, err := d.Packet(CompressionZstd, CompressedHeader{len(payload), 0, len(plain)}, payload)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%v: %d octets, %v", level, len(got), err)
		}
	}
}

// What is not compressed is not copied.
func TestDecompressPlain(t *testing.T) {
	var d Decompressor
	payload := []byte{1, 0, 0, 0, 0x0e}
	got, err := d.Packet(CompressionZstd, CompressedHeader{Length: 5}, payload)
	if err != nil || &got[0] != &payload[0] || len(got) != 5 {
		t.Errorf("got %x, %v", got, err)
	}
}

// After a giant packet, the next small one gives the memory back.
func TestDecompressGivesBack(t *testing.T) {
	for _, how := range compressions {
		t.Run(how.String(), func(t *testing.T) {
			var d Decompressor
			heap := func() uint64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			packet := func(n int) ([]byte, CompressedHeader) {
				b := compress(t, how, make([]byte, n))
				return b, CompressedHeader{len(b), 0, n}
			}
			big, bigHeader := packet(MaxPayload)
			small, smallHeader := packet(100)
			before := heap()
			for range 2 {
				if _, err := d.Packet(how, bigHeader, big); err != nil {
					t.Fatal(err)
				}
				if held := int64(heap() - before); held > 18<<20 {
					t.Errorf("%d KiB held with the giant packet", held>>10)
				}
				if _, err := d.Packet(how, smallHeader, small); err != nil {
					t.Fatal(err)
				}
			}
			if held := int64(heap() - before); held > 1<<20 {
				t.Errorf("%d KiB held", held>>10)
			}
			runtime.KeepAlive(&d)
			runtime.KeepAlive(big)
		})
	}
}

// raceDetector reports whether the test is built with it. It makes sync.Pool,
// which the zstd package uses for its tables, forget on purpose.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func TestDecompressAllocatesNothing(t *testing.T) {
	var d Decompressor
	for _, how := range compressions {
		for _, name := range []string{"short", "16 KiB"} {
			plain := plainTexts()[name]
			payload := compress(t, how, plain)
			h := CompressedHeader{Length: len(payload), Uncompressed: len(plain)}
			frame := append(AppendHeader(nil, len(payload), 1), byte(len(plain)), byte(len(plain)>>8), 0)
			frame = append(frame, payload...)
			for what, f := range map[string]func(){
				"packet": func() {
					if _, err := d.Packet(how, h, payload); err != nil {
						t.Fatal(err)
					}
				},
				"head": func() {
					if d.Head(how, frame, 16) == nil {
						t.Fatal("no head")
					}
				},
			} {
				if n := testing.AllocsPerRun(100, f); n != 0 && !(how == CompressionZstd && raceDetector()) {
					t.Errorf("%v, %s: a %s allocates %v times, want 0", how, name, what, n)
				}
			}
		}
	}
	// A change of algorithm allocates no more than its repetition.
	payloads := [][]byte{compress(t, CompressionZlib, make([]byte, 500)), compress(t, CompressionZstd, make([]byte, 500))}
	if n := testing.AllocsPerRun(100, func() {
		for i, how := range compressions {
			if _, err := d.Packet(how, CompressedHeader{len(payloads[i]), 0, 500}, payloads[i]); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 && !raceDetector() {
		t.Errorf("both in turn allocate %v times, want 0", n)
	}
}

func TestHead(t *testing.T) {
	packed := func(how Compression, plain []byte) []byte {
		payload := compress(t, how, plain)
		b := append(AppendHeader(nil, len(payload), 1), byte(len(plain)), byte(len(plain)>>8), byte(len(plain)>>16))
		return append(b, payload...)
	}
	text := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
	long := append(append([]byte(nil), text...), noisy(100000)...)
	zlibShort, zstdShort, zlibLong := packed(CompressionZlib, text), packed(CompressionZstd, text), packed(CompressionZlib, long)
	huge := packed(CompressionZstd, append(append([]byte(nil), text...), make([]byte, maxHeadBlock)...))
	for _, c := range []struct {
		name string
		how  Compression
		b    []byte
		n    int
		want string
	}{
		{"nothing", CompressionZlib, nil, 4, ""},
		{"a header", CompressionZlib, zlibShort[:7], 4, ""},
		{"no compression", CompressionNone, zlibShort, 4, ""},
		{"no octets asked for", CompressionZlib, zlibShort, 0, ""},
		{"zlib", CompressionZlib, zlibShort, 16, "0123456789abcdef"},
		{"zlib, all", CompressionZlib, zlibShort, 36, string(text)},
		{"zlib, more than all", CompressionZlib, zlibShort, 37, ""},
		{"zlib, cut", CompressionZlib, zlibLong[:1400], 16, "0123456789abcdef"},
		{"zlib, cut early", CompressionZlib, zlibLong[:20], 16, ""},
		{"zlib, another packet behind", CompressionZlib, append(bytes.Clone(zlibShort), "garbage"...), 16, "0123456789abcdef"},
		{"zlib, another packet in front", CompressionZlib, append([]byte{3, 0, 0, 1, 0, 0, 0, 'a', 'b', 'c'}, zlibShort...), 16, ""},
		{"zstd", CompressionZstd, zstdShort, 16, "0123456789abcdef"},
		{"zstd, all", CompressionZstd, zstdShort, 36, string(text)},
		{"zstd, more than all", CompressionZstd, zstdShort, 37, ""},
		{"zstd, another packet behind", CompressionZstd, append(bytes.Clone(zstdShort), "garbage"...), 16, "0123456789abcdef"},
		{"zstd, cut within its only block", CompressionZstd, zstdShort[:len(zstdShort)-8], 16, ""},
		{"zstd, too long", CompressionZstd, huge, 16, ""},
		{"plain", CompressionZlib, []byte("\x0a\x00\x00\x01\x00\x00\x000123456789"), 4, "0123"},
		{"plain, cut", CompressionZlib, []byte("\x0a\x00\x00\x01\x00\x00\x00012345"), 4, "0123"},
		{"plain, cut early", CompressionZlib, []byte("\x0a\x00\x00\x01\x00\x00\x00012"), 4, ""},
		{"plain, short, another behind", CompressionZlib, []byte("\x03\x00\x00\x01\x00\x00\x00012\x03\x00\x00\x01\x00\x00\x00345"), 4, ""},
		{"zlib read as zstd", CompressionZstd, zlibShort, 16, ""},
		{"zstd read as zlib", CompressionZlib, zstdShort, 16, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Decompressor
			for range 2 { // the first one makes the reader
				if got := d.Head(c.how, c.b, c.n); string(got) != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
		})
	}
}

// noisy returns n octets that do not compress.
func noisy(n int) []byte {
	b := make([]byte, n)
	x := uint64(1)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return b
}

// Whatever arrives: what comes out is as long as announced, and Head agrees
// with it.
func FuzzDecompress(f *testing.F) {
	for _, how := range compressions {
		for _, plain := range [][]byte{[]byte("0"), []byte(strings.Repeat("abc", 50)), noisy(700)} {
			f.Add(uint8(how), len(plain), compress(f, how, plain))
		}
	}
	f.Add(uint8(CompressionZlib), 0, []byte("plain"))
	f.Add(uint8(CompressionZstd), 12, unhex(f, "28b52ffd 20 0c 61 0000 0102030405060708090a0b0c"))
	f.Add(uint8(CompressionZstd), 12, unhex(f, "502a4d18 04000000 01020304"))
	var d Decompressor
	f.Fuzz(func(t *testing.T, how uint8, size int, payload []byte) {
		h := CompressedHeader{Length: len(payload), Sequence: 1, Uncompressed: size & 0xfffff}
		c := Compression(how % 4)
		frame := append(AppendHeader(nil, h.Length, 1), byte(h.Uncompressed), byte(h.Uncompressed>>8), byte(h.Uncompressed>>16))
		if again, ok := ParseCompressedHeader(frame); ok && again != h && h.Length <= MaxPayload {
			t.Fatalf("%+v written and read is %+v", h, again)
		}
		frame = append(frame, payload...)
		plain, err := d.Packet(c, h, payload)
		switch {
		case err != nil && plain != nil:
			t.Fatal("both octets and an error")
		case err == nil && h.Uncompressed != 0 && len(plain) != h.Uncompressed:
			t.Fatalf("%d octets, %d announced", len(plain), h.Uncompressed)
		case err == nil && h.Uncompressed == 0 && !bytes.Equal(plain, payload):
			t.Fatal("what was plain is changed")
		}
		if errors.Is(err, errNoCompress) != (c != CompressionZlib && c != CompressionZstd && (h.Uncompressed != 0 || c == CompressionNone)) {
			t.Fatalf("%v: %v", c, err)
		}
		plain = bytes.Clone(plain)
		for _, n := range []int{1, 16, 40} {
			head := bytes.Clone(d.Head(c, frame, n))
			if head != nil && len(head) != n {
				t.Fatalf("a head of %d octets, want %d", len(head), n)
			}
			if err != nil || c > CompressionZstd {
				continue
			}
			// Deflate can hide its first octet behind empty blocks; no peer does.
			if head == nil && len(plain) >= n && len(payload) <= headInput {
				t.Fatalf("no head of %d octets in %d", n, len(plain))
			}
			if head != nil && !bytes.Equal(head, plain[:n]) {
				t.Fatalf("head %x of %x", head, plain[:n])
			}
		}
	})
}

func BenchmarkDecompress(b *testing.B) {
	var d Decompressor
	for _, how := range compressions {
		for _, name := range []string{"short", "16 KiB"} {
			plain := plainTexts()[name]
			payload := compress(b, how, plain)
			h := CompressedHeader{Length: len(payload), Uncompressed: len(plain)}
			b.Run(how.String()+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(plain)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := d.Packet(how, h, payload); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
