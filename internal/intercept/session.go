package intercept

import "mrtecopy/internal/wire"

// A session is one registered connection. There may be a million of them,
// nearly all idle, so what is rare is behind a pointer.
type session struct {
	receiver
	client  wire.Endpoint // the forged end; the other is the target, always
	owner   *owner
	id      uint32 // the owner's name for it
	kinds   int32  // of work.kinds
	turn    int32  // index+1 in engine.turns; 0: nothing to report yet
	stale   bool   // the owner has not registered it since it came back
	holding bool   // in engine.holding
}
