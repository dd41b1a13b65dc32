package matrix

import (
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// A target that takes this login with TLS only says so by the same error as for
// a wrong password; what can be known of it is told all the same.
func TestTargetDemandsTLS(t *testing.T) {
	p := pair{production: "mariadb-10.11", target: "mysql-9.7"}
	l := p.raise(t)
	must(t, l.ProductionServer.Exec(t.Context(), "CREATE USER tlsonly@'%' IDENTIFIED BY '"+productionPassword+"'", "GRANT ALL ON *.* TO tlsonly@'%'"))
	must(t, l.TargetServer.Exec(t.Context(), "CREATE USER tlsonly@'%' IDENTIFIED BY '"+targetPassword+"' REQUIRE SSL", "GRANT ALL ON *.* TO tlsonly@'%'"))
	for _, tt := range []struct {
		name, user, password string
		global               string
		says                 string
	}{
		{"the account", "tlsonly", productionPassword, "OFF", "the account demands TLS"},
		{"the server", lab.AppUser, lab.AppPassword, "ON", "require_secure_transport"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := labtest.PrepareIn(t, l, schema...)
			must(t, l.TargetServer.Exec(t.Context(), "SET GLOBAL require_secure_transport = "+tt.global))
			run := lab.Run{Credentials: credentials(p.target) + "tlsonly:" + targetPassword + "\n"}
			r.StartIntercept(run)
			r.StartMrtecopy(run)
			const sessions = 3
			// One after the other: what the first one shows the next one knows.
			for n := range int64(sessions) {
				r.Load("-user", tt.user, "-password", tt.password, "-n", "1", "short")
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
					c, err := l.TargetServer.Number(t.Context(), "SELECT SUM(variable_value) FROM performance_schema.global_status WHERE variable_name = 'Aborted_connects'")
					must(t, err)
					if c > n || time.Now().After(deadline) {
						break
					}
				}
			}
			result := r.Stop()
			r.Fair(result)
			s := &result.Summary
			r.Only("lost sessions", s.Sessions.Lost, "login_refused")
			if s.Sessions.Lost["login_refused"] != sessions {
				t.Errorf("lost %v sessions, want %d", s.Sessions.Lost, sessions)
			}
			r.Says(result.Log, tt.says)
		})
	}
}
