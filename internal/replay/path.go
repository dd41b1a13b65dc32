package replay

import (
	"errors"

	"mrtecopy/internal/rawsend"
	"mrtecopy/internal/wire"
)

// checkMTU follows the path's MTU.
func (s *shard) checkMTU() {
	if err := s.sender.Refresh(); err != nil {
		if !s.routeLost {
			text := "the way to the target cannot be looked up; the last one stays"
			if errors.Is(err, rawsend.ErrLocal) {
				text = "the target's address has moved to this host: nothing is sent while it is here"
			}
			s.log.Warn(text, "error", err)
		}
		s.routeLost = true
		return
	}
	s.routeLost = false
	mss := maxSegment(s.sender.MTU(), s.target.Addr)
	if mss >= s.mss {
		s.mss = mss
		return
	}
	s.mss = mss
	for e := range s.entries {
		e.sess.Conn.SetMSS(mss)
	}
}

// maxSegment returns the largest TCP payload in a packet of mtu octets (RFC
// 6691).
func maxSegment(mtu int, target wire.Addr) int {
	if target.Is4() {
		return mtu - 40
	}
	return mtu - 60
}
