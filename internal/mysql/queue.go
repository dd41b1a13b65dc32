package mysql

import "fmt"

// A Kind says what kind of response is expected: the value of the Command it
// answers, or one of the two below.
type Kind uint8

// The two packets of the connection phase. No command has these numbers.
const (
	KindGreeting Kind = 0xf0 // the server's first packet
	KindLogin    Kind = 0xf1 // what follows the client's first packet, to OK or ERR
)

func (k Kind) String() string {
	switch k {
	case KindGreeting:
		return "greeting"
	case KindLogin:
		return "login"
	}
	return Command(k).String()
}

// A kindQueue holds the kinds of the responses not ended, oldest first. The
// first few lie in the struct; a longer queue borrows memory until it is short
// again.
type kindQueue struct {
	rest  []Kind // behind first[:n]; empty unless n has been len(first)
	first [15]Kind
	n     uint8
}

func (q *kindQueue) len() int { return int(q.n) + len(q.rest) }

// storage returns the octets of memory borrowed.
func (q *kindQueue) storage() int { return cap(q.rest) }

func (q *kindQueue) front() Kind { return q.first[0] }

func (q *kindQueue) push(k Kind) {
	if int(q.n) < len(q.first) && len(q.rest) == 0 {
		q.first[q.n] = k
		q.n++
		return
	}
	q.rest = append(q.rest, k)
}

func (q *kindQueue) pop() {
	if q.n == 0 {
		panic(fmt.Sprintf("mysql: pop of an empty queue (%d more)", len(q.rest)))
	}
	copy(q.first[:], q.first[1:q.n])
	if q.n--; q.n > 0 || len(q.rest) == 0 {
		return
	}
	n := copy(q.first[:], q.rest)
	q.n = uint8(n)
	if q.rest = q.rest[n:]; len(q.rest) == 0 {
		q.rest = nil
	}
}
