//go:build record

// Records the logins of real clients into testdata: see
// testdata/record-logins.sh, which runs it.

package mysql

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRecordLogins lets the clients of MYSQL_CLIENT and MARIADB_CLIENT log in to
// the servers of RECORD over plaintext.
func TestRecordLogins(t *testing.T) {
	mysql := []string{os.Getenv("MYSQL_CLIENT"), "--no-defaults", "--ssl-mode=DISABLED", "--get-server-public-key", "--enable-cleartext-plugin"}
	mariadb := []string{os.Getenv("MARIADB_CLIENT"), "--no-defaults", "--skip-ssl"}
	for _, s := range strings.Fields(os.Getenv("RECORD")) {
		server, target, _ := strings.Cut(s, "=")
		for _, v := range []struct {
			name, servers string
			client        []string
			user          string
			refused       bool
		}{
			{"native", "mysql-5.6 mariadb-10.11 mariadb-11.8", mysql, "native", false},
			{"sha2-cold", "mysql-9.7", mysql, "sha2", false},
			{"sha2-warm", "mysql-9.7", mysql, "sha2", false},
			{"sha2-from-mariadb", "mysql-9.7", mariadb, "sha2", false},
			{"sha2-empty", "mysql-9.7", mysql, "sha2_empty", false},
			{"sha2-tls-cold", "mysql-9.7", mysql, "sha2_tls", true},
			{"sha2-tls", "mysql-9.7", mysql, "sha2_tls", true},
			{"sha256", "mysql-9.7", mysql, "sha256", false},
			{"sha256-empty", "mysql-5.6 mysql-9.7", mysql, "sha256_empty", false},
			{"sha256-no-key", "mysql-5.6", mysql, "sha256", true},
			{"sha2", "mariadb-11.8", mariadb, "sha2", false},
			{"sha2-from-mysql", "mariadb-11.8", mysql, "sha2", false},
			{"ed25519", "mariadb-10.11 mariadb-11.8", mariadb, "ed25519", false},
			{"ed25519-empty", "mariadb-11.8", mariadb, "ed25519_empty", false},
			{"parsec", "mariadb-11.8", mariadb, "parsec", false},
			{"parsec-empty", "mariadb-11.8", mariadb, "parsec_empty", false},
			{"clear", "mariadb-11.8", mysql, "clear", true}, // no PAM service of that name
		} {
			if !strings.Contains(v.servers, server) {
				continue
			}
			t.Run(server+"/"+v.name, func(t *testing.T) {
				r := record(t, target)
				host, port, _ := net.SplitHostPort(r.addr)
				args := append(v.client[1:len(v.client):len(v.client)], "-h", host, "-P", port, "-u", v.user)
				if !strings.HasSuffix(v.user, "_empty") {
					args = append(args, "-psecret")
				}
				out, err := exec.Command(v.client[0], append(args, "-e", "select current_user()")...).CombinedOutput()
				if (err != nil) != v.refused {
					t.Fatalf("%v: %s", err, out)
				}
				save(t, nil, r, server, "login-"+v.name)
			})
		}
	}
}
