package control

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
)

// handshakeTimeout is for all of it, from the first octet to the last.
const handshakeTimeout = 5 * time.Second

// greet is mrtecopy's side of the handshake. It returns what to talk over.
//
//	mrtecopy                         intercept
//	preface        ───────────────►
//	               ◄───────────────  preface
//	with a key:    ◄─── TLS 1.3 ──►
//	Proof          ───────────────►
//	               ◄───────────────  Proof, or a Refusal
//	either way:
//	Hello          ───────────────►
//	               ◄───────────────  Welcome, or a Refusal
//
// The sides take turns, so neither closes with octets of the other's unread,
// which would make TCP discard the refusal that explains it.
func greet(raw stream, key *Key, hello *Hello) (stream, Welcome, error) {
	own := prefaceOf(modeOf(key))
	if _, err := raw.Write(own[:]); err != nil {
		return nil, Welcome{}, fmt.Errorf("send the preface: %w", err)
	}
	var other preface
	if n, err := io.ReadFull(raw, other[:]); !strings.HasPrefix(string(other[:n]), magic[:min(n, len(magic))]) {
		return nil, Welcome{}, fmt.Errorf("no intercept listens there: the answer began with %q", other[:n])
	} else if err != nil {
		return nil, Welcome{}, noPreface(err)
	}
	if err := fit(string(roleClient), string(roleServer), own, other); err != nil {
		return nil, Welcome{}, err
	}
	s := raw
	if key != nil {
		secure := tls.Client(raw, clientTLS())
		if err := secure.Handshake(); err != nil {
			return nil, Welcome{}, fmt.Errorf("TLS: %w", err)
		}
		if err := proveFirst(secure, key, own, other); err != nil {
			return nil, Welcome{}, err
		}
		s = secure
	}
	if _, err := s.Write(appendHello(nil, hello)); err != nil {
		return nil, Welcome{}, fmt.Errorf("send Hello: %w", err)
	}
	body, err := answer(s, typeWelcome)
	if err != nil {
		return nil, Welcome{}, err
	}
	w, ok := parseWelcome(body)
	if !ok {
		return nil, Welcome{}, Malformed(typeWelcome)
	}
	return s, w, nil
}

// noPreface explains why an intercept's preface did not come.
func noPreface(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v; is it an intercept that listens there?: %w", handshakeTimeout, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("closed without an answer: it is no intercept, or one with too many to answer: %w", err)
	}
	return fmt.Errorf("receive the preface: %w", err)
}

// errKey is what both sides see when their keys differ.
func errKey(self, peer role) error {
	return &MismatchError{fmt.Sprintf("the key does not match the %s's: give this %s the same --key-file", peer, self)}
}

// proveFirst sends the client's proof and checks the server's. An impostor can
// do nothing with the first: it holds for his connection to us only.
func proveFirst(s *tls.Conn, key *Key, client, server preface) error {
	state := s.ConnectionState()
	mine, err := prove(key, roleClient, client, server, &state)
	if err != nil {
		return err
	}
	theirs, err := prove(key, roleServer, client, server, &state)
	if err != nil {
		return err
	}
	if _, err := s.Write(appendProof(nil, mine)); err != nil {
		return fmt.Errorf("send Proof: %w", err)
	}
	// A Refusal comes from somebody who has proven nothing. It ends the attempt,
	// as closing the connection would.
	body, err := answer(s, typeProof)
	if err != nil {
		return err
	}
	if !theirs.equal(body) {
		return errKey(roleClient, roleServer)
	}
	return nil
}

