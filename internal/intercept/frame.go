package intercept

import "mrtecopy/internal/mysql"

// maxBegun is how many octets of a packet that is not framed a frame holds: a
// packet's header and no payload. With them RCV.NXT goes to the end of a segment
// that ends in or behind a header. Otherwise these octets would stay
// unacknowledged while the server is busy with the next rows, and the target
// would send its segment again and slow down, which it does not with a client.
const maxBegun = 4

// A frame is what another intercept needs to go on from RCV.NXT: where the
// tracker stands, and the octets between there and RCV.NXT. They lie where the
// encoding of a mysql.Snapshot has zeros.
//
//	byte<3> snapshot | int<1> n | byte<8> snapshot | byte<n> octets | zeros
type frame [mysql.SnapshotSize]byte

func (r *receiver) frame() frame {
	f := frame(r.tracker.Snapshot().Encode())
	if r.back != nil {
		f[3] = byte(copy(f[12:], r.back.rest.Bytes()))
	}
	return f
}

func (f frame) decode() (s mysql.Snapshot, begun []byte) {
	n := min(int(f[3]), maxBegun)
	return mysql.DecodeSnapshot(f), f[12 : 12+n]
}
