package tcpstate

import (
	"slices"

	"mrtecopy/internal/seq"
	"mrtecopy/internal/wire"
)

// dupThresh is how many duplicate acknowledgments, or segments held beyond a
// hole, mean a loss (RFC 5681, section 3.2; DupThresh of RFC 6675).
const dupThresh = 3

// A scoreboard is what the target says it holds of our data beyond SND.UNA
// (RFC 6675, section 3): blocks in order, never empty, never touching. It is
// only said, not acknowledged: the target may take it back (RFC 2018, section 8).
type scoreboard struct {
	blocks []wire.Block // nil, as nearly always, or of room for maxBlocks
}

// maxBlocks is how many blocks a scoreboard remembers.
const maxBlocks = 8

// n returns the number of blocks.
func (s *scoreboard) n() int { return len(s.blocks) }

// add notes that the target holds b, and returns how many octets of it are news.
// Where there is no room the furthest block is forgotten, which costs at the
// worst that something is sent twice.
func (s *scoreboard) add(b wire.Block) int {
	if s.blocks == nil {
		s.blocks = make([]wire.Block, 0, maxBlocks)
	}
	i := 0
	for i < s.n() && s.blocks[i].End.Before(b.Start) {
		i++
	}
	fresh := b.Start.To(b.End)
	j := i // blocks i to j-1 touch b, and become one with it
	for ; j < s.n() && !s.blocks[j].Start.After(b.End); j++ {
		o := s.blocks[j]
		if lap := seq.Max(o.Start, b.Start).To(seq.Min(o.End, b.End)); lap > 0 {
			fresh -= lap
		}
	}
	if j > i {
		b.Start = seq.Min(b.Start, s.blocks[i].Start)
		b.End = seq.Max(b.End, s.blocks[j-1].End)
	} else if s.n() == maxBlocks {
		if i == maxBlocks {
			return 0
		}
		s.blocks = s.blocks[:maxBlocks-1]
	}
	s.blocks = slices.Replace(s.blocks, i, j, b)
	return fresh
}

// advance drops what lies before una, the new SND.UNA, and returns how many of
// the octets just acknowledged were in s. A block that reaches beyond una was
// taken back, for una itself is not there.
func (s *scoreboard) advance(una seq.Num) (known int) {
	i := 0
	for ; i < s.n() && !s.blocks[i].Start.After(una); i++ {
		known += s.blocks[i].Start.To(seq.Min(s.blocks[i].End, una))
	}
	if s.blocks = slices.Delete(s.blocks, 0, i); s.n() == 0 {
		s.blocks = nil
	}
	return known
}

// octets returns how many octets before end are in the blocks from i on.
func (s *scoreboard) octets(i int, end seq.Num) (n int) {
	for ; i < s.n() && s.blocks[i].Start.Before(end); i++ {
		n += s.blocks[i].Start.To(seq.Min(s.blocks[i].End, end))
	}
	return n
}

// skip returns the first number from at on that is in no block, and where the
// next block begins, or end.
func (s *scoreboard) skip(at, end seq.Num) (from, to seq.Num) {
	for _, b := range s.blocks {
		if at.Before(b.Start) {
			return at, seq.Min(b.Start, end)
		}
		at = seq.Max(at, b.End)
	}
	return at, end
}

// takeSACK adds the blocks of a report to the scoreboard, SND.UNA being up to
// date, and returns how many octets of them are news. What cannot be a part of
// our data in flight is passed over, and so is what lies before SND.UNA: those
// blocks tell of duplicates (D-SACK, RFC 2883).
func (c *Conn) takeSACK(o *wire.Options) (fresh int) {
	if !c.sackOK {
		return 0
	}
	for _, b := range o.SACK[:min(int(o.NSACK), len(o.SACK))] {
		if b.Start.After(c.snd.una) && b.Start.Before(b.End) && !b.End.After(c.snd.max) {
			fresh += c.board.add(b)
		}
	}
	return fresh
}

// A gap is a range that the target does not hold: gap i lies before block i, the
// last one behind all blocks.
func (c *Conn) gap(i int) (from, end seq.Num) {
	from, end = c.snd.una, c.snd.max
	if i > 0 {
		from = c.board.blocks[i-1].End
	}
	if i < c.board.n() {
		end = c.board.blocks[i].Start
	}
	return from, end
}

// isLost is IsLost of RFC 6675, section 4, for the octets of gap i.
func (c *Conn) isLost(i int) bool {
	return c.board.n()-i >= dupThresh || c.board.octets(i, c.snd.max) > (dupThresh-1)*int(c.snd.mss)
}

// pipe estimates how many octets are under way (SetPipe of RFC 6675, section 4).
// Outside of recovery what lies behind SND.NXT is taken for lost, as SND.NXT has
// gone back to it.
func (c *Conn) pipe() int {
	if c.board.n() == 0 && !c.recovery { // as nearly always
		return c.snd.una.To(c.snd.nxt)
	}
	return c.pipeAround()
}

// pipeAround is pipe where something is held beyond a hole.
func (c *Conn) pipeAround() int {
	if !c.recovery || !c.sackOK {
		return c.snd.una.To(c.snd.nxt) - c.board.octets(0, c.snd.nxt)
	}
	n := 0
	for i := range c.board.n() + 1 {
		from, end := c.gap(i)
		if !c.isLost(i) {
			n += from.To(end)
		}
		n += max(0, from.To(seq.Min(end, c.snd.highRxt)))
	}
	return n
}
