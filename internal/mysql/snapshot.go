package mysql

import "encoding/binary"

// A Snapshot is where a Tracker stands in the stream: what is needed to go on
// in another process from the next byte that was not consumed. It does not
// hold the capabilities nor the pending kinds, which whoever restores it sets
// and pushes again, oldest first, the one whose response has begun included.
type Snapshot struct {
	state     state
	sequence  uint8
	continued bool
	columns   uint16
	params    uint16
	skip      uint32
}

// SnapshotSize is the size of an encoded Snapshot.
const SnapshotSize = 16

// Snapshot returns where t stands.
func (t *Tracker) Snapshot() Snapshot {
	return Snapshot{t.state, t.seq, t.flags&flagContinued != 0, t.columns, t.params, t.skip}
}

// Restore sets where t stands. A Snapshot that no Tracker can have made leaves
// t broken.
func (t *Tracker) Restore(s Snapshot) {
	t.state, t.seq, t.columns, t.params, t.skip = s.state, s.sequence, s.columns, s.params, s.skip
	t.flags &^= flagContinued
	if s.continued {
		t.flags |= flagContinued
	}
	if !s.possible() {
		t.state, t.skip = stateBroken, 0
	}
}

// possible reports whether a Tracker can be where s says.
func (s Snapshot) possible() bool {
	switch s.state {
	case stateColumns, statePrepared:
		if s.columns == 0 {
			return false
		}
	case stateParams:
		if s.params == 0 {
			return false
		}
	case stateIdle:
		if s.skip > 0 || s.continued {
			return false
		}
	}
	return s.state < states && s.skip <= MaxPayload
}

// Encode returns s for another process. Its zeros are free for whoever
// carries it: DecodeSnapshot does not look at them.
//
//	int<1> state | int<1> sequence id | int<1> continued | 00 | int<2> columns | int<2> parameters | int<4> skip | 4 zeros
func (s Snapshot) Encode() (b [SnapshotSize]byte) {
	b[0], b[1] = byte(s.state), s.sequence
	if s.continued {
		b[2] = 1
	}
	binary.LittleEndian.PutUint16(b[4:], s.columns)
	binary.LittleEndian.PutUint16(b[6:], s.params)
	binary.LittleEndian.PutUint32(b[8:], s.skip)
	return b
}

// DecodeSnapshot reverses Encode. Whether the result makes sense, Restore
// finds out.
func DecodeSnapshot(b [SnapshotSize]byte) Snapshot {
	return Snapshot{
		state:     state(b[0]),
		sequence:  b[1],
		continued: b[2] != 0,
		columns:   binary.LittleEndian.Uint16(b[4:]),
		params:    binary.LittleEndian.Uint16(b[6:]),
		skip:      binary.LittleEndian.Uint32(b[8:]),
	}
}
