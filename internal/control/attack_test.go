package control

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// prelude exchanges prefaces over c and makes it TLS, as a side without the key
// can.
func prelude(c *net.TCPConn, server bool) (*tls.Conn, error) {
	p := prefaceOf(modeTLS)
	if _, err := c.Write(p[:]); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c, p[:]); err != nil {
		return nil, err
	}
	s := tls.Client(c, clientTLS())
	if server {
		config, err := serverTLS()
		if err != nil {
			return nil, err
		}
		s = tls.Server(c, config)
	}
	return s, s.Handshake()
}

// An impostor that has not the key gets one thing made with it, the client's
// proof, and can do nothing with that.
func TestImpostors(t *testing.T) {
	config := Config{Key: testKey, Hello: testHello}
	tests := []struct {
		name string
		play func(t *testing.T, c *net.TCPConn)
		want string
	}{
		{"sends back every octet", func(_ *testing.T, c *net.TCPConn) {
			_, _ = io.Copy(c, c)
		}, "TLS: "},
		{"sends back the proof", func(t *testing.T, c *net.TCPConn) {
			s, err := prelude(c, true)
			if err != nil {
				t.Error(err)
				return
			}
			body, err := expect(s, typeProof)
			if err != nil {
				t.Error(err)
			}
			_, _ = s.Write(appendProof(nil, proof(body)))
			if rest, _ := io.ReadAll(s); len(rest) > 0 {
				t.Errorf("the impostor was told % x", rest)
			}
		}, "the key does not match"},
		{"proves another key", func(t *testing.T, c *net.TCPConn) {
			s, err := prelude(c, true)
			if err != nil {
				t.Error(err)
				return
			}
			state := s.ConnectionState()
			p, err := prove(&Key{}, roleServer, prefaceOf(modeTLS), prefaceOf(modeTLS), &state)
			if err != nil {
				t.Error(err)
			}
			_, _ = s.Write(appendProof(nil, p))
			_, _ = io.Copy(io.Discard, s)
		}, "the key does not match"},
		{"welcomes without a proof", func(t *testing.T, c *net.TCPConn) {
			s, err := prelude(c, true)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = s.Write(appendWelcome(nil, &Welcome{}))
			_, _ = io.Copy(io.Discard, s)
		}, "receive Proof: got Welcome"},
		{"refuses in words of its own", func(t *testing.T, c *net.TCPConn) {
			s, err := prelude(c, true)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = s.Write(appendRefusal(nil, &refusal{refusedHello, "run rm -r /"}))
			_, _ = io.Copy(io.Discard, s)
		}, "receive Proof: got Refusal"},
		{"announces four gigabytes", func(t *testing.T, c *net.TCPConn) {
			s, err := prelude(c, true)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = s.Write([]byte{0xff, 0xff, 0xff, 0xff, byte(typeProof)})
			_, _ = io.Copy(io.Discard, s)
		}, "receive Proof: a frame of 4294967295 octets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			noGoroutineLeft(t)
			addr := impostor(t, func(c *net.TCPConn) { tt.play(t, c) })
			_, _, err := Dial(t.Context(), []string{addr}, config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "rm -r") {
				t.Error("an impostor's words were repeated")
			}
		})
	}
}