// receive is intercept's side of the handshake. It asks admit about a peer that
// has proven itself; an error's text is told to the peer.
func receive(raw stream, config *tls.Config, key *Key, admit func(Hello) (Welcome, error)) (stream, Hello, error) {
	own := prefaceOf(modeOf(key))
	var other preface
	if n, err := io.ReadFull(raw, other[:]); !strings.HasPrefix(string(other[:n]), magic[:min(n, len(magic))]) {
		return nil, Hello{}, fmt.Errorf("a stranger, not a mrtecopy: it began with %q", other[:n])
	} else if err != nil {
		return nil, Hello{}, fmt.Errorf("a stranger, not a mrtecopy: it sent %d octets: %w", n, err)
	}
	if _, err := raw.Write(own[:]); err != nil {
		return nil, Hello{}, fmt.Errorf("send the preface: %w", err)
	}
	if err := fit(string(roleServer), string(roleClient), own, other); err != nil {
		return nil, Hello{}, err
	}
	s := raw
	if key != nil {
		secure := tls.Server(raw, config)
		if err := secure.Handshake(); err != nil {
			return nil, Hello{}, fmt.Errorf("TLS: %w", err)
		}
		if err := proveSecond(secure, key, other, own); err != nil {
			return nil, Hello{}, err
		}
		s = secure
	}
	body, err := expect(s, typeHello)
	if err != nil {
		return nil, Hello{}, err
	}
	hello, ok := parseHello(body)
	if !ok {
		return nil, Hello{}, Malformed(typeHello)
	}
	welcome, err := admit(hello)
	if err != nil {
		refuse(s, refusal{refusedHello, err.Error()})
		return nil, Hello{}, fmt.Errorf("refused: %w", err)
	}
	if _, err := s.Write(appendWelcome(nil, &welcome)); err != nil {
		return nil, Hello{}, fmt.Errorf("send Welcome: %w", err)
	}
	return s, hello, nil
}

// proveSecond checks the client's proof and only then sends the server's, so
// that a stranger gets nothing made with the key.
func proveSecond(s *tls.Conn, key *Key, client, server preface) error {
	state := s.ConnectionState()
	theirs, err := prove(key, roleClient, client, server, &state)
	if err != nil {
		return err
	}
	mine, err := prove(key, roleServer, client, server, &state)
	if err != nil {
		return err
	}
	body, err := expect(s, typeProof)
	if err != nil {
		return err
	}
	if !theirs.equal(body) {
		refuse(s, refusal{code: refusedProof})
		return errKey(roleServer, roleClient)
	}
	if _, err := s.Write(appendProof(nil, mine)); err != nil {
		return fmt.Errorf("send Proof: %w", err)
	}
	return nil
}

// refuse tells the peer why the handshake ends. What becomes of it is no matter.
func refuse(s stream, r refusal) {
	_, _ = s.Write(appendRefusal(nil, &r))
	_ = s.CloseWrite()
}

// maxHandshakeFrame bounds what a peer can make us keep before it is admitted: a
// Welcome is the largest.
const maxHandshakeFrame = 1 + 16*maxAddrs

// expect reads one frame, which must be of type want, and not an octet more.
func expect(r io.Reader, want Type) ([]byte, error) {
	t, body, err := receiveFrame(r)
	if err == nil && t != want {
		err = fmt.Errorf("got %v", t)
	}
	if err != nil {
		return nil, fmt.Errorf("receive %v: %w", want, err)
	}
	return body, nil
}

// answer is expect for the client, whom the server may refuse.
func answer(r io.Reader, want Type) ([]byte, error) {
	t, body, err := receiveFrame(r)
	if err != nil {
		return nil, fmt.Errorf("receive %v: %w", want, err)
	}
	if t == want {
		return body, nil
	}
	if refused, ok := parseRefusal(body); t == typeRefusal && ok {
		switch {
		case refused.code == refusedProof && want == typeProof:
			return nil, errKey(roleClient, roleServer)
		case refused.code == refusedHello && want == typeWelcome:
			return nil, &MismatchError{"refused: " + printable(refused.text)}
		}
	}
	return nil, fmt.Errorf("receive %v: got %v", want, t)
}

func receiveFrame(r io.Reader) (t Type, body []byte, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(header[:])
	if n == 0 || n > maxHandshakeFrame {
		return 0, nil, fmt.Errorf("a frame of %d octets", n)
	}
	body = make([]byte, n-1)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, err
	}
	return Type(header[lengthSize]), body, nil
}

// printable replaces what a terminal might obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
