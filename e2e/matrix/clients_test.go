package matrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mrtecopy/internal/lab"
)

// A visitor is one of the matrix's clients. All do the same as far as they can:
// log in with a schema, USE, the statements of clients/queries.sql, a prepared
// statement several times, a statement that fails, COM_CHANGE_USER, quit. All of
// it is in plaintext.
type visitor struct {
	name    string
	command func(v *visit) *exec.Cmd
	script  bool   // it reads statements and says nothing of what it did
	before  string // a command of its own, before each statement of the script
}

// A visit is what a client is told.
type visit struct {
	t                  *testing.T
	l                  *lab.Lab
	user, password     string
	other, otherSecret string // for COM_CHANGE_USER; "": the client cannot
}

// Said is what a client says at the end of its visit: how many calls its user
// made, and how many of them failed.
type said struct{ Commands, Errors int }

var clients = []visitor{
	// A prepared statement in SQL: the binary protocol is out of its reach.
	{name: "mysql", script: true, before: "query_attributes shard 7 traceparent '00-4bf92f35';\n",
		command: func(v *visit) *exec.Cmd {
			return v.fetched("mysql-9.7", "mysql", "--ssl-mode=DISABLED", "--get-server-public-key", "--commands")
		}},
	{name: "mariadb", script: true, command: func(v *visit) *exec.Cmd {
		return v.fetched("mariadb-11.8", "mariadb", "--skip-ssl")
	}},
	{name: "sysbench", command: func(v *visit) *exec.Cmd {
		c := v.run("sysbench", v.file("visit.lua"), "--mysql-host="+v.host(), "--mysql-user="+v.user, "--mysql-password="+v.password, "--mysql-db=app",
			"--mysql-ignore-errors=all", "--threads=1", "--events=1", "--time=0", "--verbosity=0", "run")
		c.Env = append(c.Env, "MATRIX_QUERIES="+v.file("queries.sql"))
		return c
	}},
	{name: "go", command: func(v *visit) *exec.Cmd {
		return v.run("loadclient", "-addr", v.host()+":3306", "-user", v.user, "-password", v.password, "-queries", v.file("queries.sql"), "visit")
	}},
	{name: "mysql2", command: func(v *visit) *exec.Cmd { return v.node("mysql2.js") }},
	{name: "node mariadb", command: func(v *visit) *exec.Cmd { return v.node("mariadb.js") }},
}

// cannotChangeUser are the servers with which a driver cannot do COM_CHANGE_USER;
// the other clients have no call for it.
var cannotChangeUser = map[string][]string{
	// MySQL 5.6.24 takes the charset's id in the command for the length of the
	// attributes, and refuses the command if it is not as long.
	"mysql2":       {"mysql-5.6"},
	"node mariadb": {"mysql-5.6", "mysql-9.7"}, // only with MariaDB, says the driver
}

func (v *visit) host() string            { return v.l.Production.V4.String() }
func (v *visit) file(name string) string { return v.l.File(filepath.Join("e2e/matrix/clients", name)) }
func (v *visit) run(name string, args ...string) *exec.Cmd {
	return v.l.Client.Command(v.t.Context(), name, args...)
}

// fetched runs a command-line client of a version, which reads a script.
func (v *visit) fetched(version, name string, args ...string) *exec.Cmd {
	v.t.Helper()
	dir, err := v.l.Software(v.t.Context(), version)
	must(v.t, err)
	args = append([]string{"--no-defaults", "-h", v.host(), "-u", v.user, "-p" + v.password, "--force", "--batch"}, args...)
	return v.run(filepath.Join(dir, "bin", name), append(args, "app")...)
}

func (v *visit) node(name string) *exec.Cmd {
	c := v.run("node", v.file("node/"+name), v.host(), v.user, v.password, v.other, v.otherSecret, v.file("queries.sql"))
	c.Env = append(c.Env, "NODE_PATH="+v.l.File(".lab/node/node_modules"))
	return c
}

// queries are the statements of clients/queries.sql.
func (v *visit) queries() []string {
	v.t.Helper()
	b, err := os.ReadFile(v.file("queries.sql"))
	must(v.t, err)
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// text is the visit of a command-line client.
func (c *visitor) text(v *visit) string {
	var b strings.Builder
	b.WriteString("USE other;\nUSE app;\n")
	for _, q := range append(v.queries(),
		"PREPARE s FROM 'INSERT INTO t (id, v, n) VALUES (?, ?, ?)';",
		"SET @i = 10, @v = 'ten', @n = NULL;", "EXECUTE s USING @i, @v, @n;",
		"SET @i = 11, @v = 'zwölf', @n = -1;", "EXECUTE s USING @i, @v, @n;",
		"DEALLOCATE PREPARE s;",
		"SELECT * FROM missing;") {
		b.WriteString(c.before + q + "\n")
	}
	return b.String()
}

// pay pays the visit.
func (c *visitor) pay(v *visit) (s said, err error) {
	cmd := c.command(v)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.script {
		text := c.text(v)
		cmd.Stdin = strings.NewReader(text)
		err = cmd.Run()
		s.Commands = strings.Count(text, ";\n")
		if c.before != "" {
			s.Commands -= strings.Count(text, c.before)
		}
		s.Errors = strings.Count("\n"+stderr.String(), "\nERROR ")
		if strings.Count(stderr.String(), "ERROR 1146") == 1 {
			err = nil // the code after the statement that fails
		}
	} else if err = cmd.Run(); err == nil {
		_, line, _ := strings.Cut(stdout.String(), "{")
		err = json.Unmarshal([]byte("{"+line), &s)
	}
	if err == nil && s.Errors != 1 {
		err = fmt.Errorf("%d statements failed, want 1", s.Errors)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", c.name, err, strings.TrimSpace(stderr.String()))
	}
	return s, err
}
