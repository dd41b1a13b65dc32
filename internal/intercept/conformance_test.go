package intercept

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// TestConformance has the conversations of testdata/tcp (README.txt there tells
// their language) with our end of a connection, the receiver and a tcpstate.Conn
// joined by reports: once with a report for each segment, once with all segments
// that come together merged into one.
func TestConformance(t *testing.T) {
	for _, s := range readScripts(t) {
		for _, merged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/merged=%v", s.name, merged), func(t *testing.T) {
				if err := s.run("ours", newOurs(merged)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestConformanceOfLinux has the same conversations with a socket of the kernel,
// whose timers go on while the test may stand still: so it may fail twice.
func TestConformanceOfLinux(t *testing.T) {
	for _, s := range readScripts(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // nearly all of the time is spent waiting
			for try := 1; ; try++ {
				err := s.run("linux", newKernel(t, netnstest.New(t)))
				if err == nil {
					return
				}
				if t.Logf("try %d: %v", try, err); try == 3 {
					t.FailNow()
				}
			}
		})
	}
}

// A subject is a TCP end that connects, and what its application and the
// script's peer do to it.
type subject interface {
	connect(wire.Flow)
	write(n int)
	close()                                      // its direction
	abort()                                      // with a RST
	keepAlive()                                  // sends one
	receive(*wire.Segment)                       // from the peer
	next(within time.Duration) *wire.Segment     // what it sends; nil: nothing
	is(state string, within time.Duration) error // comes to that state
}

// A script is a conversation.
type script struct {
	name  string
	lines []string // what is not blank or a comment, with its number
}

func readScripts(t *testing.T) (all []script) {
	files, err := filepath.Glob("testdata/tcp/*.test")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s := script{name: strings.TrimSuffix(filepath.Base(f), ".test")}
		for i, line := range strings.Split(string(b), "\n") {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" {
				s.lines = append(s.lines, fmt.Sprintf("%d: %s", i+1, line))
			}
		}
		all = append(all, s)
	}
	return all
}

var scriptFlow = wire.Flow{
	Src: wire.Endpoint{Addr: wire.Addr{10: 0xff, 11: 0xff, 12: 10, 13: 9, 15: 1}, Port: 40000},
	Dst: wire.Endpoint{Addr: wire.Addr{10: 0xff, 11: 0xff, 12: 10, 13: 9, 15: 2}, Port: 3306},
}

// peerISS is the peer's initial sequence number: its data crosses the wrap.
const peerISS seq.Num = 0xffffff00

// A talk is a script that is being run.
type talk struct {
	subject
	iss seq.Num // the subject's
}

const (
	answerPatience = 20 * time.Second       // for what must come
	noAnswer       = 100 * time.Millisecond // less than any timer but a delayed ACK's
)

// run has the conversation with a subject of the given kind.
func (s *script) run(kind string, on subject) error {
	k := talk{subject: on}
	for _, line := range s.lines {
		_, text, _ := strings.Cut(line, ": ")
		if who, rest, ok := strings.Cut(text, ": "); ok {
			if who != kind {
				continue
			}
			text = rest
		}
		if err := k.step(strings.Fields(text)); err != nil {
			return fmt.Errorf("line %s: %w", line, err)
		}
	}
	if g := k.next(0); g != nil {
		return fmt.Errorf("at the end it sends %s", k.show(g))
	}
	return nil
}

func (k *talk) step(words []string) error {
	switch words[0] {
	case "connect":
		k.connect(scriptFlow)
	case "write":
		n, err := strconv.Atoi(words[1])
		if err != nil {
			return err
		}
		k.write(n)
	case "close":
		k.close()
	case "abort":
		k.abort()
	case "keepalive":
		k.keepAlive()
	case "quiet":
		if g := k.next(noAnswer); g != nil {
			return fmt.Errorf("it sends %s", k.show(g))
		}
	case "whatever":
		for k.next(noAnswer) != nil {
		}
	case "state":
		return k.is(words[1], answerPatience)
	case "<":
		m, err := parseMatch(words[1:])
		if err == nil {
			k.receive(k.segment(m))
		}
		return err
	case ">":
		m, err := parseMatch(words[1:])
		if err == nil {
			err = k.expect(m)
		}
		return err
	default:
		return fmt.Errorf("what is %q?", words[0])
	}
	return nil
}

// A match is a segment as a script writes it, numbers counted from the initial
// ones.
type match struct {
	flags      wire.Flags
	start, end int
	ack        int
	hasAck     bool
	win        int
	options    wire.Options
	sack       [][2]int
	hasSACK    bool
}

