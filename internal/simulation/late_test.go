package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/observer"
	"mrtecopy/internal/replay"
	"mrtecopy/internal/session"
	"mrtecopy/internal/wire"
)

// bareUser is as whom sessions are adopted of which nothing is known.
const bareUser = "t_app/"

// openBefore has a connection be open when the capture begins at the time at, or
// reports that it cannot. What the observer tells of it is what its client did
// until one of its pauses.
func (w *world) openBefore(r *rand.Rand, c *captured, at time.Duration) bool {
	if len(c.Pauses) == 0 {
		return false
	}
	p := &c.Pauses[r.IntN(len(c.Pauses))]
	if c.Items[p.items].Kind != ItemData {
		return false // it only ends after that
	}
	dialect := session.DialectOf(c.Greeting)
	if w.weather.has(untold) && (r.IntN(2) == 0 || !w.weather.has(late)) {
		c.Since(p)
		w.bare[c.flow.Src] = c
		return true
	}
	if w.dialect == nil {
		w.dialect = &dialect
		w.shard.Begin(w.now)
		w.shard.Looked(&observer.Look{Began: replay.SimulatedTime(w.now), Ended: replay.SimulatedTime(w.now), Dialect: w.dialect})
	}
	if *w.dialect != dialect {
		return false // the observer asks one server
	}
	st := session.State{User: p.User, Schema: p.Schema, Before: []string{"SET @before = 1"}, After: []string{"SET @after = 1"}, AllStatements: true}
	before := []string{fmt.Sprintf("%s %s", mysql.ComQuery, Short([]byte(st.Before[0])))}
	for _, id := range slices.Sorted(maps.Keys(p.Statements)) {
		text := p.Statements[id]
		st.Statements = append(st.Statements, session.Prepared{ID: id, Text: text})
		if !slices.Contains(leftOut, text) {
			before = append(before, fmt.Sprintf("%s %s", mysql.ComStmtPrepare, Short([]byte(text))))
		}
	}
	before = append(before, fmt.Sprintf("%s %s", mysql.ComQuery, Short([]byte(st.After[0]))))
	c.Since(p)
	c.Expect = append(before, c.Expect...)
	w.observer.Remember(c.flow.Src, &observer.Seen{State: st, Idle: true}, replay.SimulatedTime(at-time.Millisecond))
	delete(w.bySchema, "t_app/"+c.schema)
	w.bySchema["t_"+p.User+"/"+p.Schema] = c
	return true
}

// bareClient returns whose session at the target it is that nobody told of: its
// client's end is the client's own, or has another port if that was taken.
func (w *world) bareClient(from wire.Endpoint, executed string) *captured {
	if c := w.bare[from]; c != nil {
		return c
	}
	for _, c := range w.clients {
		if w.bare[c.flow.Src] == c && c.flow.Src.Addr == from.Addr && c.service == nil && slices.Contains(c.Expect, executed) {
			return c
		}
	}
	return nil
}
