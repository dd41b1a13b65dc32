package session

import (
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/wire"
)

// The counter that the end-to-end tests hold at zero does count.
func TestStalledCommandsAreCounted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		waiting gate
		flags   recordFlags
		want    uint64
	}{
		{"nothing to wait for", gateNone, counts, 1},
		{"a gate", gateStatement, counts | waited, 0},
		{"more of it to come", gateNone, counts | open, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newSim(t).env
			s := Session{phase: Ready, waiting: tt.waiting}
			b := []byte("\x01\x00\x00\x00\x03")
			s.in.Append(&e.Pool, b)
			s.queue.push(&e, record{cmd: mysql.ComQuery, flags: tt.flags, size: len(b)})
			for range 2 { // once, however often the target speaks
				s.countStalled(&e)
			}
			s.Report(&e, &wire.Report{}, 0, 0, [16]byte{})
			if got := e.Counts.Commands.Stalled; got != tt.want {
				t.Errorf("counted %d times, want %d", got, tt.want)
			}
		})
	}
}
