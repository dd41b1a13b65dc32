// Package session is one client's replay: it reads the client's octets as
// MySQL commands, decides which bytes may go to the target and when, logs in
// there by itself, and gives every command and itself a place in the ledger.
//
// It is pure: octets, reports and heads go in, segments and messages for the
// intercept come out through Env.Out; time is Env.Now. One goroutine owns a
// session, its Env and all other sessions of that Env.
//
// Client octets come from any source that keeps their order; the connection to
// the target is a tcpstate.Conn.
package session

import (
	"time"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
	"mrtecopy/internal/policy"
	"mrtecopy/internal/seq"
	"mrtecopy/internal/tcpstate"
	"mrtecopy/internal/wire"
)

// A Phase says how far a session's replay has come.
type Phase uint8

// The phases, in order.
const (
	Reading  Phase = iota // the client's login is not captured yet
	Queued                // the login is known; the connection to the target waits for an intercept
	Opening               // the SYN is out
	Greeting              // connected; the target's greeting is awaited
	LoggingIn
	Ready   // commands flow
	Closing // COM_QUIT and FIN, or only the FIN, were written
	Over    // nothing more is sent; the client's commands are only counted
)

// An outcome is the column of the ledger in which a session stands.
type outcome uint8

const (
	undecided outcome = iota
	replayed
	skipped
	lost
)

const (
	// loginPatience is how long the target may take from our SYN to its OK: more
	// than a SYN's repetitions take, which say more about the trouble.
	loginPatience = 45 * time.Second
	// closePatience is how long the target may take to end its side after ours, and
	// a client's RST waits for the responses to what it sent before: it overtakes
	// commands, and would lose them. It takes less to notice that the intercept is
	// not heard any more, and the target then to repeat what it said.
	closePatience = 30 * time.Second
)

// Config is what all sessions share.
type Config struct {
	// Credentials returns the account on the target and its password for a
	// captured user, and whether there is one.
	Credentials func(user string) (target, password string, ok bool)
	// ResponseTimeout is how long the target may owe an answer behind which the
	// client has gone on, so that production gave it; 0: for ever.
	ResponseTimeout time.Duration
	// StreamAbove is the size in octets from which a command is sent as it comes,
	// not when it is complete.
	StreamAbove int
	Filter      Filter
	// Adopt says that sessions that were open before the capture began are not
	// skipped: Session.Adopt tells each of them what is known of it.
	Adopt bool
}

// Env is what the sessions of one shard share.
type Env struct {
	Config
	Auth         mysql.AuthOptions
	Decompressor mysql.Decompressor
	Judge        *policy.Judge
	Now          time.Duration // the clock, once per turn of the shard's loop
	At           time.Duration // when the frame at hand was captured, on the same clock
	Pool         buffer.Pool
	Counts       ledger.Counts
	Out          Out
	IDs          ConnectionIDs // nil: none is known
	// Draining says that nothing more will be captured: a session that has nothing
	// left to say is stopped, since the locks it holds keep others waiting.
	Draining bool

	// Records is the storage of all sessions that is not the Pool's, in octets.
	Records int

	scratch []byte     // a command in the target's form
	spare   [][]record // storage for queues, empty, each of room for fewRecords
}

// Out is what a call produced. The caller empties it.
type Out struct {
	Segments []wire.Segment // payloads are views, valid until the next call on any session of the Env
	Kinds    []byte         // what was sent, for the intercept: each a mysql.Kind
	// InEffect: from the last of Kinds on, the connection speaks with these
	// capabilities.
	InEffect bool
	Caps     mysql.Capabilities
	Extended mysql.Extended
	// UnknownUser is a captured user for whom there are no credentials, with Unknown.
	Unknown     bool
	UnknownUser string
	// Refused is the target's answer to a login.
	Refused *Refusal
}

// A Refusal is a login that the target, or this program, refused.
type Refusal struct {
	User, Target string // as captured; on the target
	Text         string
}

