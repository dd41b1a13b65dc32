package session

import (
	"unsafe"

	"mrtecopy/internal/buffer"
	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
)

// A State is what is known of a client's connection that was open before the
// capture began, and what brings a new one of the target to the same state.
type State struct {
	User, Schema string
	Attributes   []byte // connection attributes, as in a login
	ID           uint32 // production's id of the connection; 0: unknown
	Encrypted    bool   // it speaks TLS

	Before     []string   // SQL, in utf8mb4, that is executed on the target first
	Statements []Prepared // then these are prepared, in the order of production's ids
	After      []string   // then this is executed

	// AllStatements: the connection has no other prepared statements.
	AllStatements bool
	// Quiet: nothing passed on the connection while this was read, or since. So
	// what comes next is the beginning of a command, and no answer is owed.
	Quiet bool

	Completeness ledger.Completeness
	Lacks        ledger.Lacks
}

// Size returns the octets that st takes, 0 for none.
func (st *State) Size() int {
	if st == nil {
		return 0
	}
	const cell = 32 // of a text, beside its octets
	n := int(unsafe.Sizeof(*st)) + len(st.Attributes) + len(st.User) + len(st.Schema)
	for _, texts := range [][]string{st.Before, st.After} {
		for _, t := range texts {
			n += len(t) + cell
		}
	}
	for _, p := range st.Statements {
		n += len(p.Text) + cell
	}
	return n
}

// A Prepared is a statement that the client prepared before.
type Prepared struct {
	ID   uint32 // production's
	Text string // "": unknown
}

// An adoption is how a session came in whose login was not captured.
type adoption struct {
	state        *State // until the session is queued: what it is adopted with; nil: not known yet
	joined       bool   // a command's beginning was found
	missed       bool   // octets were not captured before that
	gapped       bool   // or behind it
	held         held
	setup        int // records of the set-up that were not answered
	completeness ledger.Completeness
	lacks        ledger.Lacks
}

// assumed are the capabilities that an adopted client is taken to have: those of
// nearly every client, and those without which it would get an error where its
// own server gave none. Most others concern answers. (Whether it sends query
// attributes its commands show.)
const assumed = mysql.ClientLongPassword | mysql.ClientLongFlag | mysql.ClientLocalFiles | mysql.ClientProtocol41 | mysql.ClientTransactions |
	mysql.ClientSecureConnection | mysql.ClientMultiStatements | mysql.ClientMultiResults | mysql.ClientPSMultiResults |
	mysql.ClientPluginAuth | mysql.ClientConnectAttrs | mysql.ClientPluginAuthLenencClientData | mysql.ClientConnectWithDB |
	mysql.ClientQueryAttributes

const assumedExtended = mysql.MariaDBStmtBulk | mysql.MariaDBBulkUnitResults

// utf8mb4GeneralCI is the collation with which an adopted session logs in: what
// its client has is set behind the login, as far as it is known.
const utf8mb4GeneralCI = 45

// storage returns the octets of what awaits a command's beginning.
func (a *adoption) storage() int {
	if a == nil {
		return 0
	}
	return a.state.Size()
}

// joins begins a session that was open before: its next command is looked for,
// and Adopt is awaited.
func (s *Session) joins() {
	s.adopted = new(adoption)
	s.accepted = true
	s.clientCaps, s.clientExtended = assumed, assumedExtended
	r := &s.reader
	r.mode = resync
	r.asks, r.owed, r.doubt = fewMoves, fewMoves, fewMoves
}

// AwaitsState reports whether the session waits for Adopt.
func (s *Session) AwaitsState() bool {
	return s.adopted != nil && s.phase == Reading && s.adopted.state == nil && s.outcome == undecided
}

// Joining reports whether the session was not seen from its beginning, and is
// not queued yet.
func (s *Session) Joining() bool { return s.adopted != nil && s.phase == Reading }

// Adopt says what is known of a session for which AwaitsState holds. It is opened
// once a command's beginning is found too.
func (s *Session) Adopt(e *Env, st *State) {
	if !s.AwaitsState() {
		return
	}
	a := s.adopted
	a.state = st
	switch _, _, ok := e.Credentials(st.User); {
	case st.Encrypted:
		s.reader.mode = readNothing
		s.skip(e, ledger.TLS)
	case !e.Filter.user(st.User):
		s.skip(e, ledger.User)
	case !ok:
		e.Out.Unknown, e.Out.UnknownUser = true, st.User
		s.skip(e, ledger.UnknownUser)
	case a.joined:
		s.enter(e)
	case s.clientGone != clientOpen:
		s.skip(e, ledger.OpenedBeforeStart)
	}
	s.account(e)
}

