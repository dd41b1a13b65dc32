package ledger

import (
	"strings"
	"testing"
	"time"
)

func TestStatusRow(t *testing.T) {
	var c Counts
	s := NewStatus(start, false)
	c.Capture.Frames, c.Commands.Captured, c.Commands.Answered = 120340, 30210, 30200
	c.Sessions.Captured, c.Sessions.Open, c.Commands.Pending = 15, 15, 10
	c.Lag.Record(2 * time.Millisecond)
	first := s.Lines(start.Add(10*time.Second), &c)
	want := "" +
		"2026-01-02  frames/s  commands/s   answers/s  sessions/s    open  pending  lag p50  lag p99  skipped  lost cmd  lost ses  dropped\n" +
		"15:04:15       12034        3021        3020         1.5      15       10   2.01ms   2.01ms      0 %         0         0        0\n"
	if first != want {
		t.Errorf("got\n%swant\n%s", first, want)
	}
	// Nothing happens for ten seconds: rates fall to zero, gauges stay, and
	// there is no lag of this interval.
	second := s.Lines(start.Add(20*time.Second), &c)
	want = "15:04:25           0           0           0           0      15       10        -        -      0 %         0         0        0\n"
	if second != want {
		t.Errorf("got\n%swant\n%s", second, want)
	}
}

// As long as no intercept is connected, every row says so.
func TestStatusWithoutIntercept(t *testing.T) {
	s := NewStatus(start, false)
	s.Lines(start, new(Counts))
	for _, tt := range []struct {
		links Links
		want  string
	}{
		{Links{Shards: 1, Down: 1, Never: 1}, "        0  no intercept\n"},
		{Links{Shards: 1}, "        0\n"},
		{Links{Shards: 4, Down: 1}, "        0  no intercept for 1 of 4 shards\n"},
		{Links{Shards: 4, Down: 4}, "        0  no intercept\n"},
	} {
		if got := s.Lines(start.Add(time.Second), &Counts{Links: tt.links}); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%+v: %q, want …%q", tt.links, got, tt.want)
		}
	}
}

func TestStatusHeaderEveryTwentyRows(t *testing.T) {
	s := NewStatus(start, false)
	headers := 0
	for i := range 41 {
		headers += strings.Count(s.Lines(start.Add(time.Duration(i)*time.Second), new(Counts)), "frames/s")
	}
	if headers != 3 {
		t.Errorf("%d headers in 41 rows, want 3", headers)
	}
}

// A hint comes once, and again only when the matter got much worse.
func TestStatusHints(t *testing.T) {
	var c Counts
	s := NewStatus(start, false)
	now := start
	for _, step := range []struct {
		name  string
		set   func()
		hints []string
	}{
		{"nothing yet", func() {}, []string{"  nothing captured yet: does production listen on --port"}},
		{"well", func() { c.Capture.Frames, c.Sessions.Captured = 700, 100 }, nil},
		{"tls", func() { c.Sessions.Skipped[TLS] = 43 }, []string{"  tls: 43 % of sessions skipped: encrypted"}},
		{"the same", func() {}, nil},
		{"a little more", func() { c.Sessions.Skipped[TLS] = 47 }, nil},
		{"much more", func() { c.Sessions.Skipped[TLS] = 48 }, []string{"  tls: 48 % of sessions skipped"}},
		{"much less", func() { c.Sessions.Captured = 200 }, nil},
		{"commands only", func() { c.Commands.Captured, c.Commands.Skipped[StatementID] = 1000, 1 }, []string{"  statement_id: 0.1 % of commands skipped"}},
		{"lost", func() { c.Commands.Lost[CaptureGap], c.Sessions.Lost[CaptureGap] = 2, 1 },
			[]string{"  capture_gap: 2 commands and 1 session lost: frames were missed"}},
		{"a few more", func() { c.Commands.Lost[CaptureGap] = 28 }, nil},
		{"ten times as many", func() { c.Commands.Lost[CaptureGap] = 29 }, []string{"  capture_gap: 29 commands and 1 session lost"}},
		{"no answer", func() { c.Sessions.Knocking = 3 }, []string{"  no answer to the SYN of 3 sessions so far: no SYN was answered; run 'intercept route target"}},
		{"answered meanwhile", func() { c.Sessions.Knocking = 0 }, nil},
		{"drops", func() { c.Capture.KernelDrops = 1234 }, []string{"  dropped: the kernel dropped 1,234 frames"}},
		{"refused", func() { c.AddSendError("EPERM", 1); c.AddSendError("EIO", 2) },
			[]string{"  EIO: this host did not send 2 segments: they are sent again", "  EPERM: this host did not send 1 segment: a local firewall"}},
		{"still", func() { c.AddSendError("EPERM", 8) }, nil},
	} {
		step.set()
		now = now.Add(10 * time.Second)
		var hints []string
		for line := range strings.Lines(s.Lines(now, &c)) {
			if strings.HasPrefix(line, "  ") {
				hints = append(hints, line)
			}
		}
		if len(hints) != len(step.hints) {
			t.Fatalf("%s: hints %q, want %q", step.name, hints, step.hints)
		}
		for i := range hints {
			if !strings.HasPrefix(hints[i], step.hints[i]) {
				t.Errorf("%s: hint %q, want %q…", step.name, hints[i], step.hints[i])
			}
		}
	}
}