// Session is the replay of one client's connection. The zero value has
// captured nothing.
type Session struct {
	Conn tcpstate.Conn

	phase     Phase
	outcome   outcome
	reason    ledger.Reason
	relogin   bool // a COM_CHANGE_USER waits for the target's OK
	infile    infileState
	infileSeq uint8
	loginEnds uint8 // responses of the login that have not ended: the intercept counts them too
	accepted  bool  // the client has read production's answer to its login

	reader reader
	queue  queue
	in     buffer.Buffer // captured octets: queue's records that were not sent, then what is no whole command yet

	login       *login        // until the login is over; nil then
	ended       int           // responses that ended, of commands whose last octet was not sent yet
	clientEndAt time.Duration // when the client left
	goneAt      time.Duration // when the patience with the target is over; 0: it has no end
	overdueAt   time.Duration // when it has owed an answer for too long; 0: it owes none
	progressAt  time.Duration // when the target last said something, or could again
	statements  *statements   // nil until one is prepared
	adopted     *adoption     // of a session whose login was not captured; else nil
	initsDB     bool          // the last of loginEnds is to a COM_INIT_DB: the target's login takes no schema
	clientGone  clientEnd
	left        bool    // after its login at the target, the target closed with nothing unanswered
	stopped     bool    // by Stop: what is undecided stays so
	authAck     seq.Num // the client's ACK number with the last packet of its login

	productionID, targetID uint32 // the servers' numbers of the connection; 0: unknown

	// The two dialects: see dialect.go.
	clientCaps      mysql.Capabilities // as the client announced them
	clientExtended  mysql.Extended
	caps            mysql.Capabilities // in effect on the target
	extended        mysql.Extended
	production      *Dialect      // nil: unknown
	target          mysql.Version // of the target
	packed          *packed       // the client compresses
	heard           bool          // production's greeting to this client was captured
	assumed         bool          // counted as one whose greeting was not
	attributesKnown bool          // as far as it is known from production's greeting or a COM_QUERY
	attributesSeen  bool          // production is unknown, and the client sends query attributes
	multi           bool          // a COM_QUERY may hold several statements
	outside         bool          // the default schema is not one that is replayed
	recollated      bool          // counted as one with another collation
	waiting         gate          // why the first record that was not sent waits

	counted    int      // of Env.Records
	heads      uint32   // packets of the target seen since the last report
	headsAgain uint32   // of these, those seen since Resume: see there
	frame      [16]byte // the intercept's framing state at RCV.NXT
}

type clientEnd uint8

const (
	clientOpen clientEnd = iota
	clientFIN
	clientRST
)

// Captured counts the session. opened says whether its SYN was seen; without
// it, the session is skipped, or waits for Adopt.
func (s *Session) Captured(e *Env, opened bool) {
	e.Counts.Sessions.Captured++
	s.reader.mode = readLogin
	switch {
	case opened:
	case e.Adopt:
		s.joins()
	default:
		s.reader.mode = resync
		s.skip(e, ledger.OpenedBeforeStart)
	}
}

// Phase returns how far the session has come.
func (s *Session) Phase() Phase { return s.phase }

// Knocking reports whether the target has not answered the session's SYN for
// some seconds: longer than a lost SYN takes.
func (s *Session) Knocking(now time.Duration) bool {
	const patience = 4 * time.Second
	return s.phase == Opening && s.goneAt != 0 && now > s.goneAt-loginPatience+patience
}

// Finished reports whether neither the client nor the target has anything more
// to say: the session may be forgotten. One that was stopped is counted as open.
func (s *Session) Finished() bool {
	return s.clientGone != clientOpen && s.phase == Over && s.outcome != undecided
}

// ClientLeft reports whether the client's end was captured, or is certain.
func (s *Session) ClientLeft() bool { return s.clientGone != clientOpen }

// Busy reports whether something is under way that will end by itself: a login,
// commands to be sent or answered, a close. A session that was stopped is not.
func (s *Session) Busy() bool {
	return s.phase != Over && s.outcome == undecided && !s.stopped &&
		(s.queue.len() > 0 || s.phase >= Queued && s.phase < Ready || s.phase == Closing)
}

// Storage returns the octets of storage the session holds.
func (s *Session) Storage() int {
	n := s.in.Cap() + s.Conn.Storage() + s.records()
	if s.packed != nil {
		n += s.packed.in.Cap()
	}
	return n
}

