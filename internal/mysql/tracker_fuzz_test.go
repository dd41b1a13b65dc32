package mysql

import (
	"bytes"
	"fmt"
	"testing"
)

// A script is what the tracker's fuzz tests work on: a stream, and what was
// sent for it.
type script struct {
	caps   Capabilities
	ext    Extended
	kinds  []byte
	stream []byte
}

// trace is all that can be seen of a Tracker that was given a stream.
type trace struct {
	events   []string
	consumed int
	broken   bool
	pending  int
	at       Snapshot
}

func (s script) tracker() *Tracker {
	t := new(Tracker)
	t.SetCapabilities(s.caps, s.ext)
	return t
}

// whole gives a Tracker the stream at once.
func (s script) whole() trace {
	t := s.tracker()
	for _, k := range s.kinds {
		t.Push(Kind(k))
	}
	n, events := t.Feed(s.stream, nil)
	return trace{copied(events), n, t.Broken(), t.Pending(), t.Snapshot()}
}

// copied makes comparable copies of events, which are views.
func copied(events []Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, fmt.Sprintf("%d %v %d %x %v %v", e.Type, e.Kind, e.Sequence, e.Payload, e.Err, e.Cut))
	}
	return all
}

func (a trace) diff(b trace) string {
	if fmt.Sprint(a) != fmt.Sprint(b) {
		return fmt.Sprintf("saw\n%+v, and at once\n%+v", a, b)
	}
	return ""
}

// script returns the server's side of a conversation.
func (c conversation) script(tb testing.TB) script {
	kinds, login, err := asked(c.stream(false))
	if err != nil {
		tb.Fatal(err)
	}
	s := script{stream: c.stream(true)}
	g, err := ParseGreeting(s.stream[HeaderSize : HeaderSize+int(s.stream[0])])
	if err != nil {
		tb.Fatal(err)
	}
	s.caps, s.ext = g.Capabilities&login.Capabilities, g.Extended&login.Extended
	for _, k := range kinds {
		s.kinds = append(s.kinds, byte(k))
	}
	return s
}

// The properties of FuzzTracker and FuzzSnapshot, for all that was recorded.
func TestConversationsInPieces(t *testing.T) {
	for name, c := range conversations(t) {
		t.Run(name, func(t *testing.T) {
			s := c.script(t)
			for _, cuts := range [][]byte{nil, bytes.Repeat([]byte{6, 5, 4, 3, 2, 1}, 3000), bytes.Repeat([]byte{255, 101, 254}, 100)} {
				s.checkCuts(t, cuts)
				s.checkSnapshots(t, cuts)
			}
		})
	}
}

// addScripts seeds f with the shorter of the recorded conversations (long ones
// slow the fuzzer down) and with some of the tables' streams.
func addScripts(f *testing.F) {
	for _, c := range conversations(f) {
		if s := c.script(f); len(s.stream) < 1500 {
			f.Add(uint32(s.caps), uint32(s.ext), s.kinds, s.stream, []byte{1, 7, 200, 3, 90})
		}
	}
	for _, caps := range []Capabilities{0, ClientDeprecateEOF, ClientOptionalResultsetMetadata, ClientOptionalResultsetMetadata | ClientDeprecateEOF} {
		for _, stream := range []string{
			pkts(1, "\x02", def, def, eofPlain, row, row, eofPlain) + pkt(1, okPlain),
			pkts(1, "\x01", def, row, endMore, okMore, "\x01", def, row, endPlain),
			pkts(1, "\x01", def, okPlain) + pkt(1, okPlain),
			pkts(1, "\x01", def, eofOut, binaryRow, eofPlain, okPlain),
			pkts(1, progress, "\x01", progress, def, progress, row, progress, endPlain),
			pkts(1, prepare21, def, eofPlain, def, def, eofPlain),
			pkt(1, "\xfbx.csv") + pkts(9, okMore, okPlain),
			pkt(0, errPlain),
			string(AppendHeader(nil, MaxPayload, 1)) + "xyz",
		} {
			f.Add(uint32(caps), uint32(0), []byte{byte(ComQuery), byte(ComPing)}, []byte(stream), []byte{5, 0, 1})
			f.Add(uint32(caps), uint32(0), []byte{byte(ComStmtPrepare), byte(ComStmtExecute)}, []byte(stream), []byte{255})
			f.Add(uint32(caps), uint32(MariaDBCacheMetadata), []byte{byte(ComStmtFetch), byte(ComBinlogDump)}, []byte(stream), []byte{1})
		}
	}
}

func FuzzTracker(f *testing.F) {
	addScripts(f)
	f.Fuzz(func(t *testing.T, caps, ext uint32, kinds, stream, cuts []byte) {
		script{Capabilities(caps), Extended(ext), kinds, stream}.checkCuts(t, cuts)
	})
}