func TestColour(t *testing.T) {
	var c Counts
	c.Sessions.Captured, c.Sessions.Lost[TargetClosed] = 1, 1
	for _, color := range []bool{true, false} {
		lines := NewStatus(start, color).Lines(start.Add(time.Second), &c)
		sum := NewSummary("v1", start, start, false, &c)
		for what, text := range map[string]string{"status": lines, "table": sum.Table(color)} {
			if got := strings.Contains(text, "\x1b["); got != color {
				t.Errorf("%s with color %v: escapes %v", what, color, got)
			}
			if strings.Count(text, "\x1b[") != 2*strings.Count(text, "\x1b[0m") {
				t.Errorf("%s: colours are not taken back", what)
			}
		}
	}
}

func TestTable(t *testing.T) {
	var c Counts
	c.Commands.Captured, c.Commands.Answered, c.Commands.Errors = 1_200_000, 1_199_990, 7
	c.Commands.Lost[CaptureGap], c.Commands.Lost[NotSent], c.Commands.Pending = 5, 2, 3
	c.Sessions.Captured, c.Sessions.Replayed, c.Sessions.Skipped[TLS], c.Sessions.Open = 10, 5, 4, 1
	c.Sessions.PortChanged = 1
	c.Capture.Frames, c.Capture.Bytes, c.Capture.KernelDrops = 2_400_000, 1<<30, 12
	c.Send.Segments, c.Send.Bytes, c.Send.Retransmits = 1000, 1500000, 1
	c.AddSendError("EMSGSIZE", 2)
	c.Lag.Record(300 * time.Millisecond)
	s := NewSummary("v1", start, start.Add(90*time.Second), true, &c)
	got := s.Table(false)
	want := `mrtecopy v1, 1m30s from 2026-01-02 15:04:05 to 2026-01-02 15:05:35, interrupted
commands
  captured                    1,200,000
  answered                    1,199,990  >99.9 %  of these with an error: 7
  skipped                             0
  lost                                7   <0.1 %
    capture_gap                       5   <0.1 %  frames were missed; see the dropped column, and try a larger --ring or more --shards
    not_sent                          2   <0.1 %  sessions ended before these commands could be sent; a longer --drain may help at the end
  pending                             3   <0.1 %  sent, not answered when the program ended; see --drain
sessions
  captured                           10
  replayed                            5     50 %  from another port: 1
  skipped                             4     40 %
    tls                               4     40 %  encrypted sessions cannot be read on the wire; let the clients connect without TLS if you can
  lost                                0
  open                                1     10 %
capture
  frames                      2,400,000           1.0 GiB
  dropped                            12           by the kernel, since the ring was full; try a larger --ring or more --shards
sent
  segments                        1,000           1.4 MiB
  again                               1    0.1 %
  EMSGSIZE                            2           larger than the route's MTU; see 'ip route get TARGET'
lag
  p50 301ms, p99 301ms, longest 301ms

finished with losses
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	empty := NewSummary("v1", start, start, false, new(Counts))
	if !strings.HasSuffix(empty.Table(false), "\nnothing was captured: "+nothingHint+"\n") {
		t.Errorf("an empty run ends with\n%s", empty.Table(false))
	}
}

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{short(0), "0"}, {short(0.25), "0.2"}, {short(9.96), "10"}, {short(12034.4), "12034"}, {short(999_999), "999999"}, {short(1e6), "1.0M"}, {short(2.5e9), "2.5G"},
		{brief(0), "0.00ms"}, {brief(420 * time.Microsecond), "0.42ms"}, {brief(210 * time.Millisecond), "210ms"}, {brief(3400 * time.Millisecond), "3.4s"},
		{brief(130 * time.Second), "2.2min"}, {brief(2 * time.Hour), "2.0h"},
		{percent(0, 0), "0 %"}, {percent(0, 5), "0 %"}, {percent(5, 5), "100 %"}, {percent(1, 1e6), "<0.1 %"}, {percent(999999, 1e6), ">99.9 %"},
		{percent(43, 100), "43 %"}, {percent(995, 1000), "99.5 %"}, {percent(21, 1000), "2.1 %"},
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(1234567), "1,234,567"},
		{bytesize(999), "999 B"}, {bytesize(1 << 20), "1.0 MiB"}, {bytesize(1 << 63), "8.0 EiB"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}
