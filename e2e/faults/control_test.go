package faults

import (
	"fmt"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// loadFor is how long the loads of these tests last, unless told otherwise.
const loadFor = "5s"

// begun starts a load of long, short and writing sessions, which wait ends.
func begun(t testing.TB, r *labtest.Replay, d string) (wait func()) {
	t.Helper()
	var loads []func()
	for _, args := range [][]string{
		{"-for", d, "-pause", "10ms", "-threads", "6", "trickle"},
		{"-for", d, "-pause", "10ms", "-threads", "4", "-prepared", "trickle"},
		{"-for", d, "-pause", "30ms", "-each", "2", "short"},
		{"-for", d, "-pause", "10ms", "write"},
	} {
		loads = append(loads, background(t, func() error {
			l, err := r.TryLoad(r.Lab.Client, r.Lab.Production.V4.String(), args...)
			if err == nil && l.Errors > 0 {
				err = fmt.Errorf("load %v: %d errors", args, l.Errors)
			}
			return err
		}))
	}
	return func() {
		t.Helper()
		for _, wait := range loads {
			wait()
		}
	}
}

// waitForLog waits until a daemon has said something n times.
func waitForLog(t testing.TB, d *lab.Daemon, words string, n int) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); countLines(d.Log(), words) < n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not say %q %d times:\n%s", d.Name, words, n, d.Log())
		}
	}
}

// The control channel, and nothing else, is cut for so long that both sides give
// it up. Sessions pause, are registered again and go on; those that begin in the
// meantime wait.
func TestControlChannelIsCut(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Begin(t, lab.Run{})
	wait := begun(t, r, "20s")
	waitForCommands(t, r.Target, 500)
	mend := func() { must(t, l.Mend(t.Context())) }
	impair(t, l, lab.Faults{Loss: 1}, [2]*lab.Host{l.Production, l.Blackhole}, [2]*lab.Host{l.Blackhole, l.Production})
	waitForLog(t, r.Mrtecopy, "the connection to the intercept ended", 1)
	waitForLog(t, r.Intercept, "mrtecopy disconnected", 1)
	mend()
	waitForLog(t, r.Mrtecopy, "connected to intercept", 2)
	wait()
	r.Whole("Connections", "Aborted_connects", "Aborted_clients") // a login that was under way began again
	r.SameTables("app")
}

// Two intercepts watch the same replies. mrtecopy lives on the first of its list
// that there is; when that one dies its sessions live on at the other, and back.
func TestSecondInterceptOnTheHost(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Prepare(t)
	first := r.StartIntercept(lab.Run{})
	second := r.StartIntercept(lab.Run{Intercept: []string{"--listen", ":36525"}})
	other := fmt.Sprintf("%s:36525", l.Blackhole.V4)
	r.StartMrtecopy(lab.Run{Mrtecopy: []string{"--intercept", other}})
	wait := begun(t, r, loadFor)
	waitForCommands(t, r.Target, 300)
	_, err := first.Kill(r.Ctx)
	must(t, err)
	waitForLog(t, second, "mrtecopy connected", 1)
	waitForCommands(t, r.Target, 300)
	first = r.StartIntercept(lab.Run{})
	_, err = second.Kill(r.Ctx)
	must(t, err)
	waitForLog(t, first, "mrtecopy connected", 1)
	wait()
	r.Intercept = first
	r.Whole("Connections", "Aborted_connects", "Aborted_clients")
	r.SameTables("app")
}

// A blackhole host is replaced by another: mrtecopy goes to the intercept there,
// and `intercept route target apply --via OTHER` sends it the replies.
func TestOtherBlackholeHost(t *testing.T) {
	l := labtest.Own(t, lab.Options{More: []string{"blackhole2"}})
	other := l.Host("blackhole2")
	_, err := other.Run(t.Context(), "intercept", "route", "blackhole", "--interface", "eth0", "--target", l.Target.V4.String(), "--port", "3306", "apply")
	must(t, err)
	r := labtest.PrepareIn(t, l)
	first := r.StartIntercept(lab.Run{})
	second := r.StartIntercept(lab.Run{Blackhole: other})
	r.StartMrtecopy(lab.Run{Mrtecopy: []string{"--intercept", other.V4.String()}})
	wait := begun(t, r, loadFor)
	waitForCommands(t, r.Target, 300)
	_, err = first.Kill(r.Ctx)
	must(t, err)
	said, err := l.Target.Run(r.Ctx, "intercept", "route", "target", "--port", "3306", "--via", other.V4.String(), "apply")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	waitForLog(t, second, "mrtecopy connected", 1)
	waitForCommands(t, r.Target, 300)
	wait()
	caughtUp(t, r, 20*time.Second)
	r.Intercept = second
	result := r.Stop()
	r.Balanced(result)
	if missing := result.Summary.Missing(); missing != "" {
		t.Errorf("not all was replayed:\n%s", missing)
	}
	r.SameTables("app")
}
