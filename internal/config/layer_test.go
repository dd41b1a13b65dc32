package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

func testFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "interface", Aliases: []string{"i"}},
		&cli.StringFlag{Name: "port", Aliases: []string{"p"}, Value: "3306"},
		&cli.StringFlag{Name: "drain", Value: "10s"},
		&cli.StringFlag{Name: "max-memory", Value: "512MiB"},
		&cli.StringFlag{Name: "key-file"},
		&cli.BoolFlag{Name: "insecure"},
		&cli.StringFlag{Name: "config"},
	}
}

// layer runs Layer with a command line, an environment and a file.
func layer(t *testing.T, args []string, env map[string]string, file string) (*Values, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config", path}, args...)
	}
	var v *Values
	var layerErr error
	app := &cli.App{
		Flags:          testFlags(),
		ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			v, layerErr = Layer(c, "TEST", func(key string) string { return env[key] })
			return nil
		},
	}
	if err := app.Run(append([]string{"test"}, args...)); err != nil {
		t.Fatal(err)
	}
	return v, layerErr
}

func TestPrecedence(t *testing.T) {
	env := func(kv ...string) map[string]string { return map[string]string{kv[0]: kv[1]} }
	for _, tt := range []struct {
		name string
		args []string
		env  map[string]string
		file string
		get  func(*Values) any
		want any
	}{
		{"default", nil, nil, "", text("port"), "3306"},
		{"file", nil, nil, "port: 1", text("port"), "1"},
		{"environment over file", nil, env("TEST_PORT", "2"), "port: 1", text("port"), "2"},
		{"flag over environment", []string{"--port", "3"}, env("TEST_PORT", "2"), "port: 1", text("port"), "3"},
		{"alias over environment", []string{"-p", "3"}, env("TEST_PORT", "2"), "port: 1", text("port"), "3"},
		{"an overridden value is not looked at", []string{"--insecure"}, env("TEST_INSECURE", "bad"), "", flag("insecure"), true},
		{"an empty variable is none", nil, env("TEST_PORT", ""), "port: 1", text("port"), "1"},
		{"an empty flag is one", []string{"--key-file="}, env("TEST_KEY_FILE", "k"), "", text("key-file"), ""},
		{"dashes become underscores", nil, env("TEST_MAX_MEMORY", "1g"), "", text("max-memory"), "1g"},
		{"repeated flag", []string{"-i", "a", "-i", "b"}, nil, "interface: c", list("interface"), []string{"a", "b"}},
		{"list in the environment", nil, env("TEST_INTERFACE", "a,b"), "interface: c", list("interface"), []string{"a", "b"}},
		{"flags replace the environment's list", []string{"-i", "c"}, env("TEST_INTERFACE", "a,b"), "", list("interface"), []string{"c"}},
		{"list in the file", nil, nil, "interface: [a, b]", list("interface"), []string{"a", "b"}},
		{"block list in the file", nil, nil, "interface:\n- a\n- b\n", list("interface"), []string{"a", "b"}},
		{"one value for a list in the file", nil, nil, "interface: a", list("interface"), []string{"a"}},
		{"true in the file", nil, nil, "insecure: true", flag("insecure"), true},
		{"false in the environment", nil, env("TEST_INSECURE", "false"), "insecure: true", flag("insecure"), false},
		{"a file of comments", nil, nil, "# nothing", text("port"), "3306"},
		{"an anchor", nil, nil, "key-file: &x a\ndrain: *x", text("drain"), "a"},
		{"as written", nil, nil, "drain: 010", text("drain"), "010"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := layer(t, tt.args, tt.env, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(v); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func text(name string) func(*Values) any { return func(v *Values) any { return v.String(name) } }
func flag(name string) func(*Values) any { return func(v *Values) any { return v.Bool(name) } }
func list(name string) func(*Values) any { return func(v *Values) any { return v.Strings(name) } }

// The configuration file can be named in the environment like any other flag.
func TestConfigFromEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("port: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := layer(t, nil, map[string]string{"TEST_CONFIG": path}, "")
	if err != nil {
		t.Fatal(err)
	}
	if v.String("port") != "7" {
		t.Errorf("port %s, want 7", v.String("port"))
	}
}

func TestLayerErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		file string
		want string
	}{
		{"unknown key", nil, "prot: 1", `c.yaml:1: unknown key "prot", did you mean port?`},
		{"nothing like it", nil, "\nzzz: 1", `c.yaml:2: unknown key "zzz"`},
		{"an alias is no key", nil, "p: 1", `unknown key "p"`},
		{"help is no key", nil, "help: true", `unknown key "help"`},
		{"two values", nil, "port: [1, 2]", "c.yaml:1: port takes one value"},
		{"no value", nil, "port:", "has no value"},
		{"a mapping", nil, "port: {a: b}", "must be a value or a list of values"},
		{"a nested list", nil, "interface: [[a]]", "must be a value or a list of values"},
		{"twice", nil, "port: 1\nport: 2", "c.yaml:2: port is given twice"},
		{"another file", nil, "config: x", "cannot name another"},
		{"not a mapping", nil, "- port", "must hold lines such as"},
		{"not YAML", nil, "port: [", "yaml"},
		{"a bad switch", nil, "insecure: maybe", `c.yaml:1): "maybe" is neither true nor false`},
		{"a bad switch in the environment", map[string]string{"TEST_INSECURE": "maybe"}, "", `(from environment variable TEST_INSECURE): "maybe"`},
		{"no such file", map[string]string{"TEST_CONFIG": "/nonexistent/x"}, "", "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := layer(t, nil, tt.env, tt.file)
			var usage *UsageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want a usage error with %q", err, tt.want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	v, err := layer(t, []string{"--drain", "1m30s"}, map[string]string{"TEST_PORT": "70000", "TEST_MAX_MEMORY": "5"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := v.Duration("drain"); d != 90*time.Second || err != nil {
		t.Errorf("drain %v, %v", d, err)
	}
	_, err = v.Port("port")
	if want := `--port (from environment variable TEST_PORT): "70000" is not a number from 1 to 65535`; err == nil || err.Error() != want {
		t.Errorf("port: error %v, want %s", err, want)
	}
	_, err = v.Size("max-memory", 1<<20, 1<<40)
	if want := "--max-memory (from environment variable TEST_MAX_MEMORY): 5 is not between 1MiB and 1TiB"; err == nil || err.Error() != want {
		t.Errorf("max-memory: error %v, want %s", err, want)
	}
	v, _ = layer(t, []string{"--drain", "10", "-p", "", "--max-memory", "x"}, nil, "")
	for name, read := range map[string]func() error{
		"drain":      func() error { _, err := v.Duration("drain"); return err },
		"port":       func() error { _, err := v.Port("port"); return err },
		"max-memory": func() error { _, err := v.Size("max-memory", 0, 9); return err },
	} {
		if err := read(); err == nil || !strings.HasPrefix(err.Error(), "--"+name+": ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestInterfaces(t *testing.T) {
	v, _ := layer(t, []string{"-i", "eth0", "-i", "lo,eth0"}, nil, "")
	if got, err := v.Interfaces("interface"); err != nil || !reflect.DeepEqual(got, []string{"eth0", "lo"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"a/b", "eth0:1", "a b", "..", "sixteen-letters-"} {
		v, _ := layer(t, []string{"-i", bad}, nil, "")
		if _, err := v.Interfaces("interface"); err == nil {
			t.Errorf("%q is taken for an interface", bad)
		}
	}
}

func TestKeyOrInsecure(t *testing.T) {
	for _, tt := range []struct {
		args []string
		file string
		want string
	}{
		{[]string{"--key-file", "k"}, "", ""},
		{[]string{"--insecure"}, "", ""},
		{[]string{"--insecure", "--key-file="}, "key-file: k", ""},
		{nil, "", "--key-file is missing"},
		{[]string{"--insecure"}, "key-file: k", "--insecure and --key-file (from "},
	} {
		v, err := layer(t, tt.args, nil, tt.file)
		if err != nil {
			t.Fatal(err)
		}
		err = KeyOrInsecure(v)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%v: error %v, want %q", tt.args, err, tt.want)
		}
	}
}

// FuzzFile: whatever stands in a configuration file, what is read from it are
// known keys, each once, with the number of values its flag takes.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"port: 1", "interface: [a, b]", "a: &x 1\nb: *x", "? {a: b}\n: c", "- x", "port: !!binary aGk=", "<<: {port: 1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseFile("f", b, testFlags())
		var usage *UsageError
		if err != nil && !errors.As(err, &usage) {
			t.Fatalf("%v is no usage error", err)
		}
		seen := make(map[string]bool)
		for _, e := range entries {
			if seen[e.key] || byName(testFlags(), e.key) == nil || e.line < 1 || e.key != "interface" && len(e.values) != 1 {
				t.Fatalf("%q gave %+v", b, entries)
			}
			seen[e.key] = true
		}
	})
}

func TestDidYouMean(t *testing.T) {
	names := FlagNames(testFlags())
	for name, want := range map[string]string{
		"prot": ", did you mean --port?", "insecur": ", did you mean --insecure?", "keyfile": ", did you mean --key-file?",
		"x": "", "verbose": "",
	} {
		if got := DidYouMean("--", name, names); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
