//go:build linux

package poll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// event returns a descriptor that is readable, or not.
func event(t *testing.T, readable uint) unix.PollFd {
	t.Helper()
	fd, err := unix.Eventfd(readable, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
}

// A wait is the same whether the scheduler knows of it or not, and which it is
// follows how long the last one took.
func TestWait(t *testing.T) {
	for _, busy := range []bool{false, true} {
		p := Poller{busy: busy}
		fds := []unix.PollFd{event(t, 0), {Fd: -1}, event(t, 1)}
		fds[0].Revents = unix.POLLERR // of an earlier wait
		if err := p.Wait(fds, time.Hour); err != nil || fds[0].Revents != 0 || fds[1].Revents != 0 || fds[2].Revents != unix.POLLIN {
			t.Errorf("busy %v: %+v, %v", busy, fds, err)
		}
		if err := p.Wait(fds[:1], 0); err != nil || fds[0].Revents != 0 {
			t.Errorf("busy %v, no patience: %+v, %v", busy, fds[0], err)
		}
	}
	p := Poller{busy: true}
	fds := []unix.PollFd{event(t, 0)}
	for end := time.Now().Add(time.Minute); p.busy; { // a signal may end a wait
		if err := p.Wait(fds, time.Hour); err != nil || time.Now().After(end) {
			t.Fatalf("nothing came, and it still waits briefly: %v", err)
		}
	}
}

// Others run while a loop waits briefly, again and again, on the only processor.
func TestOthersRunMeanwhile(t *testing.T) {
	fds := []unix.PollFd{event(t, 0)}
	done := make(chan struct{})
	go func() {
		for range 3 {
			time.Sleep(time.Millisecond)
		}
		close(done)
		_, _ = unix.Write(int(fds[0].Fd), []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}()
	p := Poller{}
	for end := time.Now().Add(time.Minute); fds[0].Revents == 0; {
		p.busy = true
		if err := p.Wait(fds, brief); err != nil || time.Now().After(end) {
			t.Fatalf("the other goroutine does not run: %v", err)
		}
	}
	<-done
	Pause(fds, time.Hour) // there is something: it returns at once
}

func TestWaitFails(t *testing.T) {
	for _, busy := range []bool{false, true} {
		fds := make([]unix.PollFd, 1<<21) // more than there may be descriptors
		p := Poller{busy: busy}
		if err := p.Wait(fds, 0); err == nil {
			t.Errorf("busy %v: no error", busy)
		}
	}
}

// Only a loop that has a processor to itself keeps it while it waits, and only as
// long as its waits are brief.
func TestWhoKeepsItsProcessor(t *testing.T) {
	ready, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ready)
	for _, crowded := range []bool{false, true} {
		p := Poller{Crowded: crowded}
		fds := []unix.PollFd{{Fd: int32(ready), Events: unix.POLLIN}}
		for deadline := time.Now().Add(30 * time.Second); ; { // the first wait may be long on a busy host
			if err := p.Wait(fds, time.Second); err != nil || fds[0].Revents != unix.POLLIN {
				t.Fatalf("%v, events %#x", err, fds[0].Revents)
			}
			if p.busy || crowded {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("no wait is brief")
			}
		}
		if p.busy == crowded {
			t.Errorf("crowded %v: keeps it: %v", crowded, p.busy)
		}
		fds[0].Fd = -1
		for range 100 { // a signal may end a wait
			if err := p.Wait(fds, 2*brief); err != nil || fds[0].Revents != 0 {
				t.Fatalf("%v, events %#x", err, fds[0].Revents)
			}
			if !p.busy {
				break
			}
		}
		if p.busy {
			t.Error("it is kept while nothing comes")
		}
	}
}
