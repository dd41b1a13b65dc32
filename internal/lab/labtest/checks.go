package labtest

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"mrtecopy/internal/lab"
)

// Whole ends a replay of which nothing may be missing: every command and
// connection that production counted the target counted too, the ledger
// balances with everything answered, nothing strayed, nothing waited without
// need. Of the counters named, the target may have more.
func (r *Replay) Whole(more ...string) lab.Result {
	r.T.Helper()
	production, target := r.CatchUp(more...)
	behind := time.Since(r.loaded)
	if d := lab.Difference(production, target); d != "" {
		r.T.Errorf("the target's counters differ from production's:\n%s", d)
	}
	if production["Connections"] == 0 || production["Questions"] == 0 {
		r.T.Errorf("production counted no load: %v", production)
	}
	result := r.Stop()
	// A busy server counts a client's last command late, perhaps behind the above.
	production, err := r.Production.Since(r.Ctx)
	r.must(err)
	s := &result.Summary
	if result.ExitCode != 0 {
		r.T.Errorf("mrtecopy ended with code %d, want 0", result.ExitCode)
	}
	if result.Raw == nil {
		r.T.Fatal("mrtecopy wrote no summary")
	}
	if missing := s.Missing(); missing != "" {
		r.T.Errorf("not all that was captured was replayed:\n%s", missing)
	}
	if got, want := s.Sessions.Captured, production["Connections"]; got != want {
		r.T.Errorf("captured %d sessions, but production counted %d connections", got, want)
	}
	if got, want := s.Commands.Captured, commands(production); got != want && !r.chained(production) {
		r.T.Errorf("captured %d commands, but production counted %d: %v", got, want, production)
	}
	r.Fair(result)
	r.T.Logf("%d commands of %d sessions; the target was done %v behind the load; lag p50 %.1f p99 %.1f max %.1f ms; %d segments, %d again; %d waited",
		s.Commands.Answered, s.Sessions.Replayed, behind.Round(time.Millisecond),
		s.LagMs.P50, s.LagMs.P99, s.LagMs.Max, s.Send.Segments, s.Send.Retransmits, s.Commands.Waited)
	return result
}

// commands is how many commands a client sent to a server with these counters.
// MariaDB's Questions counts them, COM_QUIT too, but neither COM_STMT_PREPARE nor
// COM_STMT_CLOSE.
func commands(c lab.Counters) int64 {
	return c["Questions"] + c["Com_stmt_prepare"] + c["Com_stmt_close"]
}

// chained reports whether the load had commands of several statements, each of
// which is a question.
func (r *Replay) chained(c lab.Counters) bool { return c["Com_call_procedure"] > 0 }

// Fair checks what must hold for every replay, lossy or not: the ledger
// balances, no command waited where it need not, no packet of ours strayed.
func (r *Replay) Fair(result lab.Result) {
	r.T.Helper()
	r.Balanced(result)
	r.Unseen(result)
}

// Balanced is what of Fair the summary tells.
func (r *Replay) Balanced(result lab.Result) {
	r.T.Helper()
	s := &result.Summary
	if b := s.Balance(); b != "" {
		r.T.Errorf("the ledger does not balance:\n%s", b)
	}
	if s.Commands.Stalled != 0 {
		r.T.Errorf("%d commands waited for a response where pipelining is allowed", s.Commands.Stalled)
	}
	if s.Capture.KernelDrops != 0 {
		r.T.Errorf("the kernel dropped %d frames", s.Capture.KernelDrops)
	}
}

// Unseen checks that nothing of ours reached the client or production's server,
// and that as many packets as mrtecopy says it sent went to the target.
func (r *Replay) Unseen(result lab.Result) {
	r.T.Helper()
	now, err := r.Lab.Seen(r.Ctx)
	r.must(err)
	d := now.Since(r.seen)
	for place, n := range d.Strays {
		r.T.Errorf("%d packets at %s that are neither a client's nor production's; flows since the lab was raised:\n%s", n, place, d.Flows[place])
	}
	if sent := result.Summary.Send.Segments; sent != d.Replayed && result.Raw != nil {
		r.T.Errorf("mrtecopy says it sent %d packets, but %d went to the target", sent, d.Replayed)
	}
	if d.Resets != 0 {
		r.T.Errorf("%d resets passed between client and production", d.Resets)
	}
}

// Only checks that a column has these reasons and no other, each with at least
// one.
func (r *Replay) Only(column string, got map[string]int64, reasons ...string) {
	r.T.Helper()
	extra := maps.Clone(got)
	for _, reason := range reasons {
		if got[reason] == 0 {
			r.T.Errorf("%s has no %s: %v", column, reason, got)
		}
		delete(extra, reason)
	}
	if len(extra) > 0 {
		r.T.Errorf("%s has %v beside %s", column, extra, strings.Join(reasons, ", "))
	}
}

// Says checks that a program's log has every one of these words, so that its
// user learns of them.
func (r *Replay) Says(log string, words ...string) {
	r.T.Helper()
	for _, w := range words {
		if !strings.Contains(log, w) {
			r.T.Errorf("the log does not say %q:\n%s", w, tail(log, 30))
		}
	}
}

// SameTables checks that a schema's tables have the same contents on both
// servers. Counting is over after it.
func (r *Replay) SameTables(schema string) {
	r.T.Helper()
	production, err := r.Lab.ProductionServer.Checksums(r.Ctx, schema)
	r.must(err)
	target, err := r.Lab.TargetServer.Checksums(r.Ctx, schema)
	r.must(err)
	if len(production) == 0 {
		r.T.Errorf("schema %s has no tables", schema)
	}
	if p, t := fmt.Sprint(production), fmt.Sprint(target); p != t {
		r.T.Errorf("schema %s: checksums on production %s, on the target %s", schema, p, t)
	}
}