func parseMatch(words []string) (m match, err error) {
	for _, c := range words[0] {
		i := strings.IndexRune("FSRPA", c)
		if i < 0 {
			return m, fmt.Errorf("there is no flag %c", c)
		}
		m.flags |= [...]wire.Flags{wire.FIN, wire.SYN, wire.RST, wire.PSH, wire.ACK}[i]
	}
	if m.win = 5000; m.flags.Has(wire.SYN) {
		m.win = 65535 // it is not scaled
	}
	if m.start, m.end, err = parseRange(words[1]); err != nil {
		return m, err
	}
	for i := 2; i < len(words); i++ {
		number := func() (n int) {
			if i++; i < len(words) {
				n, err = strconv.Atoi(words[i])
			}
			return n
		}
		switch words[i] {
		case "ack":
			m.ack, m.hasAck = number(), true
		case "win":
			m.win = number()
		case "mss":
			m.options.MSS = uint16(number())
		case "wscale":
			m.options.HasWScale = true
			if i+1 < len(words) && '0' <= words[i+1][0] && words[i+1][0] <= '9' {
				m.options.WScale = uint8(number())
			}
		case "sackok":
			m.options.SACKPermitted = true
		case "sack":
			for m.hasSACK = true; i+1 < len(words) && err == nil; {
				var b [2]int
				i++
				b[0], b[1], err = parseRange(words[i])
				m.sack = append(m.sack, b)
			}
		default:
			err = fmt.Errorf("what is %q?", words[i])
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// parseRange reads "from:to", or "at" for no octets.
func parseRange(s string) (from, to int, err error) {
	a, b, ok := strings.Cut(s, ":")
	if from, err = strconv.Atoi(a); err != nil || !ok {
		return from, from, err
	}
	to, err = strconv.Atoi(b)
	return from, to, err
}

// segment makes the peer's segment.
func (k *talk) segment(m match) *wire.Segment {
	g := &wire.Segment{
		Flow: scriptFlow.Reverse(), Seq: peerISS.Add(m.start), Flags: m.flags, Window: uint16(m.win),
		Options: m.options, Payload: make([]byte, m.end-m.start),
	}
	if m.flags.Has(wire.ACK) {
		g.Ack = k.iss.Add(m.ack)
	}
	for i, b := range m.sack {
		g.Options.SACK[i] = wire.Block{Start: k.iss.Add(b[0]), End: k.iss.Add(b[1])}
		g.Options.NSACK++
	}
	return g
}

// expect takes the segments that the subject sends next, until m is there: how
// its octets are cut, and where PSH is set, is nobody's business.
func (k *talk) expect(m match) error {
	for {
		g := k.next(answerPatience)
		if g == nil {
			return fmt.Errorf("it sends nothing")
		}
		if g.Flags.Has(wire.SYN) {
			k.iss = g.Seq
		}
		at, n := k.iss.To(g.Seq), len(g.Payload)
		last := at+n >= m.end
		want := m.flags
		if !last {
			want &^= wire.FIN
		}
		var sack [][2]int
		for _, b := range g.Options.SACK[:g.Options.NSACK] {
			sack = append(sack, [2]int{peerISS.To(b.Start), peerISS.To(b.End)})
		}
		o := g.Options
		switch {
		case g.Flags&^wire.PSH != want, at != m.start, at+n > m.end, n == 0 && m.end > m.start,
			m.hasAck && g.Flags.Has(wire.ACK) && peerISS.To(g.Ack) != m.ack,
			m.options.MSS != 0 && m.options.MSS != o.MSS, m.options.HasWScale && !o.HasWScale,
			m.options.SACKPermitted && !o.SACKPermitted,
			m.hasSACK && !slices.Equal(m.sack, sack):
			return fmt.Errorf("it sends %s", k.show(g))
		}
		if m.start += n; last {
			return nil
		}
	}
}

// show writes a segment of the subject as a script would.
func (k *talk) show(g *wire.Segment) string {
	at := k.iss.To(g.Seq)
	s := fmt.Sprintf("%v %d:%d", g.Flags, at, at+len(g.Payload))
	if g.Flags.Has(wire.ACK) {
		s += fmt.Sprintf(" ack %d", peerISS.To(g.Ack))
	}
	o := g.Options
	if o.MSS != 0 {
		s += fmt.Sprintf(" mss %d", o.MSS)
	}
	if o.HasWScale {
		s += fmt.Sprintf(" wscale %d", o.WScale)
	}
	if o.SACKPermitted {
		s += " sackok"
	}
	for i, b := range o.SACK[:o.NSACK] {
		if i == 0 {
			s += " sack"
		}
		s += fmt.Sprintf(" %d:%d", peerISS.To(b.Start), peerISS.To(b.End))
	}
	return s
}
