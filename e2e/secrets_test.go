package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Passwords, keys and what statements say pass through both programs, and are in
// nothing that they show: logs, status lines, summaries, command lines,
// environments.
func TestSecretsAreNotShown(t *testing.T) {
	l := labtest.Lab(t)
	const wrong, literal = "wrong-4b1d-password", "literal-77e0"
	r := labtest.Begin(t, lab.Run{Credentials: lab.AppUser + ":" + lab.AppTargetPassword + "\n" + lab.BenchUser + ":" + wrong + "\n",
		Mrtecopy: []string{"--status-every", "200ms", "--stream-above", "4k", "--exclude", "left_out"}, Intercept: []string{"--status-every", "200ms"}})
	sql := func(user, password string, statements ...string) {
		r.Client("mariadb", "--no-defaults", "--skip-ssl", "--force", "-h", l.Production.V4.String(), "-u", user, "-p"+password, "app",
			"-e", strings.ReplaceAll(strings.Join(statements, ";"), "LITERAL", literal))
	}
	sql(lab.BenchUser, lab.BenchPassword, "SELECT 'LITERAL'") // the target refuses it
	sql(lab.AppUser, lab.AppPassword,
		"CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('LITERAL'), ('"+strings.Repeat("LITERAL", 500)+"')",
		"SELECT 'LITERAL', 'left_out'",
		"PREPARE s FROM 'SELECT \"LITERAL\"'", "EXECUTE s",
		"SET @p = 'LITERAL'", "CREATE USER policy_skips IDENTIFIED BY 'LITERAL'", "DROP USER policy_skips")
	// What servers answer with repeats what was asked.
	out, err := l.Client.Run(r.Ctx, "sh", "-c", fmt.Sprintf("mariadb --no-defaults --skip-ssl --force -h %s -u %s -p%s app -e \"SELEC '%s'; SELECT * FROM \\`%s\\`\"; true",
		l.Production.V4, lab.AppUser, lab.AppPassword, literal, literal))
	if err != nil || out != "" {
		t.Errorf("%q, %v", out, err)
	}
	waitFor(t, "the refused login is told of", func() bool { return contains(r.Mrtecopy.Log(), "the target refused a login") })

	key, err := os.ReadFile(filepath.Join(filepath.Dir(l.Production.File(t, "any", "")), "key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"the target's password": lab.AppTargetPassword, "a wrong password": wrong, "production's password": lab.AppPassword,
		"the other account's password": lab.BenchPassword, "what a statement says": literal, "the key": strings.TrimSpace(string(key))}
	shown := map[string]string{}
	for _, d := range []*lab.Daemon{r.Intercept, r.Mrtecopy} {
		for _, file := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.PID(), file))
			if err != nil || len(b) == 0 {
				t.Fatalf("%s of %s: %d octets, %v", file, d.Name, len(b), err)
			}
			shown[d.Name+"'s "+file] = string(b)
		}
	}
	mrtecopy, err := r.Mrtecopy.Stop(r.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	intercept, err := r.Intercept.Stop(r.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := mrtecopy.Summary
	if s.Commands.Errors < 1 || s.Commands.Skipped["policy"] < 2 || s.Commands.Skipped["excluded"] != 1 || s.Sessions.Lost["login_refused"] != 1 {
		t.Errorf("not all that should have happened did: %+v", s)
	}
	shown["mrtecopy's log"], shown["mrtecopy's summary"] = mrtecopy.Log, string(mrtecopy.Raw)
	shown["intercept's log"], shown["intercept's summary"] = intercept.Log, string(intercept.Raw)
	for where, text := range shown {
		if text == "" {
			t.Errorf("%s is empty", where)
		}
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s:\n%s", where, what, text)
			}
		}
	}
}
