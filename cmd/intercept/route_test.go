package main

import (
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mrtecopy/internal/netnstest"
	"mrtecopy/internal/program"
)

// route runs `intercept ARGS` with nothing but the route command.
func route(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	app := &cli.App{
		Name:      "intercept",
		Flags:     []cli.Flag{&cli.StringFlag{Name: "port"}}, // as the whole program has
		Commands:  []*cli.Command{routeCommand()},
		Writer:    &out,
		ErrWriter: &errs,
	}
	code = program.Run(app, append([]string{"intercept"}, args...))
	return code, out.String(), errs.String()
}

func TestRouteUsage(t *testing.T) {
	tests := []struct{ line, want string }{
		{"route", "target|blackhole"},
		{"route target", "print|apply|check|undo"},
		{"route blackhole", "print|apply|check|undo"},
		{"route nowhere", `"nowhere"`},
		{"route check", "check which routes? On the target host it is: intercept route target … check; on the blackhole host: intercept route blackhole … check"},
		{"route undo --port 3307", "undo which routes?"},
		{"route target prinz", `"prinz"`},
		{"route target print", "--via: missing"},
		{"route target --via x print", `"x" is no IP address`},
		{"route target --via 10.0.0.7 --port 0 print", "--port:"},
		{"route target --via 10.0.0.7 --except 10.0.0.0/33 print", "10.0.9.0/24 or an address"},
		{"route target print --via 10.0.0.7 --except x", "10.0.9.0/24 or an address"},
		{"route target --via 10.0.0.7 print more", `"more"`},
		{"route target --from 10.0.0.7 print", "no flag --from"},
		{"route target print --from 10.0.0.7", "no flag --from"},
		{"--port 3307 route target --via 10.0.0.7 print", "--port stands too early"},
		{"route blackhole print", "--target: missing"},
		{"route blackhole --target db1 check", "db1"},
		{"route blackhole --target 10.0.0.9 --port 70000 check", "--port:"},
	}
	for _, tt := range tests {
		code, stdout, stderr := route(strings.Fields(tt.line)...)
		if code != program.ExitUsage || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%s: code %d, stdout %q, stderr %q; want 2 and %q in one line", tt.line, code, stdout, stderr, tt.want)
		}
	}
}

func TestRouteEnvironment(t *testing.T) {
	t.Setenv("INTERCEPT_VIA", "nowhere")
	if code, _, stderr := route("route", "target", "print"); code != program.ExitUsage || !strings.Contains(stderr, "INTERCEPT_VIA") {
		t.Errorf("code %d, %s", code, stderr)
	}
	// A flag wins, on either side of the verb.
	for _, line := range []string{"route target --via 127.0.0.1 print", "route target print --via 127.0.0.1"} {
		if code, _, stderr := route(strings.Fields(line)...); code != program.ExitFailed || !strings.Contains(stderr, "this host itself") {
			t.Errorf("%s: code %d, %s", line, code, stderr)
		}
	}
}

func TestRouteHelp(t *testing.T) {
	for line, want := range map[string][]string{
		"route --help":              {"target", "blackhole"},
		"route target --help":       {"--via", "--except", "--cut-existing", "--port", "print", "apply", "check", "undo"},
		"route blackhole --help":    {"--interface", "--target", "--port", "print", "apply", "check", "undo"},
		"route target apply --help": {"--via", "--except"},
	} {
		code, stdout, _ := route(strings.Fields(line)...)
		for _, w := range want {
			if code != program.ExitDone || !strings.Contains(stdout, w) {
				t.Errorf("%s: code %d, lacks %s:\n%s", line, code, w, stdout)
			}
		}
	}
}

// All verbs, in a network of their own.
func TestRouteVerbs(t *testing.T) {
	here := netnstest.New(t)
	here.Veth(here.Another(), "eth0", []string{"10.77.0.3/24"}, []string{"10.77.0.4/24"})
	here.IP("route", "add", "default", "via", "10.77.0.1")
	before := here.Run("ip", "rule") + here.Run("ip", "route", "show", "table", "all")

	steps := []struct {
		line string
		code int
		want string // in what it writes
	}{
		{"route target --via 10.88.0.4 print", 1, "behind a gateway"},
		{"route target --via 10.77.0.4 check", 1, "mend: ip -4 rule add pref 61"},
		{"route target --via 10.77.0.4 --except 10.77.0.9 --except 10.77.1.0/24 print", 0, "to 10.77.1.0/24"},
		{"route target --via 10.77.0.4 --except 10.77.0.9 --except 10.77.1.0/24 apply", 0, "to 10.77.1.0/24"},
		{"route target check --via 10.77.0.4 --except 10.77.0.9,10.77.1.0/24", 0, "10.77.1.0/24 is answered as before"},
		{"route target --via 10.77.0.4 check", 1, "mend: ip -4 rule del pref 60"},
		{"route target --port 3307 --via 10.77.0.4 check", 1, "1003307"},
		{"route target undo", 0, "removed  ip -4 rule del pref 61"},
		{"route target undo", 0, ""},
		{"route blackhole --interface eth0 --target 10.77.0.5 check", 0, "unneeded"},
		{"route blackhole --interface eth0 --target 10.77.0.5 print", 0, "ip -4 rule add pref 62 iif eth0 from 10.77.0.5 ipproto tcp sport 3306 blackhole"},
		{"route blackhole --target 10.77.0.5 apply --interface eth0", 0, "done     ip -4 rule add pref 62 iif eth0"},
		{"route blackhole --interface eth0 --target 10.77.0.5 check", 0, "present"},
		{"route blackhole --interface eth0 --target 10.77.0.5 undo", 0, "removed"},
		{"route blackhole --interface eth7 --target 10.77.0.5 apply", 1, "eth7"},
	}
	for _, s := range steps {
		code, stdout, stderr := route(strings.Fields(s.line)...)
		if code != s.code || !strings.Contains(stdout+stderr, s.want) {
			t.Errorf("%s: code %d, want %d and %q\n%s%s", s.line, code, s.code, s.want, stdout, stderr)
		}
	}
	if after := here.Run("ip", "rule") + here.Run("ip", "route", "show", "table", "all"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if os.Geteuid() != 0 {
		t.Error("the verbs that change routes worked without root")
	}
}
