// Package seq is the arithmetic of TCP sequence numbers (RFC 9293, section
// 3.4): unsigned, modulo 2^32, compared by signed distance.
package seq

// A Num is a sequence number, such as SND.NXT or SEG.ACK.
type Num uint32

// Before reports whether a precedes b. It holds across the wrap as long as the
// two are less than 2^31 apart.
func (a Num) Before(b Num) bool { return int32(a-b) < 0 }

// After reports whether a follows b.
func (a Num) After(b Num) bool { return b.Before(a) }

// Add returns the number n octets after a; n may be negative.
func (a Num) Add(n int) Num { return a + Num(uint32(n)) }

// To returns the distance from a to b in octets, negative where b precedes a.
func (a Num) To(b Num) int { return int(int32(b - a)) }

// Max returns the later of the two.
func Max(a, b Num) Num {
	if a.Before(b) {
		return b
	}
	return a
}

// Min returns the earlier of the two.
func Min(a, b Num) Num {
	if b.Before(a) {
		return b
	}
	return a
}
