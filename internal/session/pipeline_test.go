package session

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/simulation"
)

// What a random pipelining client meets.
type hazards struct {
	parts   bool // the client sends while it has read a part of an answer
	bumps   bool // ids are taken between PREPAREs
	errs    bool // other commands fail
	refuses bool // the target refuses some PREPAREs
	missed  bool // heads are not captured
	columns bool // the target sees other columns
}

// TestFreePipelines: what is executed is what was meant, and nothing that
// production knew goes out with id 0. Where answers are missed too and the target
// refuses what production took, that cannot be had: see docs/architecture.md.
// SEEDS=n: so many seeds.
func TestFreePipelines(t *testing.T) {
	seeds := uint64(300)
	if n := os.Getenv("SEEDS"); n != "" {
		fmt.Sscan(n, &seeds)
	}
	for name, h := range map[string]hazards{
		"errors":                {errs: true},
		"errors, bumps":         {errs: true, bumps: true},
		"errors, bumps, missed": {errs: true, bumps: true, missed: true},
		"refuses":               {refuses: true},
		"refuses, bumps":        {refuses: true, bumps: true},
		"refuses, errors":       {refuses: true, errs: true},
		"parts":                 {parts: true},
		"parts, bumps":          {parts: true, bumps: true},
		"columns":               {columns: true},
	} {
		t.Run(name, func(t *testing.T) {
			wrong, first := 0, ""
			for s := range seeds {
				if e := pipelineReplay(t, h, s); e != "" {
					if wrong++; wrong == 1 {
						first = fmt.Sprintf("seed %d: %s", s, e)
					}
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d went wrong; %s", wrong, seeds, first)
			}
		})
	}
}

func pipelineReplay(t *testing.T, h hazards, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 11))
	m := newSim(t)
	m.peer.Server.NextID = uint32(100 + r.IntN(60))
	c := simulation.NewClient()
	c.NextID = uint32(1 + r.IntN(10))
	c.Login()
	c.Piped = true
	type pending struct {
		end  seq.Num
		head *simulation.Item
		id   uint32 // that the client knows with it
	}
	var out []pending
	made := c.Prod
	var ids, fresh []uint32 // known to the client; with what was made
	took := func(id uint32) {
		p := pending{end: c.Prod, id: id}
		if len(c.Later) > 0 {
			it := c.Later[0]
			c.Later = nil
			if !h.missed || r.IntN(4) > 0 {
				p.head = &it
			}
		}
		out = append(out, p)
	}
	produce := func() {
		if len(out) == 0 {
			return
		}
		p := out[0]
		out = out[1:]
		if p.head != nil {
			p.head.Ack = c.Nxt
			c.Items = append(c.Items, *p.head)
		}
		made = p.end
		if p.id > 0 {
			fresh = append(fresh, p.id)
		}
	}
	read := func() {
		c.Read = made
		ids = append(ids, fresh...)
		fresh = nil
		if h.parts && len(out) > 0 && r.IntN(2) == 0 {
			if n := made.To(out[0].end); n > 30 {
				c.Read = made.Add(1 + r.IntN(n-1))
			}
		}
	}
	for n := range 6 + r.IntN(14) {
		switch k := r.IntN(12); {
		case k < 3:
			c.Command(mysql.ComQuery, fmt.Sprintf("select %d", n), 11+r.IntN(2)*3000)
			if h.bumps && r.IntN(2) == 0 {
				c.NextID++
			}
			took(0)
		case k < 4 && h.errs:
			c.Command(mysql.ComQuery, "bad", 0)
			c.Answered(simulation.RefusedHead, 20)
			took(0)
		case k < 8:
			sql := fmt.Sprintf("p0c%d %d", r.IntN(2), n)
			switch {
			case h.refuses && r.IntN(3) == 0:
				sql = "^" + sql
			case r.IntN(6) == 0:
				sql = "!" + sql
			}
			id := c.Prepare(sql)
			if sql[0] == '!' {
				id = 0
			} else if h.columns && r.IntN(3) == 0 {
				c.Later[0].B = simulation.PrepareOK(id, 0, r.IntN(2))
			}
			took(id)
		case k < 11 && len(ids) > 0:
			c.Execute(ids[r.IntN(len(ids))])
			took(0)
		}
		for range r.IntN(3) {
			produce()
		}
		if r.IntN(2) == 0 {
			read()
		}
	}
	for len(out) > 0 {
		produce()
	}
	c.Read = made
	ids = append(ids, fresh...)
	for range 2 {
		if len(ids) > 0 {
			c.Execute(ids[r.IntN(len(ids))])
			c.Read = c.Prod
		}
	}
	c.Quit()
	m.play(c, lockstep)
	if !strings.HasSuffix(m.account(), "session replayed") {
		return m.account()
	}
	// executed must be a part of what was meant
	i := 0
	for n, got := range m.peer.Server.Executed {
		for i < len(c.Expect) && c.Expect[i] != got {
			i++
		}
		if i == len(c.Expect) {
			return fmt.Sprintf("command %d %s\n executed:\n  %s\n meant:\n  %s", n+1, got,
				strings.Join(slices.Clone(m.peer.Server.Executed), "\n  "), strings.Join(c.Expect, "\n  "))
		}
		i++
	}
	return ""
}
