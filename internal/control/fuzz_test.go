package control

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// FuzzMessages: there is one way to write each message, so what is understood
// is written back octet for octet.
func FuzzMessages(f *testing.F) {
	for _, m := range messages {
		f.Add(uint8(m.t), codecs[m.t].append(nil, m.message)[headerSize:])
	}
	f.Fuzz(func(t *testing.T, typ uint8, body []byte) {
		c, known := codecs[Type(typ)]
		if !known {
			return
		}
		m, ok := c.parse(body)
		if !ok {
			return
		}
		b := c.append(nil, m)
		again, rest, tail := Next(b)
		if again != Type(typ) || !bytes.Equal(rest, body) || len(tail) != 0 {
			t.Fatalf("%+v\nread from % x\nwritten  % x", m, body, b)
		}
	})
}

// A script is a stream that says what was written down, in pieces of given
// lengths, and hears nothing.
type script struct {
	net.Conn // nil: nothing else is called
	in       []byte
	cuts     []byte // lengths of the reads, over and over; 0 for the most
	reads    int
	out      int // octets written to it
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := len(b)
	if len(s.cuts) > 0 {
		if c := int(s.cuts[s.reads%len(s.cuts)]); c != 0 {
			n = min(n, c)
		}
		s.reads++
	}
	n = copy(b[:n], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error)      { s.out += len(b); return len(b), nil }
func (s *script) Close() error                     { return nil }
func (s *script) CloseWrite() error                { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

type message struct {
	t    Type
	body string
}

// deliveries reads what s says to its end.
func deliveries(t testing.TB, s *script) (got []message, c *Conn) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // for the end to close
	if err != nil {
		t.Fatal(err)
	}
	c = &Conn{socket: &socket{fd: fd}, stream: s, peer: "script", done: make(chan struct{})}
	for batch := c.Receive(); batch != nil || c.More(); batch = c.Receive() {
		if batch == nil {
			continue
		}
		before := len(got)
		for typ, body, rest := Next(batch); typ != 0; typ, body, rest = Next(rest) {
			got = append(got, message{typ, string(body)})
		}
		if len(got) == before {
			t.Fatalf("nothing in batch % x", batch)
		}
	}
	if c.Err() == nil {
		t.Fatal("nothing more came before the end")
	}
	return got, c
}

// FuzzReader: however the stream is cut, the same messages come, the whole ones
// before the first that is impossible.
func FuzzReader(f *testing.F) {
	var all []byte
	for _, m := range messages {
		all = codecs[m.t].append(all, m.message)
		all = append(all, ping[:]...)
	}
	f.Add(all, []byte{1})
	f.Add(all, []byte{7, 0, 3})
	f.Add(slices.Concat(all, []byte{0xff, 0xff, 0xff, 0xff}), []byte{})
	f.Add(slices.Concat(all, []byte{0, 0, 0, 0, 0}), []byte{5})
	f.Add(slices.Concat(all, []byte{0, 0, 0, 1, 0}), []byte{5})
	f.Add(AppendHead(AppendHead(ping[:], &Head{Payload: make([]byte, 100<<10)}), &Head{Payload: make([]byte, MaxHead)}), []byte{255})
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		got, c := deliveries(t, &script{in: in, cuts: cuts})
		var want []message
		end := in
		for {
			typ, body, rest := Next(end)
			if typ == 0 || len(body)+1 > MaxFrame {
				break
			}
			want = append(want, message{typ, string(body)})
			end = rest
		}
		if !slices.Equal(got, want) {
			t.Fatalf("cut by %v: %d messages, want %d", cuts, len(got), len(want))
		}
		if c.Err() == nil {
			t.Fatal("the end has no reason")
		}
	})
}

// FuzzReceive: nothing a stranger says makes a connection where there is a key,
// or makes the server say more than its preface. Without a key what is said must
// be a preface and a Hello.
func FuzzReceive(f *testing.F) {
	key := &Key{1}
	config, err := serverTLS()
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []mode{modePlain, modeTLS} {
		p := prefaceOf(m)
		f.Add(p[:])
		f.Add(appendHello(p[:], &Hello{Shards: 1}))
		f.Add(appendProof(p[:], proof{}))
		p[len(magic)]++
		f.Add(p[:])
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
	f.Fuzz(func(t *testing.T, in []byte) {
		admit := func(Hello) (Welcome, error) { return Welcome{}, nil }
		plain := prefaceOf(modePlain)
		s := &script{in: in}
		if _, hello, err := receive(s, nil, nil, admit); err == nil {
			if said := appendHello(plain[:], &hello); !bytes.HasPrefix(in, said) {
				t.Fatalf("% x made a connection", in)
			}
		}
		s = &script{in: in}
		if _, _, err := receive(s, config, key, admit); err == nil {
			t.Fatalf("% x made a connection without the key", in)
		}
		if !bytes.HasPrefix(in, []byte(magic)) && s.out != 0 {
			t.Fatalf("a stranger was told %d octets", s.out)
		}
	})
}

// FuzzGreet: nothing an impostor says makes a connection where there is a key.
func FuzzGreet(f *testing.F) {
	key := &Key{1}
	for _, m := range []mode{modePlain, modeTLS} {
		p := prefaceOf(m)
		f.Add(p[:])
		f.Add(appendWelcome(p[:], &Welcome{}))
		f.Add(appendRefusal(p[:], &refusal{refusedHello, "no\x1b[2J"}))
		p[len(magic)]++
		f.Add(p[:])
	}
	f.Add([]byte("J\x00\x00\x00\x0a9.7.0"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := &script{in: in}
		if _, _, err := greet(s, key, &Hello{Shards: 1}); err == nil {
			t.Fatalf("% x made a connection without the key", in)
		}
		s = &script{in: in}
		plain := prefaceOf(modePlain)
		if _, w, err := greet(s, nil, &Hello{Shards: 1}); err == nil {
			if said := appendWelcome(plain[:], &w); !bytes.HasPrefix(in, said) {
				t.Fatalf("% x made a connection", in)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte("00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n"))
	f.Add([]byte("\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var k Key
		if parseKey(text, &k) && (len(text) < keyDigits || len(text) > keyDigits+2) {
			t.Fatalf("%q is a key", text)
		}
	})
}
