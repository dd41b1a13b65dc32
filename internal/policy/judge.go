package policy

import "regexp"

// A Config is what the operator wants replayed.
type Config struct {
	Table    Table
	OnlyRead bool             // only what cannot write
	Exclude  []*regexp.Regexp // statements that are left out, by their text as it was sent
}

// A Judge says what may be replayed. One goroutine owns it.
type Judge struct {
	skip     classSet // the classes that the table skips
	onlyRead bool
	exclude  []*regexp.Regexp

	budget int    // octets that may still be read for the statement at hand
	inner  []byte // scratch: the text within a PREPARE or EXECUTE IMMEDIATE
}

// NewJudge returns a judge that goes by c.
func NewJudge(c Config) *Judge {
	j := &Judge{onlyRead: c.OnlyRead, exclude: c.Exclude}
	for class := Ordinary + 1; class < NumClasses; class++ {
		if c.Table[class] != Replay {
			j.skip.add(class)
		}
	}
	return j
}

// Query judges the text of a COM_QUERY or COM_STMT_PREPARE. multi says that it
// may hold several statements separated by semicolons, of which the first that
// is not replayed decides for all; without it the server takes text behind a
// semicolon for a syntax error and executes nothing.
func (j *Judge) Query(sql []byte, multi bool) Verdict {
	if !j.plain(sql, multi) {
		if v := j.judge(sql, multi); v.Why != Replayed || v.Kill != (Kill{}) {
			return j.unlessExcluded(sql, v)
		}
	}
	return j.unlessExcluded(sql, Verdict{})
}

// TooLong judges a statement of which only the beginning can be read, and that is
// not Streamable.
func (j *Judge) TooLong() Verdict {
	switch v := j.verdict(finding{classes: 1 << Unclear}); {
	case v.Why != Replayed:
		return v
	case j.onlyRead:
		return Verdict{Why: ByOnlyRead}
	case len(j.exclude) > 0:
		return Verdict{Why: ByExclude}
	}
	return Verdict{}
}

func (j *Judge) unlessExcluded(sql []byte, v Verdict) Verdict {
	if v.Why != Replayed {
		return v
	}
	for _, re := range j.exclude {
		if re.Match(sql) {
			return Verdict{Why: ByExclude}
		}
	}
	return v
}

// maxConditions is how many different versions executable comments of one text
// may ask for. Each doubles the readings.
const maxConditions = 3

// maxRead is how many octets are read for one statement, all readings together:
// twice the largest packet of a default configuration, and a third of a second.
// A text that needs more is unclear.
const maxRead = 64 << 20

// judge reads sql in every way that a server may read it.
func (j *Judge) judge(sql []byte, multi bool) Verdict {
	j.budget = maxRead
	f, all := j.readings(sql, multi, maxConditions, false)
	if !all {
		f.classes.add(Unclear)
	}
	return j.verdict(f)
}

// readings returns what is found in the first reading of sql that is not
// replayed, else what all of them find. all is false if there are more readings
// than were tried: of conditions, only the first limit are varied. inner says
// that sql is a literal within a statement.
func (j *Judge) readings(sql []byte, multi bool, limit int, inner bool) (f finding, all bool) {
	lx := lexer{text: sql}
	all = true
	for m := range modes {
		if m != 0 && !m.differs(&lx.signs) {
			continue
		}
		// A bit of off makes a comment of what stands under one condition.
		// Conditions that turn up on the way were fulfilled until then.
		for off := uint(0); off < 1<<min(lx.n, limit); off++ {
			if j.budget < 0 {
				return f, false
			}
			lx.begin(m, off)
			g := j.statements(&lx, multi, inner)
			j.budget -= lx.at
			all = all && !lx.unclear && lx.n <= limit
			if m == 0 && off == 0 {
				f = g
			}
			if g.kill != f.kill {
				g.blind = true // whether it kills, or whom, depends on the reading
			}
			if j.verdict(g).Why != Replayed {
				return g, all
			}
		}
	}
	return f, all
}

// statements judges the statements of one reading, and returns what was found
// in the first that is not replayed.
func (j *Judge) statements(lx *lexer, multi, inner bool) (f finding) {
	var kill Kill
	lx.next()
	for n := 0; ; n++ {
		for lx.is(';') {
			lx.next()
		}
		if lx.kind == end {
			return f
		}
		f = j.statement(lx, inner)
		if n == 0 {
			kill = f.kill
		} else if f.kill != kill {
			f.blind = true // a KILL among other statements is not mapped
		}
		if !multi || j.verdict(f).Why != Replayed {
			return f
		}
		lx.skipStatement()
	}
}

// verdict says what becomes of a statement in which f was found.
func (j *Judge) verdict(f finding) Verdict {
	switch skipped := f.classes & j.skip; {
	case skipped != 0:
		return Verdict{Why: ByPolicy, Class: skipped.first()}
	case f.blind:
		return Verdict{Why: ByPolicy, Class: KillSession}
	case j.onlyRead && (f.writes || f.calls):
		return Verdict{Why: ByOnlyRead}
	}
	return Verdict{Kill: f.kill}
}

// A finding is what a statement turned out to be.
type finding struct {
	classes classSet
	writes  bool // it may write or lock, or its kind is not known
	calls   bool // it calls a function that does
	kill    Kill
	blind   bool // it kills what cannot be mapped
}
