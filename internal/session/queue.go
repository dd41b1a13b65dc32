package session

import (
	"time"
	"unsafe"

	"mrtecopy/internal/mysql"
	"mrtecopy/internal/seq"
)

// A record is one captured command until its answer ends, or the file that a
// client sent for LOAD DATA LOCAL.
type record struct {
	at    time.Duration // when its last octet was captured
	size  int           // octets of it in Session.in
	ack   seq.Num       // the client's ACK number with it
	end   seq.Num       // the sequence number behind it, once it was sent whole
	more  uint32        // responses of it that follow the next one: it was sent as several commands
	cmd   mysql.Command
	kind  mysql.Command // what it was sent as
	flags recordFlags
}

type recordFlags uint16

const (
	open   recordFlags = 1 << iota // more of it will be captured
	begun                          // a part of it was sent
	drop                           // it is not sent: its octets go nowhere
	file                           // the octets of a LOAD DATA LOCAL, no command
	counts                         // its column in the ledger is not decided yet
	waited                         // counted as waiting
	loads                          // its answer may be the request for a file
	gapped                         // octets before it were not captured
	setup                          // no command of the client's: it sets up an adopted session
)

func (r *record) has(f recordFlags) bool { return r.flags&f != 0 }

// A queue holds the records in order: first those that were sent, then those
// that were not.
type queue struct {
	all  []record // all[head:] are in the queue
	head int32
	sent int32 // all[head:sent] were sent whole
	owed int32 // all[head:owed] have no response that the target owes
}

func (q *queue) len() int       { return len(q.all) - int(q.head) }
func (q *queue) unsentLen() int { return len(q.all) - int(q.sent) }
func (q *queue) storage() int   { return cap(q.all) * int(unsafe.Sizeof(record{})) }

// first returns the oldest record, unsent the oldest that was not sent whole,
// last the youngest; nil where there is none.
func (q *queue) first() *record  { return q.at(int(q.head)) }
func (q *queue) unsent() *record { return q.at(int(q.sent)) }
func (q *queue) last() *record   { return q.at(len(q.all) - 1) }

func (q *queue) at(i int) *record {
	if i < int(q.head) || i >= len(q.all) {
		return nil
	}
	return &q.all[i]
}

// lastSent returns the youngest record that was sent whole to the target.
func (q *queue) lastSent() *record {
	for i := q.sent - 1; i >= q.head; i-- {
		if r := &q.all[i]; !r.has(drop | file) {
			return r
		}
	}
	return nil
}

// awaited returns the oldest record whose response the target owes, and the one
// that was captured next; nil where there is none.
func (q *queue) awaited() (owed, behind *record) {
	for q.owed = max(q.owed, q.head); q.owed < q.sent; q.owed++ {
		if r := &q.all[q.owed]; !r.has(drop|file) && r.cmd.HasResponse() {
			return r, q.at(int(q.owed) + 1)
		}
	}
	return nil, nil
}

func (q *queue) push(e *Env, r record) *record {
	if q.all == nil {
		q.all = e.takeRecords()
	}
	if len(q.all) == cap(q.all) && int(q.head) > len(q.all)/2 { // at least as many were taken out as move
		n := copy(q.all, q.all[q.head:])
		q.all = q.all[:n]
		q.sent -= q.head
		q.owed = max(0, q.owed-q.head)
		q.head = 0
	}
	q.all = append(q.all, r)
	return &q.all[len(q.all)-1]
}

// pop takes the oldest record out, which was sent. An empty queue keeps no
// storage: most sessions are idle most of the time.
func (q *queue) pop(e *Env) {
	if q.head++; int(q.head) == len(q.all) {
		e.giveRecords(q.all)
		q.clear()
	}
}

const (
	// fewRecords is the room of a queue's first storage.
	fewRecords = 4
	// maxSpare is how many such an Env keeps for the next ones to need them.
	maxSpare = 4 << 10
)

// takeRecords returns the first storage of a queue.
func (e *Env) takeRecords() (some []record) {
	last := len(e.spare) - 1
	if last < 0 {
		return make([]record, 0, fewRecords)
	}
	some, e.spare = e.spare[last], e.spare[:last]
	return some
}

// giveRecords takes it back.
func (e *Env) giveRecords(some []record) {
	if cap(some) == fewRecords && len(e.spare) < maxSpare {
		e.spare = append(e.spare, some[:0])
	}
}

// clear empties the queue.
func (q *queue) clear() { *q = queue{} }

// kinds appends the kinds of the records that were sent, or begun, without the
// first ended of them.
func (q *queue) kinds(b []byte, ended int) []byte {
	for i := int(q.head); i < len(q.all); i++ {
		r := &q.all[i]
		if (i < int(q.sent) || r.has(begun)) && !r.has(drop|file) && r.cmd.HasResponse() {
			for range r.more + 1 {
				if ended--; ended < 0 {
					b = append(b, byte(r.kind))
				}
			}
		}
	}
	return b
}