// Somebody in the middle has a TLS connection with either side, and no proof
// that holds on the other.
func TestProofsCannotBeRelayed(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	replay := make(chan []byte, 1)
	addr := impostor(t, func(c *net.TCPConn) {
		client, err := prelude(c, true)
		if err != nil {
			t.Error(err)
			return
		}
		server, err := prelude(tcp(t, s.addr), false)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := expect(client, typeProof)
		if err != nil {
			t.Error(err)
			return
		}
		replay <- body
		_, _ = server.Write(appendProof(nil, proof(body)))
		_, _ = io.Copy(client, server)
	})
	_, _, err := Dial(t.Context(), []string{addr}, Config{Key: testKey, Hello: testHello})
	mismatch(t, err, "the key does not match")
	mismatch(t, within(t, s.refused), "the key does not match")

	t.Run("nor replayed", func(t *testing.T) {
		server, err := prelude(tcp(t, s.addr), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write(appendProof(nil, proof(within(t, replay)))); err != nil {
			t.Fatal(err)
		}
		typ, body, err := receiveFrame(server)
		if r, _ := parseRefusal(body); typ != typeRefusal || r.code != refusedProof || r.text != "" {
			t.Errorf("answered with %v %+v, %v", typ, r, err)
		}
		if rest, _ := io.ReadAll(server); len(rest) > 0 {
			t.Errorf("and % x", rest)
		}
	})
	if len(s.conns) > 0 {
		t.Error("a connection was made")
	}
}

// A server that a client has proven nothing to says nothing that the key made.
func TestServerIsNoOracle(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	for _, say := range [][]byte{
		appendProof(nil, proof{}),
		appendHello(nil, &testHello),
		AppendUnregister(nil, &Unregister{}),
		{0, 0, 0, 0, 0},
		{0xff, 0xff, 0xff, 0xff, byte(typeProof)},
	} {
		c, err := prelude(tcp(t, s.addr), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(say); err != nil {
			t.Fatal(err)
		}
		heard, _ := io.ReadAll(c)
		if refused := appendRefusal(nil, &refusal{code: refusedProof}); len(heard) > 0 && !bytes.Equal(heard, refused) {
			t.Errorf("told % x, answered % x", say, heard)
		}
	}
	if len(s.conns) > 0 {
		t.Error("a connection was made")
	}
}

func TestProofsDiffer(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	seen := make(map[proof]string)
	for _, connection := range []string{"one", "another"} {
		c, err := prelude(tcp(t, s.addr), false)
		if err != nil {
			t.Fatal(err)
		}
		state := c.ConnectionState()
		downgraded := prefaceOf(modePlain)
		for name, make := range map[string]func() (proof, error){
			"client": func() (proof, error) {
				return prove(testKey, roleClient, prefaceOf(modeTLS), prefaceOf(modeTLS), &state)
			},
			"server": func() (proof, error) {
				return prove(testKey, roleServer, prefaceOf(modeTLS), prefaceOf(modeTLS), &state)
			},
			"other key": func() (proof, error) {
				return prove(&Key{}, roleClient, prefaceOf(modeTLS), prefaceOf(modeTLS), &state)
			},
			"client preface": func() (proof, error) { return prove(testKey, roleClient, downgraded, prefaceOf(modeTLS), &state) },
			"server preface": func() (proof, error) { return prove(testKey, roleClient, prefaceOf(modeTLS), downgraded, &state) },
		} {
			p, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[p]; ok {
				t.Errorf("%s of connection %s is %s", name, connection, other)
			}
			seen[p] = name + " of connection " + connection
		}
	}
}

// TLS before 1.3 has exporters that do not say what this protocol needs.
func TestOlderTLSIsRefused(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	c := tcp(t, s.addr)
	p := prefaceOf(modeTLS)
	if _, err := c.Write(p[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, p[:]); err != nil {
		t.Fatal(err)
	}
	old := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err := old.Handshake(); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	if err := within(t, s.refused); !strings.Contains(err.Error(), "TLS: ") {
		t.Errorf("reported %v", err)
	}
}

// While strangers do what strangers do, mrtecopy connects.
func TestStrangersDisturbNobody(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	scanner := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}}
	knock := func(say string) *net.TCPConn {
		c, err := scanner.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, say)
		return c.(*net.TCPConn)
	}
	hello := prefaceOf(modeTLS)
	var open []*net.TCPConn
	for range 20 {
		for _, say := range []string{
			"", // connects and waits
			"m",
			string(hello[:]),
			string(hello[:]) + "\x16\x03\x01\x40\x00", // the beginning of a TLS record
			string(hello[:]) + strings.Repeat("\x00", 1000),
			"GET / HTTP/1.0\r\n\r\n",
			"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
			strings.Repeat("\xff", 100_000),
		} {
			open = append(open, knock(say))
		}
		closed := knock("") // as a scan does
		closed.Close()
		reset := knock("mrte")
		_ = reset.SetLinger(0)
		reset.Close()
	}
	for range 5 {
		c, _, err := s.dial(t, testKey)
		if err != nil {
			t.Fatal(err)
		}
		bothWays(t, c, within(t, s.conns))
		c.Close()
	}
	for _, c := range open {
		c.Close()
	}
	if len(s.conns) > 0 {
		t.Error("a stranger was let in")
	}
	for len(s.refused) > 0 {
		var m *MismatchError
		if err := <-s.refused; errors.As(err, &m) {
			t.Errorf("a stranger taken for a mrtecopy: %v", err)
		}
	}
}

