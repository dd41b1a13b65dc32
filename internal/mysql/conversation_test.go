package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A conversation is what a client and a real server said to each other on one
// connection. testdata/*.bin holds some, made by testdata/record.sh.
//
// On disk each turn is: 'C' or 'S' (who speaks) | int<4> size | bytes.
type conversation []turn

type turn struct {
	server bool
	bytes  []byte
}

func readConversation(file string) (conversation, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var c conversation
	for len(b) > 0 {
		if len(b) < 5 || b[0] != 'C' && b[0] != 'S' {
			return nil, fmt.Errorf("read %s: not a conversation", file)
		}
		n := int(binary.LittleEndian.Uint32(b[1:]))
		if len(b)-5 < n {
			return nil, fmt.Errorf("read %s: cut short", file)
		}
		c = append(c, turn{b[0] == 'S', b[5 : 5+n]})
		b = b[5+n:]
	}
	return c, nil
}

// stream returns all that one side said.
func (c conversation) stream(server bool) []byte {
	var b []byte
	for _, t := range c {
		if t.server == server {
			b = append(b, t.bytes...)
		}
	}
	return b
}

// A packet is one packet of a stream, with its place in it.
type packet struct {
	Header
	payload []byte
	end     int // offset behind it
}

// packets cuts a stream into packets. It knows nothing of responses.
func packets(stream []byte) ([]packet, error) {
	var ps []packet
	for off := 0; off < len(stream); {
		h, ok := ParseHeader(stream[off:])
		if !ok || len(stream)-off-HeaderSize < h.Length {
			return nil, errors.New("the stream ends within a packet")
		}
		off += HeaderSize + h.Length
		ps = append(ps, packet{h, stream[off-h.Length : off], off})
	}
	return ps, nil
}

// asked returns the kinds of response that a client's stream asks for, and its
// login.
func asked(client []byte) ([]Kind, Login, error) {
	ps, err := packets(client)
	if err != nil {
		return nil, Login{}, err
	}
	if len(ps) == 0 {
		return nil, Login{}, errors.New("no login")
	}
	login, err := ParseLogin(ps[0].payload)
	if err != nil {
		return nil, Login{}, err
	}
	kinds := []Kind{KindGreeting, KindLogin}
	for _, p := range ps[1:] {
		if p.Sequence == 0 { // a command; the others are authentication, files, and more of a command
			kinds = append(kinds, Kind(p.payload[0]))
		}
	}
	return kinds, login, nil
}

// ends returns the offsets behind each response of a server's stream by
// another way than the Tracker's: the sequence id begins anew with each
// command. That cannot tell one thing: a response whose last id is 0.
func ends(server []byte) ([]int, error) {
	ps, err := packets(server)
	if err != nil {
		return nil, err
	}
	if len(ps) == 0 {
		return nil, errors.New("no greeting")
	}
	all := []int{ps[0].end} // the greeting
	for i, p := range ps[1:] {
		last := i+2 == len(ps)
		if last || ps[i+2].Sequence <= 1 && ps[i+2].Sequence != p.Sequence+1 { // 0: an ERR of the server's own
			all = append(all, p.end)
		}
	}
	return all, nil
}

// newTracker returns a Tracker for a conversation whose first packets are
// these, with all kinds pushed.
func newTracker(greeting []byte, login Login, kinds []Kind) (*Tracker, error) {
	g, err := ParseGreeting(greeting)
	if err != nil {
		return nil, err
	}
	t := new(Tracker)
	t.SetCapabilities(g.Capabilities&login.Capabilities, g.Extended&login.Extended)
	for _, k := range kinds {
		t.Push(k)
	}
	return t, nil
}

// describe returns what an Event says, for the golden files.
func describe(e Event) string {
	switch {
	case e.Type == End && e.Cut:
		return fmt.Sprintf("%v ends without an end", e.Kind)
	case e.Type == End && e.Err:
		return fmt.Sprintf("%v ends in an error, seq %d", e.Kind, e.Sequence)
	case e.Type == End:
		return fmt.Sprintf("%v ends, seq %d", e.Kind, e.Sequence)
	}
	s := fmt.Sprintf("  %v seq %d: ", e.Kind, e.Sequence)
	if err, ok := ParseError(e.Payload); ok {
		return s + err.Error()
	}
	if e.Kind == KindGreeting {
		g, err := ParseGreeting(e.Payload)
		if err != nil {
			return s + err.Error()
		}
		return s + fmt.Sprintf("%s, capabilities %08x, extended %02x, charset %d, status %04x, %s", g.Version, uint32(g.Capabilities), uint32(g.Extended), g.Charset, g.Status, g.Plugin)
	}
	if id, columns, params, ok := ParsePrepareOK(e.Payload); ok && e.Kind == Kind(ComStmtPrepare) {
		return s + fmt.Sprintf("statement %d, %d columns, %d parameters", id, columns, params)
	}
	if len(e.Payload) > 0 && e.Payload[0] == localFileHeader {
		return s + fmt.Sprintf("wants file %q", e.Payload[1:])
	}
	if sw, err := ParseAuthSwitch(e.Payload); err == nil {
		return s + fmt.Sprintf("switch to %s, %d bytes", sw.Plugin, len(sw.Data))
	}
	if len(e.Payload) > 0 && e.Payload[0] == okHeader {
		return s + "OK"
	}
	return s + fmt.Sprintf("%d bytes of the plugin", len(e.Payload))
}

// check runs the conversation through a Tracker and compares where responses
// end with ends. It returns a description of what the Tracker saw.
func (c conversation) check(tb testing.TB) string {
	tb.Helper()
	kinds, login, err := asked(c.stream(false))
	if err != nil {
		tb.Fatal("client's stream: ", err)
	}
	server := c.stream(true)
	want, err := ends(server)
	if err != nil {
		tb.Fatal("server's stream: ", err)
	}
	tracker, err := newTracker(server[HeaderSize:want[0]], login, kinds)
	if err != nil {
		tb.Fatal(err)
	}
	var seen strings.Builder
	var got []int
	for off, have := 0, 0; off < len(server); { // byte by byte, so that the place of each event is known
		n, events := tracker.Feed(server[off:have], nil)
		off += n
		for _, e := range events {
			fmt.Fprintln(&seen, describe(e))
			if e.Type == End {
				got = append(got, off)
			}
		}
		if have == len(server) {
			if n == 0 {
				break
			}
			continue
		}
		have++
	}
	if tracker.Broken() {
		tb.Errorf("broken after %d responses; saw\n%s", len(got), &seen)
	}
	// An ERR of the server's own ends the list of ends, but no response.
	if n := len(want); n > 0 && len(got) == n-1 {
		last := 0
		if n > 1 {
			last = want[n-2]
		}
		if p, ok := tracker.Unsolicited(server[last:]); ok {
			e, _ := ParseError(p)
			fmt.Fprintln(&seen, "of its own accord:", e.Error())
			want = want[:n-1]
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		tb.Errorf("responses end at\n%v, want\n%v; saw\n%s", got, want, &seen)
	}
	fmt.Fprintf(&seen, "pending %d\n", tracker.Pending())
	return seen.String()
}
