package e2e

import (
	"strings"
	"testing"
	"time"

	"mrtecopy/internal/lab"
	"mrtecopy/internal/lab/labtest"
)

// Sessions that come before intercept does wait for it.
func TestInterceptStartsLate(t *testing.T) {
	r := labtest.Prepare(t)
	r.StartMrtecopy(lab.Run{NoIntercept: true})
	short := inBackground(r, "-for", "3s", "-pause", "20ms", "short")
	long := inBackground(r, "-for", "3s", "-pause", "20ms", "-threads", "5", "trickle")
	time.Sleep(2 * time.Second)
	r.StartIntercept(lab.Run{})
	<-short
	<-long
	r.Whole()
}

// Open sessions outlive a restart of intercept, in order or by a crash: they
// pause, are registered again, and go on.
func TestInterceptRestarts(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*labtest.Replay) error
	}{
		{"in order", func(r *labtest.Replay) error { _, err := r.Intercept.Stop(r.Ctx); return err }},
		{"by a crash", func(r *labtest.Replay) error { _, err := r.Intercept.Kill(r.Ctx); return err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := labtest.Begin(t, lab.Run{})
			long := inBackground(r, "-for", "5s", "-pause", "3ms", "-threads", "8", "trickle")
			short := inBackground(r, "-for", "5s", "-pause", "10ms", "-each", "2", "short")
			writer := inBackground(r, "-for", "5s", "-pause", "5ms", "write")
			for range 2 {
				time.Sleep(time.Second)
				if err := tt.end(r); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
				r.StartIntercept(lab.Run{})
			}
			<-long
			<-short
			<-writer
			// A login that was under way begins again on another connection.
			r.Whole("Connections", "Aborted_connects", "Aborted_clients")
			r.SameTables("app")
		})
	}
}

// A stranger on the control port, or a scan of it, disturbs nobody.
func TestStrangersOnTheControlPort(t *testing.T) {
	r := labtest.Begin(t, lab.Run{})
	long := inBackground(r, "-for", "3s", "-pause", "5ms", "-threads", "4", "trickle")
	address := r.Lab.Blackhole.V4.String()
	for _, say := range []string{
		"true",                                // a port scan: connects and leaves
		"printf 'GET / HTTP/1.1\\r\\n\\r\\n'", // a health check
		"head -c 100000 /dev/urandom",
		"sleep 2", // says nothing
	} {
		// The stranger's fate is its own; no error of its is ours.
		r.Lab.Target.Run(r.Ctx, "timeout", "3", "bash", "-c", say+" >/dev/tcp/"+address+"/36524")
	}
	<-long
	r.Whole()
}

// A wrong key is said on both sides, and nothing is replayed without the right
// one.
func TestWrongKey(t *testing.T) {
	r := labtest.Prepare(t)
	r.StartIntercept(lab.Run{})
	key := r.Lab.Production.File(t, "wrong-key", "")
	if _, err := r.Lab.Production.Run(r.Ctx, "rm", key); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Lab.Production.Run(r.Ctx, "intercept", "keygen", key); err != nil {
		t.Fatal(err)
	}
	d := r.StartMrtecopy(lab.Run{NoIntercept: true, Mrtecopy: []string{"--key-file", key, "--drain", "1s"}})
	r.Load("-n", "3", "short")
	waitFor(t, "mrtecopy says that the key is wrong", func() bool { return contains(d.Log(), "key") })
	result := r.Stop()
	r.Fair(result)
	if result.Summary.Send.Segments != 0 {
		t.Errorf("%d packets were sent", result.Summary.Send.Segments)
	}
	if result.ExitCode != 1 {
		t.Errorf("exit code %d, want 1, for no intercept was reached", result.ExitCode)
	}
	r.Says(result.Log, "the key does not match", "no intercept was reached at")
}

// Without an intercept every status line says so, and a run that never reached one
// has not done what it was asked to, even if no client came.
func TestNoIntercept(t *testing.T) {
	r := labtest.Prepare(t)
	d := r.StartMrtecopy(lab.Run{NoIntercept: true, Mrtecopy: []string{"--status-every", "200ms"}})
	const mark = "  no intercept\n"
	waitFor(t, "two status lines say that there is no intercept", func() bool { return strings.Count(d.Log(), mark) > 1 })
	result, err := d.Stop(r.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 1 || result.Raw == nil {
		t.Errorf("exit code %d, summary %q; want 1, and one", result.ExitCode, result.Raw)
	}
	r.Says(result.Log, "no intercept was reached at "+r.Lab.Blackhole.V4.String())

	r.StartIntercept(lab.Run{})
	d = r.StartMrtecopy(lab.Run{Mrtecopy: []string{"--status-every", "200ms"}})
	waitFor(t, "a status line comes", func() bool { return strings.Count(d.Log(), "\n") > 5 })
	if result := r.Stop(); result.ExitCode != 0 || strings.Contains(result.Log, mark) {
		t.Errorf("with an intercept: exit code %d:\n%s", result.ExitCode, result.Log)
	}
}

// Without encryption and key, if both sides are told so.
func TestInsecure(t *testing.T) {
	l := labtest.Lab(t)
	r := labtest.Prepare(t)
	d, err := l.Start(r.Ctx, l.Blackhole, "intercept", "--interface", "eth0", "--target", l.Target.V4.String(), "--insecure")
	if err != nil {
		t.Fatal(err)
	}
	r.Tend(d)
	args := l.MrtecopyArgs(lab.Run{})
	for i, a := range args {
		if a == "--key-file" {
			args = append(append([]string{}, args[:i]...), append(args[i+2:], "--insecure")...)
			break
		}
	}
	if r.Mrtecopy, err = l.Start(r.Ctx, l.Production, "mrtecopy", args...); err != nil {
		t.Fatal(err)
	}
	r.Tend(r.Mrtecopy)
	r.Intercept = d
	if err := r.Mrtecopy.Ready(r.Ctx); err != nil {
		t.Fatal(err)
	}
	r.Load("-n", "50", "short")
	r.Whole()
}