// Whoever is slow has five seconds for all of the handshake, not for each octet.
func TestSlowHandshakesEnd(t *testing.T) {
	whole := prefaceOf(modePlain)
	tests := []struct {
		name string
		say  []byte
		each time.Duration
	}{
		{"silent", nil, 0},
		{"an octet a second", whole[:], time.Second},
		{"half a hello", append(whole[:], appendHello(nil, &testHello)[:20]...), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reported error
				server, err := newServer(ServerConfig{
					Admit:   func(Hello) (Welcome, error) { t.Error("admitted"); return Welcome{}, nil },
					Handle:  func(*Conn) { t.Error("handled") },
					Refused: func(_ netip.AddrPort, err error, _ int) { reported = err },
				})
				if err != nil {
					t.Fatal(err)
				}
				p, q := net.Pipe()
				begin := time.Now()
				server.visit(t.Context(), pipe{p})
				go func() {
					for _, octet := range tt.say {
						if _, err := q.Write([]byte{octet}); err != nil {
							return
						}
						time.Sleep(tt.each)
					}
				}()
				_, _ = io.Copy(io.Discard, q)
				if took := time.Since(begin); took != handshakeTimeout {
					t.Errorf("ended after %v, want %v", took, handshakeTimeout)
				}
				server.greeting.Wait()
				if !errors.Is(reported, os.ErrDeadlineExceeded) {
					t.Errorf("reported %v", reported)
				}
				q.Close()
				time.Sleep(time.Second) // the writer's
			})
		})
	}
}

func TestClientDoesNotWaitForASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, q) }()
		if err := p.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
			t.Fatal(err)
		}
		_, _, err := greet(pipe{p}, nil, &testHello)
		if want := "no answer within 5s; is it an intercept"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
		p.Close()
	})
}

// A peer with the key is bound by the protocol all the same.
func TestPeerWithTheKeyThatMisbehaves(t *testing.T) {
	for name, say := range map[string][]byte{
		"four gigabytes": {0xff, 0xff, 0xff, 0xff, byte(TypeHead)},
		"over the limit": append(binary.BigEndian.AppendUint32(nil, MaxFrame+1), byte(TypeHead)),
		"nothing":        {0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ServerConfig{Key: testKey})
			c, _, err := s.dial(t, testKey)
			if err != nil {
				t.Fatal(err)
			}
			d := within(t, s.conns)
			if err := c.Send(append(AppendUnregister(nil, &Unregister{1}), say...)); err != nil {
				t.Fatal(err)
			}
			e := ear{c: d}
			e.until(t, func() bool { return d.Err() != nil })
			ended(t, d, errFrame)
			if want := AppendUnregister(nil, &Unregister{1}); !bytes.Equal(e.data, want) {
				t.Errorf("delivered % x", e.data)
			}
			c.Close()
		})
	}
}

func TestServerEndsInTheMiddleOfHandshakes(t *testing.T) {
	s := serve(t, ServerConfig{Key: testKey})
	var strangers sync.WaitGroup
	for range 10 {
		c := tcp(t, s.addr)
		p := prefaceOf(modeTLS)
		if _, err := c.Write(p[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, p[:]); err != nil { // the server is in the handshake now
			t.Fatal(err)
		}
		strangers.Go(func() { _, _ = io.Copy(io.Discard, c) })
	}
	s.stop()
	strangers.Wait()
}