// enter queues an adopted session, with its set-up in front of what was captured.
func (s *Session) enter(e *Env) {
	a := s.adopted
	st := a.state
	a.state = nil
	a.completeness, a.lacks = st.Completeness, st.Lacks
	e.Counts.Sessions.Adopted.Adopted(a.completeness, a.lacks)
	user, password, _ := e.Credentials(st.User)
	s.productionID = st.ID
	s.inSchema(e, []byte(st.Schema))
	s.setUp(e, st)
	captured := mysql.Login{
		Capabilities: s.clientCaps, Extended: s.clientExtended, MaxPacket: mysql.MaxPayload, Charset: utf8mb4GeneralCI,
		User: st.User, Schema: st.Schema, Attributes: st.Attributes,
	}
	s.login = &login{captured: captured, user: user, password: password, capturedUser: st.User}
	s.phase = Queued
}

// setUp puts the commands that set up st in front of the captured ones, as if the
// client had sent them first.
func (s *Session) setUp(e *Env, st *State) {
	var b []byte
	var records []record
	add := func(cmd mysql.Command, text string) {
		b = append(append(mysql.AppendHeader(b, 1+len(text), 0), byte(cmd)), text...)
		records = append(records, record{at: e.Now, ack: s.reader.acked, size: mysql.HeaderSize + 1 + len(text), cmd: cmd, flags: setup})
	}
	for _, sql := range st.Before {
		add(mysql.ComQuery, sql)
	}
	for _, p := range st.Statements {
		if p.Text != "" {
			add(mysql.ComStmtPrepare, p.Text)
		}
	}
	for _, sql := range st.After {
		add(mysql.ComQuery, sql)
	}
	if len(st.Statements) > 0 {
		s.prepared().seed(st.Statements)
	}
	if len(records) == 0 {
		return
	}
	captured := s.in
	s.in = buffer.Buffer{}
	s.in.Append(&e.Pool, b)
	s.in.Append(&e.Pool, captured.Bytes())
	captured.Discard(&e.Pool, captured.Len())
	s.reader.at += len(b)
	s.queue = queue{all: append(records, s.queue.all[s.queue.head:]...)}
	s.adopted.setup = len(records)
}

// seed adds the statements that were prepared before, in front of those that the
// client prepared since. Those whose text is not known come first: they never
// go to the target.
func (t *statements) seed(before []Prepared) {
	seeds := make([]statement, 0, len(before)+len(t.all))
	for _, unknown := range []bool{true, false} {
		for _, p := range before {
			if (p.Text == "") != unknown {
				continue
			}
			st := statement{production: p.ID, nth: uint32(len(seeds) + 1), flags: known, untyped: true}
			if unknown {
				st.flags |= sent | answered | refused
				st.why = ledger.UnseenStatement
				t.sentTo++
				t.ended++
			}
			seeds = append(seeds, st)
		}
	}
	n := uint32(len(seeds))
	for _, st := range t.all {
		st.nth += n
		seeds = append(seeds, st)
	}
	t.all = seeds
	t.count += n
	t.topmost += n
	for _, p := range before {
		if p.ID > t.highest {
			t.highest, t.topmost = p.ID, n
		}
	}
}

// fresh says that there are no other statements than those that are known.
func (t *statements) fresh() {
	if t != nil {
		t.holes, t.hidden, t.gapped = false, false, false
	}
}

// renews reports whether cmd ends all that is not known of an adopted session.
func (s *Session) renews(cmd mysql.Command) bool {
	if s.adopted == nil || s.adopted.gapped {
		return false
	}
	return cmd == mysql.ComChangeUser || cmd == mysql.ComResetConnection && s.production != nil && s.production.resets()
}

// renewing says that such a command was read: what is read behind it can name no
// statement that was prepared before the adoption, what was read before it can.
func (s *Session) renewing(cmd mysql.Command) {
	if t := s.statements; t != nil && s.renews(cmd) {
		t.earlier = t.earlier || t.holes
		t.fresh()
	}
}

// renewed says that it was sent.
func (s *Session) renewed(cmd mysql.Command) {
	if t := s.statements; t != nil && s.renews(cmd) {
		t.earlier = false
	}
}

// unseen returns why a command is left out that names a statement of which
// nothing is known: it was prepared before the session was adopted, unless
// octets were missed since; then ok is false.
func (s *Session) unseen(rec *record, b []byte) (why ledger.Reason, ok bool) {
	if s.adopted == nil || s.adopted.gapped || !rec.cmd.UsesStatement() || len(b) < streamHead {
		return ledger.None, false
	}
	if st := s.statements.find(s.statementID(b)); st != nil {
		return ledger.None, false
	}
	return ledger.UnseenStatement, true
}

// lacking counts something that an adopted session turns out to lack.
func (s *Session) lacking(e *Env, l ledger.Lack) {
	a := s.adopted
	e.Counts.Sessions.Adopted.Lacking(a.completeness, a.lacks, l)
	a.lacks = a.lacks.With(l)
	if a.completeness == ledger.Whole {
		a.completeness = ledger.Partly
	}
}
