package replay

import (
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/session"
)

// stopNow asks a shard to stop capturing, let the target catch up, and close
// every connection. With atOnce nothing more is sent but the ends.
type stopNow struct{ atOnce bool }

// nextStage moves on when the stage at hand has reached its end.
func (s *shard) nextStage() {
	now := s.env.Now
	switch s.stage {
	case lastFrames:
		if now >= s.stopAt {
			s.stage, s.stopAt = draining, now+s.drain
			for _, t := range s.taps {
				t.close() // nobody reads it any more: what comes now must not count as dropped
			}
			if s.drain > 0 {
				s.catchUp()
			}
		}
	case draining:
		if now < s.stopAt && s.busy() {
			return
		}
		s.stage, s.stopAt = closing, now+closeRest
		for _, e := range s.inOrder() {
			e.sess.Stop(&s.env)
			s.take(e)
			e.sess.Poll(&s.env)
			s.take(e)
			s.touch(e)
		}
	case closing:
		if now < s.stopAt && s.closingStill() {
			return
		}
		for _, e := range s.inOrder() {
			e.sess.Break(&s.env)
			s.take(e)
			s.unregister(e)
		}
		s.stage = resetting
		s.guard.bucket = newBucket(resetsAtEnd)
	case resetting:
		if len(s.guard.held) == 0 {
			s.stage = stopped
		}
	}
}

// catchUp begins the draining: each session goes on to its last captured command
// and is stopped behind it by its Poll. A transaction whose COMMIT was not captured
// has locks on the target that others may wait for until its session is closed.
func (s *shard) catchUp() {
	s.env.Draining = true
	s.env.At = s.env.Now
	for _, e := range s.inOrder() {
		s.events = e.stream.GiveUp(&s.env.Pool, s.events[:0])
		s.flowEvents(e)
	}
}

// busy reports whether any session waits for the target.
func (s *shard) busy() bool {
	for e := range s.entries {
		if e.sess.Busy() {
			return true
		}
	}
	return false
}

// closingStill reports whether a connection is still being closed.
func (s *shard) closingStill() bool {
	for e := range s.entries {
		if e.sess.Phase() == session.Closing && !e.sess.Closed() {
			return true
		}
	}
	return false
}

// count adds the shard's account to sum, with the gauges of this moment.
func (s *shard) count(sum *ledger.Counts) {
	c := s.env.Counts.Clone()
	for e := range s.entries {
		c.Commands.Pending += e.sess.Pending()
		if e.sess.Undecided() {
			c.Sessions.Open++
		}
		if e.sess.Knocking(s.env.Now) {
			c.Sessions.Knocking++
		}
	}
	c.Links = ledger.Links{Shards: 1}
	if !s.up {
		c.Links.Down = 1
		if s.interceptAddrs == nil { // which the first one told
			c.Links.Never = 1
		}
	}
	for _, t := range s.taps {
		t.addStats(&c.Capture)
	}
	for _, e := range s.sender.Stats().Errors {
		c.AddSendError(e.Name(), e.Packets)
	}
	sum.Add(c)
}
