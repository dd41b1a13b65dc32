package adopt

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// observerPassword is that of the account with which production is asked.
const observerPassword = "observer-secret"

// grants are the least privileges that docs/operations.md tells.
var grants = []string{
	"CREATE USER observer@'%' IDENTIFIED BY '" + observerPassword + "'",
	"GRANT PROCESS ON *.* TO observer@'%'",
	"GRANT SELECT ON performance_schema.* TO observer@'%'",
}

// poolTable is where pools write down what state they find.
const poolTable = "CREATE TABLE app.pool (thread INT, round INT, n BIGINT, word VARCHAR(100), at DATETIME, bytes VARBINARY(20), state VARCHAR(400), PRIMARY KEY (thread, round)) DEFAULT CHARSET utf8mb4"

// flags are a server's, with performance_schema on or off.
func flags(schema string) []string {
	var f []string
	for _, flag := range lab.SmallServer {
		if !strings.HasPrefix(flag, "--performance-schema=") {
			f = append(f, flag)
		}
	}
	return append(f, "--performance-schema="+schema)
}

// raise raises the lab of a pair.
func raise(t *testing.T, production, target, schema string) *lab.Lab {
	t.Helper()
	l := labtest.Own(t, lab.Options{
		Production: lab.Server{Version: production, Flags: flags(schema), TLS: true},
		Target:     lab.Server{Version: target},
	})
	must(t, l.ProductionServer.Exec(t.Context(), grants...))
	for _, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
		must(t, s.Exec(t.Context(), "CREATE DATABASE other"))
	}
	return l
}

// pause is how long pools rest between two rounds.
const pause = 50 * time.Millisecond

// inUse is for how long what was adopted is to be used: $ADOPT; 0: briefly.
func inUse(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("ADOPT")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

// rounds is how many rounds a session of a pool is used for: a few, or about as
// many as fit. A round's commands take three times as long as its pause.
func rounds(t *testing.T) int {
	t.Helper()
	const few = 20
	return max(few, int(inUse(t)/(4*pause)))
}

// A pool is a client that is warm before mrtecopy starts.
type pool struct {
	t     *testing.T
	cmd   *exec.Cmd
	until string
	err   lines
	done  chan error
}

// lines is what a program said.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// warm starts a pool's program, whose last argument is the file that it waits
// for, and waits until it is warm.
func warm(t *testing.T, l *lab.Lab, env []string, name string, args ...string) *pool {
	t.Helper()
	p := &pool{t: t, until: filepath.Join(t.TempDir(), "go"), done: make(chan error, 1)}
	for i, a := range args {
		if a == "UNTIL" {
			args[i] = p.until
		}
	}
	p.cmd = l.Client.Command(t.Context(), name, args...)
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = &p.err
	must(t, p.cmd.Start())
	go func() { p.done <- p.cmd.Wait() }()
	waitFor(t, name+" is warm", func() bool {
		select {
		case err := <-p.done:
			t.Fatalf("%s ended: %v: %s", name, err, p.err.String())
		default:
		}
		return strings.Contains(p.err.String(), "warm\n")
	})
	return p
}

// use lets pools be used, and waits for their end.
func use(all []*pool) {
	for _, p := range all {
		must(p.t, os.WriteFile(p.until, nil, 0o644))
	}
	for _, p := range all {
		p.wait()
	}
}

// wait waits for its end.
func (p *pool) wait() {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Fatalf("%v: %s", err, p.err.String())
		}
	case <-time.After(2*time.Minute + 2*time.Duration(rounds(p.t))*pause):
		p.t.Fatalf("the pool does not end: %s", p.err.String())
	}
}

// pools starts those of Go and of Node's drivers.
func pools(t *testing.T, l *lab.Lab, drivers ...string) (all []*pool) {
	t.Helper()
	host := l.Production.V4.String()
	all = append(all, goPool(t, l, 20))
	for i, driver := range drivers {
		all = append(all, warm(t, l, []string{"NODE_PATH=" + l.File(".lab/node/node_modules")}, "node", l.File("e2e/adopt/node/pool.js"),
			driver, host, lab.AppUser, lab.AppPassword, "15", fmt.Sprint(rounds(t)), fmt.Sprint(pause.Milliseconds()), []string{"1000", "2000"}[i], "UNTIL"))
	}
	return all
}

// goPool starts one of Go.
func goPool(t *testing.T, l *lab.Lab, threads int, more ...string) *pool {
	t.Helper()
	args := []string{"-addr", l.Production.V4.String() + ":3306", "-threads", fmt.Sprint(threads), "-n", fmt.Sprint(rounds(t)), "-pause", pause.String(), "-until", "UNTIL"}
	return warm(t, l, nil, "loadclient", append(append(args, more...), "pool")...)
}

// dsn writes the file that --production-dsn names.
func dsn(t *testing.T, address string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dsn")
	must(t, os.WriteFile(path, []byte("observer:"+observerPassword+"@tcp("+address+":3306)/\n"), 0o600))
	return path
}

// copyPool copies the rows that pools wrote while they got warm to the target.
func copyPool(t *testing.T, l *lab.Lab) {
	t.Helper()
	for _, first := range []int{1000, 2000} {
		for thread := first; thread < first+15; thread++ {
			n, err := l.ProductionServer.Number(t.Context(), "SELECT COUNT(*) FROM app.pool WHERE thread = ?", thread)
			must(t, err)
			if n == 1 {
				must(t, l.TargetServer.Exec(t.Context(), fmt.Sprintf("INSERT INTO app.pool (thread, round, n, word) VALUES (%d, -1, 1, 'warm')", thread)))
			}
		}
	}
}

// sameRows checks that the pools wrote the same rows on both servers, whose
// CHECKSUM TABLE may differ.
func sameRows(t *testing.T, l *lab.Lab) {
	t.Helper()
	const row = "CONCAT_WS('~', thread, round, IFNULL(n, 'null'), IFNULL(word, 'null'), IFNULL(at, 'null'), IFNULL(HEX(bytes), 'null'), IFNULL(state, 'null'))"
	// What was written before mrtecopy started, in a transaction, stays away.
	const sum = "SELECT COALESCE(SUM(CRC32(" + row + ")), 0) FROM app.pool WHERE NOT word <=> 'open'"
	production, err := l.ProductionServer.Number(t.Context(), sum)
	must(t, err)
	target, err := l.TargetServer.Number(t.Context(), sum)
	must(t, err)
	if production == target && production != 0 {
		return
	}
	for _, s := range []*lab.Server{l.ProductionServer, l.TargetServer} {
		text, err := s.Text(t.Context(), "SELECT CONCAT(COUNT(*), ' rows: ', GROUP_CONCAT("+row+" ORDER BY thread, round SEPARATOR ', ')) FROM app.pool WHERE thread IN (1, 1001, 2001) AND round < 10")
		t.Errorf("rows differ: %s, %v", text, err)
	}
}