// records returns the octets of storage that are not the Pool's.
func (s *Session) records() int {
	return s.queue.storage() + s.statements.storage() + s.login.storage() + s.adopted.storage()
}

// account brings Env.Records up to date.
func (s *Session) account(e *Env) {
	n := s.records()
	e.Records += n - s.counted
	s.counted = n
}

// Open connects to the target from flow.Src. The caller has registered the
// 4-tuple with the intercept, with the kinds that Unanswered returns.
func (s *Session) Open(e *Env, flow wire.Flow, iss seq.Num, mss int) {
	if s.phase != Queued || s.stopped {
		return
	}
	s.phase = Opening
	if s.goneAt == 0 {
		s.goneAt = e.Now + loginPatience
	}
	s.loginEnds, s.initsDB, s.ended = 1, false, 0
	s.heads, s.headsAgain = 0, 0
	s.Conn.Open(e.Now, flow, iss, mss)
}

// Unanswered appends the kinds of what was sent, or will be with the SYN, and is
// not answered, in order.
func (s *Session) Unanswered(b []byte) []byte {
	if s.phase < Ready {
		return append(b, byte(mysql.KindGreeting)) // it starts over after a pause
	}
	// The login's OK was seen, but that it ended was not reported.
	switch {
	case s.loginEnds > 1 && s.initsDB:
		b = append(b, byte(mysql.KindLogin), byte(mysql.ComInitDB))
	case s.loginEnds > 0 && s.initsDB:
		b = append(b, byte(mysql.ComInitDB))
	case s.loginEnds > 0:
		b = append(b, byte(mysql.KindLogin))
	}
	return s.queue.kinds(b, s.ended)
}

// Frame returns the intercept's framing state at the connection's RCV.NXT.
func (s *Session) Frame() [16]byte { return s.frame }

// InEffect returns the capabilities in effect on the target.
func (s *Session) InEffect() (mysql.Capabilities, mysql.Extended) { return s.caps, s.extended }

// Pause stops the session until Resume: no intercept sees the replies. A
// connection that has not logged in yet starts over.
func (s *Session) Pause(e *Env) {
	switch s.phase {
	case Opening, Greeting, LoggingIn:
		e.Out.Segments = s.Conn.Abort(&e.Pool, e.Out.Segments)
		s.phase = Queued
		if s.clientGone != clientRST {
			s.goneAt = 0
		}
	case Ready, Closing:
		s.Conn.Pause()
	}
}

// Resume goes on after a pause. What the intercept saw and could not report, it
// will see again, for the target repeats what was not acknowledged: among that,
// the packets it returned since its last report.
func (s *Session) Resume(e *Env) {
	s.headsAgain = 0
	s.progressAt = e.Now
	if s.goneAt != 0 {
		s.goneAt = max(s.goneAt, e.Now+closePatience)
	}
	s.Conn.Resume(e.Now)
}

// Deadline returns when Poll must be called next; 0: not before something else
// happens.
func (s *Session) Deadline() time.Duration {
	d := s.Conn.Deadline()
	if s.goneAt != 0 && s.phase != Over && (d == 0 || s.goneAt < d) {
		d = s.goneAt
	}
	if at := s.overdueAt; at != 0 && s.phase == Ready && (d == 0 || at < d) {
		d = at
	}
	if s.waiting == gateProductionID {
		if at := s.queue.unsent().at + idWait; d == 0 || at < d {
			d = at
		}
	}
	return d
}

// Poll lets time pass and appends the segments that may be sent now.
func (s *Session) Poll(e *Env) {
	if s.phase == Over && s.Conn.Fate() != tcpstate.Alive {
		return
	}
	s.advance(e)
	if s.goneAt != 0 && s.goneAt <= e.Now {
		s.patienceOver(e)
	}
	if s.overdueAt = s.overdue(e); s.overdueAt != 0 && s.overdueAt <= e.Now {
		s.lose(e, ledger.ResponseTimeout)
	}
	if e.Draining && s.spent() {
		s.Stop(e)
	}
	e.Out.Segments = s.Conn.Poll(e.Now, &e.Pool, e.Out.Segments)
	e.Counts.Send.Retransmits += uint64(s.Conn.Retransmits)
	s.Conn.Retransmits = 0
	s.checkFate(e)
	s.account(e)
}
