package matrix

import (
	"maps"
	"slices"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

func (c cell) String() string {
	s := c.client
	if c.account != "" {
		s += " as " + c.account
	}
	if c.cold {
		s += " cold"
	}
	return s
}

// schema is what both servers have before a visit.
var schema = []string{
	"DROP DATABASE IF EXISTS other",
	"CREATE DATABASE other",
	"CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(40), n BIGINT) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
}

// rows is everything that the visit has stored, as one value.
const rows = "SELECT COALESCE(CONV(LEFT(SHA2(GROUP_CONCAT(CONCAT_WS(',', id, HEX(v), n) ORDER BY id), 256), 15), 16, 10), 0) FROM app.t WHERE "

// patience is how long a target may stay behind without counting anything more.
const patience = 5 * time.Second

// run is one visit, replayed and judged. It returns what the table says of it.
func (p pair) run(t *testing.T, l *lab.Lab, c cell) string {
	v := &visit{t: t, l: l, user: lab.AppUser, password: lab.AppPassword, other: "second", otherSecret: productionPassword}
	if slices.Contains(cannotChangeUser[c.client], p.production) {
		v.other, v.otherSecret = "", ""
	}
	if c.account != "" {
		v.user, v.password = c.account, productionPassword
	}
	client := clients[slices.IndexFunc(clients, func(v visitor) bool { return v.name == c.client })]

	d := p.deviation(c)
	before := schema
	if c.cold {
		before = append(slices.Clone(schema), "FLUSH PRIVILEGES")
	}
	r := labtest.PrepareIn(t, l, before...)
	run := lab.Run{Credentials: credentials(p.target)}
	r.StartIntercept(run)
	r.StartMrtecopy(run)
	said, err := client.pay(v)
	if err != nil {
		t.Errorf("the visit itself went wrong: %v", err)
	}
	production, target := p.catchUp(t, r, c, d.fewer)
	errors := r.Errors()
	s := r.Stop()
	if s.Raw == nil {
		t.Fatal("mrtecopy wrote no summary")
	}
	r.Fair(s)
	if sessions := &s.Summary.Sessions; sessions.Captured != 1 || sessions.Replayed != 1 {
		t.Errorf("of %d sessions %d were replayed, skipped %v, lost %v", sessions.Captured, sessions.Replayed, sessions.Skipped, sessions.Lost)
	}
	commands := &s.Summary.Commands
	if commands.Pending != 0 || len(commands.Lost) != 0 || !maps.Equal(commands.Skipped, d.skipped) {
		t.Errorf("of %d commands %d are pending, lost %v, skipped %v; want none but skipped %v",
			commands.Captured, commands.Pending, commands.Lost, commands.Skipped, d.skipped)
	}
	if s.ExitCode != 0 {
		t.Errorf("mrtecopy ended with code %d, want 0", s.ExitCode)
	}
	if diff := lab.Difference(production, target); diff != "" {
		t.Errorf("the target's counters differ from production's:\n%s", diff)
	}
	if commands.Errors != errors+d.errors {
		t.Errorf("the target answered %d commands with an error, production %d; want %d more", commands.Errors, errors, d.errors)
	}
	var stored [2]int64
	for i, server := range []*lab.Server{l.ProductionServer, l.TargetServer} {
		stored[i], err = server.Number(t.Context(), rows+d.rows)
		must(t, err)
	}
	if stored[0] == 0 || stored[0] != stored[1] {
		t.Error("the target's rows are not production's")
	}
	t.Logf("%d calls of the driver: %d commands, %d of them failed on production", said.Commands, commands.Captured, errors)
	return d.result(commands.Answered)
}
