package session

import (
	"testing"

	"mrtecopy/internal/mysql"
)

// The oldest record that the target owes an answer to, however many without one
// are in front of it, taken out, or moved to the front of the storage.
func TestAwaited(t *testing.T) {
	var q queue
	e := new(Env)
	const round = 1000
	n := 0
	for range 5 {
		for range round {
			q.push(e, record{cmd: mysql.ComStmtSendLongData})
			q.sent++
		}
		if r, _ := q.awaited(); r != nil {
			t.Fatalf("%v is awaited", r.cmd)
		}
		q.push(e, record{cmd: mysql.ComQuery, size: n})
		if r, _ := q.awaited(); r != nil {
			t.Fatal("what was not sent is awaited")
		}
		q.sent++
		q.push(e, record{cmd: mysql.ComPing})
		q.sent++
		r, behind := q.awaited()
		if r == nil || r.cmd != mysql.ComQuery || r.size != n || behind == nil || behind.cmd != mysql.ComPing {
			t.Fatalf("awaited: %+v, %+v", r, behind)
		}
		for range round + 2 {
			q.pop(e)
		}
		if r, _ := q.awaited(); r != nil || q.len() != 0 {
			t.Fatalf("%v is awaited of %d", r, q.len())
		}
		n++
	}
}
