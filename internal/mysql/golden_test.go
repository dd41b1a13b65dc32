package mysql

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the Tracker sees to testdata/*.txt")

// conversations returns the recorded conversations by their names.
func conversations(tb testing.TB) map[string]conversation {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no conversations in testdata (%v)", err)
	}
	all := make(map[string]conversation)
	for _, file := range files {
		c, err := readConversation(file)
		if err != nil {
			tb.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".bin")] = c
	}
	return all
}

// What real servers said is framed as the sequence ids say, and what is seen
// on the way has not changed.
func TestConversations(t *testing.T) {
	for name, c := range conversations(t) {
		t.Run(name, func(t *testing.T) {
			seen := c.check(t)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(seen), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if seen != string(want) {
				t.Errorf("saw\n%swant\n%s", seen, want)
			}
		})
	}
}

// The greetings and logins of real servers and clients come out of Append as
// they went in.
func TestHandshakesOfConversations(t *testing.T) {
	for name, c := range conversations(t) {
		greeting, err := packets(c.stream(true))
		if err != nil {
			t.Fatal(err)
		}
		g, err := ParseGreeting(greeting[0].payload)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := g.Append(nil); string(got) != string(greeting[0].payload) {
			t.Errorf("%s: greeting\n%x appended, want\n%x", name, got, greeting[0].payload)
		}
		login, err := packets(c.stream(false))
		if err != nil {
			t.Fatal(err)
		}
		l, err := ParseLogin(login[0].payload)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := l.Append(nil); string(got) != string(login[0].payload) {
			t.Errorf("%s: login\n%x appended, want\n%x", name, got, login[0].payload)
		}
	}
}
