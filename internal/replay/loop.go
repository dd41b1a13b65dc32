package replay

import (
	"errors"

	"mrtecopy/internal/wire"
)

// errLoop is the one harm that production could suffer, and ends the replay.
var errLoop = errors.New("what is sent to the target arrives at production: is the target a proxy, or does something on the way translate its address? Nothing more is sent; set --target to the candidate server itself")

// isOurs reports whether a captured SYN is one that a session of this shard sent.
// Both have the client's 4-tuple on production, so the same shard.
func (s *shard) isOurs(seg *wire.Segment) bool {
	e := s.sources[seg.Src]
	return e != nil && e.reg != unregistered && e.iss == seg.Seq
}
