package intercept

import (
	"testing"
	"time"
)

// How long the engine rests, by how many frames come and what could not wait.
func TestPace(t *testing.T) {
	const spacing = 250 * time.Microsecond
	for _, tt := range []struct {
		name   string
		every  time.Duration // a frame comes
		urgent time.Duration // something is urgent; 0: never
		rest   time.Duration // the longest behind a turn, in the end
	}{
		{"few", 10 * time.Millisecond, 0, 0},
		{"some, calm", time.Millisecond, 0, calmRest},
		{"some, not calm", time.Millisecond, 50 * time.Millisecond, 0},
		{"many, calm", 100 * time.Microsecond, 0, calmRest},
		{"many, not calm", 100 * time.Microsecond, 50 * time.Millisecond, spacing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pace{spacing: spacing}
			now, longest := time.Second, time.Duration(0)
			frame, urgent := now, now
			for end := now + time.Second; now < end; {
				now = max(now, frame) // the poll waits for the next one
				n := 0
				for ; frame <= now; frame += tt.every {
					n++
				}
				if tt.urgent > 0 && urgent <= now {
					p.urgent(now)
					urgent += tt.urgent
				}
				d := p.count(n, now)
				now += d
				p.last = now
				if now > end-500*time.Millisecond {
					longest = max(longest, d)
				}
			}
			if longest > tt.rest || longest < tt.rest/2 {
				t.Errorf("rests %v, want %v", longest, tt.rest)
			}
		})
	}
}
