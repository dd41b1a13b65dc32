package commands

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
)

// Every command that a client can send, replayed between servers of the same and
// of other families.
func TestCommands(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.String(), func(t *testing.T) {
			l := p.raise(t)
			for _, load := range []struct {
				name string
				args []string
				only string // production's family
			}{
				{"prepared, failed, closed, prepared again", []string{"-n", "20", "statements"}, ""},
				{"every type of parameter", []string{"-n", "2", "types"}, ""},
				{"long data of 20 MB", []string{"-size", "20000000", "longdata"}, ""},
				{"cursors", []string{"-n", "5", "cursors"}, ""},
				{"several statements, another user, reset", []string{"-n", "12", "chains"}, ""},
				{"reset, where production has it and where not", []string{"-n", "3", "resetting"}, ""},
				{"commands that nobody sends much", []string{"-n", "5", "others"}, ""},
				{"bulk inserts and id -1", []string{"-n", "20", "bulk"}, "mariadb"},
				{"random, fixed seed", []string{"-n", "3", "-each", "300", "-threads", "4", "-seed", "20261121", "random"}, ""},
			} {
				if !strings.HasPrefix(p.production, load.only) {
					continue
				}
				t.Run(load.name, func(t *testing.T) {
					o := replay(t, l, load.args...)
					var want expected
					if p.production == "mysql-5.6" && slices.Contains(load.args, "resetting") {
						// It has no COM_RESET_CONNECTION, and keeps its statements: the target may not reset.
						want = expected{skipped: map[string]int64{"dialect": 3}, errors: -3}
					}
					o.judge(t, p, want)
					sameContents(t, l, "app")
				})
			}
			fresh := 3 * time.Second
			if p.same() {
				fresh *= 2
			}
			t.Run("random, fresh seed", func(t *testing.T) { p.random(t, l, fresh, 0) })
			t.Run("random, the target pauses", func(t *testing.T) { p.pauses(t, l) })
			t.Run("LOAD DATA LOCAL", func(t *testing.T) { p.local(t, l) })
			t.Run("sysbench", func(t *testing.T) { p.sysbench(t, l) })
			if strings.HasPrefix(p.production, "mariadb") {
				t.Run("Node's bulk inserts", func(t *testing.T) { p.node(t, l) })
				t.Run("policy", func(t *testing.T) { p.policies(t, l) })
			}
		})
	}
}

// random is a random load from a seed that nobody has seen yet.
func (p pair) random(t *testing.T, l *lab.Lab, d, pause time.Duration) outcome {
	seed := time.Now().UnixNano() % 1e9
	t.Logf("seed %d", seed)
	o := replay(t, l, "-for", d.String(), "-pause", pause.String(), "-each", "300", "-threads", "4", "-seed", fmt.Sprint(seed), "random")
	o.judge(t, p, expected{})
	n := sameContents(t, l, "app")
	t.Logf("seed %d: %d commands of %d sessions, %d of them failed, in %.1f s; the target was done after %.1f s; %d tables are the same",
		seed, o.load.Commands, o.load.Connections, o.load.Errors, o.load.Seconds, o.seconds, n)
	return o
}

// pauses stops the target for longer than the load takes: all that sessions did
// in the meantime has to wait, and then to find its way.
func (p pair) pauses(t *testing.T, l *lab.Lab) {
	r := begin(t, l)
	paused := make(chan error, 1)
	go func() {
		time.Sleep(200 * time.Millisecond)
		paused <- l.TargetServer.Pause(r.Ctx, 3*time.Second)
	}()
	said := r.Load("-n", "2", "-each", "1500", "-threads", "3", "-seed", "20261126", "random")
	must(t, <-paused)
	o := end(t, r)
	o.load = said
	o.judge(t, p, expected{})
	sameContents(t, l, "app")
}

// local loads a file of 5 MB, on a target that takes it and on one that does not:
// there the LOAD is an error, the file is not sent, and the session goes on.
func (p pair) local(t *testing.T, l *lab.Lab) {
	const size = 5_000_000
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprintf("local_infile %v", on), func(t *testing.T) {
			must(t, l.TargetServer.Exec(t.Context(), fmt.Sprintf("SET GLOBAL local_infile = %v", on)))
			defer func() { must(t, l.TargetServer.Exec(t.Context(), "SET GLOBAL local_infile = ON")) }()
			o := replay(t, l, "-size", fmt.Sprint(size), "local")
			if on {
				o.judge(t, p, expected{})
				sameContents(t, l, "app")
				return
			}
			// The two that production took.
			o.judge(t, p, expected{errors: 2})
			if sent := o.sentBytes(t); sent > size/10 {
				t.Errorf("%d bytes were sent to a target that has not asked for the file", sent)
			}
			n, err := l.TargetServer.Number(t.Context(), "SELECT COUNT(*) FROM app.loaded")
			must(t, err)
			if n != 1 {
				t.Errorf("%d rows on the target, want the one behind the file", n)
			}
		})
	}
}

// sysbench runs it with prepared statements: many readers, and one reader and writer.
func (p pair) sysbench(t *testing.T, l *lab.Lab) {
	for _, load := range []struct {
		name    string
		threads int
	}{{"oltp_read_only", 6}, {"oltp_read_write", 1}} {
		t.Run(load.name, func(t *testing.T) {
			sameBench(t, l)
			r := begin(t, l)
			r.Client("sysbench", lab.BenchArgs(load.name, l.Production.V4.String(), load.threads, 2)...)
			o := end(t, r)
			// sysbench prepares a BEGIN, which MySQL refuses and MariaDB takes; then it
			// sends one as text.
			var want expected
			if strings.HasPrefix(p.production, "mysql") && strings.HasPrefix(p.target, "mariadb") {
				want.errors = -int64(load.threads)
			}
			o.judge(t, p, want)
			if o.production["Com_stmt_execute"] < 100 {
				t.Errorf("production counted %d executions", o.production["Com_stmt_execute"])
			}
			sameContents(t, l, "sbtest")
		})
	}
}

// node is the driver that executes by the id -1 and inserts in bulk.
func (p pair) node(t *testing.T, l *lab.Lab) {
	const rounds = 30
	r := begin(t, l)
	r.Client("env", "NODE_PATH="+l.File(".lab/node/node_modules"), "node", l.File("e2e/matrix/clients/node/bulk.js"),
		l.Production.V4.String(), lab.AppUser, lab.AppPassword, fmt.Sprint(rounds))
	o := end(t, r)
	o.judge(t, p, expected{})
	sameContents(t, l, "app")
	if o.Summary.Commands.Errors == 0 {
		t.Error("no command failed, but some ask for a table that is missing")
	}
}
