package matrix

import (
	"fmt"
	"strings"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// versions are the servers of the matrix, as tools/mysqlds names them. Each is
// production once for each as target.
var versions = []string{"mysql-5.6", "mariadb-10.11", "mariadb-11.8", "mysql-9.7"}

// A pair is a production server, a target, and the cells that are run on them.
type pair struct {
	production, target string
	cells              []cell
}

func (p pair) String() string { return p.production + " to " + p.target }

// A cell is one client's visit.
type cell struct {
	client  string
	account string // that it logs in with; "": the first of the lab
	cold    bool   // the target has forgotten who logged in before
}

// all are the pairs of `make test-matrix`: every client on each, and on each
// target every plugin.
func all() (pairs []pair) {
	for _, production := range versions {
		for _, target := range versions {
			p := pair{production: production, target: target}
			if caches(target) {
				p.cells = every(true)
			}
			p.cells = append(p.cells, every(false)...)
			for _, a := range accounts(target) {
				p.cells = append(p.cells, cell{client: "go", account: a.name})
			}
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// some are the pairs of `make test`. They have every server on both sides but for
// MariaDB 10.11, which is the other end-to-end tests' server.
func some() []pair {
	as := func(account string) cell { return cell{client: "go", account: account} }
	return []pair{
		{"mysql-5.6", "mysql-9.7", every(false)},
		{"mariadb-10.11", "mysql-9.7", append(every(true), cell{client: "mariadb"}, cell{client: "go"}, as("sha256"), as("nobody"))},
		{"mysql-9.7", "mariadb-11.8", append(every(false), as("ed25519"), as("parsec"), as("sha2"))},
		{"mariadb-11.8", "mysql-5.6", []cell{{client: "mysql"}, {client: "mysql2"}, {client: "node mariadb"}}},
	}
}

// every is a cell for each of the clients.
func every(cold bool) (cells []cell) {
	for _, c := range clients {
		cells = append(cells, cell{client: c.name, cold: cold})
	}
	return cells
}

// raise raises the pair's lab with the accounts of both servers.
func (p pair) raise(t *testing.T) *lab.Lab {
	t.Helper()
	l := labtest.Own(t, lab.Options{
		Production: lab.Server{Version: p.production, Flags: append(plugins(p.production), lab.SmallServer...)},
		Target:     lab.Server{Version: p.target, Flags: append(plugins(p.target), lab.SmallServer...)},
	})
	for _, a := range append(accounts(p.target), second(p.target)) {
		must(t, l.ProductionServer.Exec(t.Context(), "CREATE USER "+a.name+"@'%' IDENTIFIED BY '"+productionPassword+"'", "GRANT ALL ON *.* TO "+a.name+"@'%'"))
		must(t, l.TargetServer.Exec(t.Context(), a.create(), "GRANT ALL ON *.* TO "+a.name+"@'%'"))
	}
	return l
}

// An account of the target that authenticates by a plugin of its own. Production
// has an account of the same name with its default plugin.
type account struct {
	name string
	via  string // CREATE USER name …; %s is the password. "": without a password
}

const productionPassword, targetPassword = "matrix-secret", "matrix-target-secret"

func (a account) password() string {
	if a.via == "" {
		return ""
	}
	return targetPassword
}

func (a account) create() string {
	if a.via == "" {
		return "CREATE USER " + a.name + "@'%'"
	}
	return "CREATE USER " + a.name + "@'%' " + fmt.Sprintf(a.via, "'"+targetPassword+"'")
}

// accounts are the further accounts of a target: one for each plugin it has, and
// one without a password. Its default plugin is that of the lab's own accounts.
func accounts(target string) []account {
	none := account{"nobody", ""}
	switch target {
	case "mysql-9.7":
		return []account{none, {"sha256", "IDENTIFIED WITH sha256_password BY %s"}}
	case "mariadb-11.8":
		return []account{none, {"ed25519", "IDENTIFIED VIA ed25519 USING PASSWORD(%s)"}, {"parsec", "IDENTIFIED VIA parsec USING PASSWORD(%s)"},
			{"sha2", "IDENTIFIED VIA caching_sha2_password USING PASSWORD(%s)"}}
	case "mariadb-10.11":
		return []account{none, {"ed25519", "IDENTIFIED VIA ed25519 USING PASSWORD(%s)"}}
	}
	return []account{none}
}

// second is the account that clients change to with COM_CHANGE_USER: of another
// plugin than the first where the target has one.
func second(target string) account {
	a := account{"second", "IDENTIFIED BY %s"}
	if further := accounts(target); len(further) > 1 {
		a.via = further[1].via
	}
	return a
}

// plugins are the flags that load a server's plugins. MariaDB's caching_sha2_password
// makes its RSA key only when it is loaded with the server.
func plugins(version string) (flags []string) {
	names := map[string][]string{
		"mariadb-10.11": {"auth_ed25519"},
		"mariadb-11.8":  {"auth_ed25519", "auth_parsec", "auth_mysql_sha2"},
	}[version]
	for _, name := range names {
		flags = append(flags, "--plugin-load-add="+name)
	}
	return flags
}

// caches reports whether logins to a target take another way when the server
// remembers an earlier one: caching_sha2_password, its default plugin.
func caches(target string) bool { return target == "mysql-9.7" }

// credentials is the text of the credentials file for a target.
func credentials(target string) string {
	var b strings.Builder
	b.WriteString(lab.DefaultCredentials)
	for _, a := range append(accounts(target), second(target)) {
		fmt.Fprintf(&b, "%s:%s\n", a.name, a.password())
	}
	return b.String()
}