// checkCuts checks that what a Tracker sees does not depend on how the stream
// is cut, on when a kind is pushed, or on whether the bytes it skips are
// there. Each of cuts is the size of a piece. In front of one divisible by
// three all kinds are pushed, else the next one when none is pending; behind an
// odd one as many bytes are left out, as far as they can be.
func (s script) checkCuts(t *testing.T, cuts []byte) {
	t.Helper()
	var got trace
	k := s.tracker()
	at, have, pushed := 0, 0, 0 // in the stream: consumed, offered; in the kinds
	for {
		size := 1
		if len(cuts) > 0 {
			size, cuts = int(cuts[0]), cuts[1:]
		}
		for pushed < len(s.kinds) && (k.Pending() == 0 || size%3 == 0) {
			k.Push(Kind(s.kinds[pushed]))
			pushed++
		}
		n, events := k.Feed(bytes.Clone(s.stream[at:have]), nil)
		got.events = append(got.events, copied(events)...)
		if n < 0 || n > have-at {
			t.Fatalf("consumed %d of %d bytes", n, have-at)
		}
		at += n
		if have == len(s.stream) && (k.Pending() > 0 || pushed == len(s.kinds)) {
			break
		}
		if size%2 == 1 {
			skip := min(k.Skippable(), size, len(s.stream)-at)
			got.events = append(got.events, copied(k.Skip(skip, nil))...)
			at += skip
			have = max(have, at)
		}
		have = min(have+size, len(s.stream))
	}
	for ; pushed < len(s.kinds); pushed++ {
		k.Push(Kind(s.kinds[pushed]))
	}
	got.consumed, got.broken, got.pending, got.at = at, k.Broken(), k.Pending(), k.Snapshot()
	if d := got.diff(s.whole()); d != "" {
		t.Fatal(d)
	}
	if n, events := k.Feed(s.stream[at:], nil); n != 0 || len(events) != 0 {
		t.Fatalf("consumed %d more bytes when asked again, and saw %v", n, copied(events))
	}
	k.Unsolicited(s.stream[at:])
}

func FuzzSnapshot(f *testing.F) {
	addScripts(f)
	f.Fuzz(func(t *testing.T, caps, ext uint32, kinds, stream, cuts []byte) {
		script{Capabilities(caps), Extended(ext), kinds, stream}.checkSnapshots(t, cuts)
	})
}

// checkSnapshots checks that a Tracker restored from a Snapshot goes on as the
// one it was taken of, behind each piece of the stream.
func (s script) checkSnapshots(t *testing.T, cuts []byte) {
	t.Helper()
	var got trace
	var waiting []Kind // what a process that goes on must be told
	k := s.tracker()
	for _, c := range s.kinds {
		if Command(c).HasResponse() {
			waiting = append(waiting, Kind(c))
		}
		k.Push(Kind(c))
	}
	for have := 0; ; {
		n, events := k.Feed(s.stream[got.consumed:have], nil)
		got.events = append(got.events, copied(events)...)
		got.consumed += n
		for _, e := range events {
			if e.Type == End {
				waiting = waiting[1:]
			}
		}
		at := k.Snapshot()
		if b := at.Encode(); DecodeSnapshot(b) != at || DecodeSnapshot(b).Encode() != b {
			t.Fatalf("%+v does not survive its encoding %x", at, b)
		}
		k = s.tracker()
		k.Restore(DecodeSnapshot(at.Encode()))
		for _, w := range waiting {
			k.Push(w)
		}
		if have == len(s.stream) {
			break
		}
		size := 1
		if len(cuts) > 0 {
			size, cuts = int(cuts[0]), cuts[1:]
		}
		have = min(have+size, len(s.stream))
	}
	got.broken, got.pending, got.at = k.Broken(), k.Pending(), k.Snapshot()
	if d := got.diff(s.whole()); d != "" {
		t.Fatal(d)
	}
}

// Whatever another process sends as a Snapshot, framing goes on or is broken.
func FuzzRestore(f *testing.F) {
	f.Add(make([]byte, SnapshotSize), []byte{byte(ComQuery)}, []byte(pkt(1, okPlain)))
	f.Add([]byte{byte(stateColumns), 1, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0}, []byte{byte(ComQuery)}, []byte("xyz"+pkts(2, def, def, eofPlain, row, eofPlain)))
	f.Add([]byte{byte(stateEnd), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{byte(ComQuery)}, []byte(pkt(2, "")))
	f.Fuzz(func(t *testing.T, snapshot, kinds, stream []byte) {
		if len(snapshot) != SnapshotSize {
			return
		}
		var k Tracker
		k.Restore(DecodeSnapshot([SnapshotSize]byte(snapshot)))
		for _, c := range kinds {
			k.Push(Kind(c))
		}
		n, events := k.Feed(stream, nil)
		if n > len(stream) {
			t.Fatalf("consumed %d of %d bytes", n, len(stream))
		}
		ended := 0
		for _, e := range events {
			if e.Type == End {
				ended++
			}
		}
		if pushed := len(kinds) - bytes.Count(kinds, []byte{byte(ComQuit)}) - bytes.Count(kinds, []byte{byte(ComStmtClose)}) - bytes.Count(kinds, []byte{byte(ComStmtSendLongData)}); pushed != ended+k.Pending() {
			t.Fatalf("%d pushed, %d ended, %d pending", pushed, ended, k.Pending())
		}
	})
}
