package wire

import "mrtecopy/internal/seq"

// A Report is what a run of the target's segments on one connection amounts to
// for the connection's other end: the ACK state of RFC 9293 without the data.
// The intercept makes it, one per connection and turn of its loop.
type Report struct {
	Flags   Flags    // SYN, RST as seen; FIN once everything before it was received; ACK when Ack is set
	Seq     seq.Num  // SEG.SEQ of the SYN or RST
	Ack     seq.Num  // the highest SEG.ACK
	Window  uint16   // SEG.WND of the latest segment, not scaled
	RcvNxt  seq.Num  // RCV.NXT: everything before it was received and framed, a FIN included
	DupAcks uint8    // duplicate acknowledgments (RFC 5681, section 2) since the last report, saturating
	AckNow  bool     // something came that TCP answers at once: old or out of order data, a probe
	Options Options  // of a SYN: MSS, WScale, SACKPermitted; else SACK is what the target holds of our data
	NHeld   uint8    // used entries of Held
	Held    [3]Block // what was received beyond RcvNxt, most recent first: our SACK blocks
}
