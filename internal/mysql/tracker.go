package mysql

// maxWhole is the longest packet that Feed gathers whole. The longest there
// is in practice, an ERR, has some hundred bytes (MYSQL_ERRMSG_SIZE is 512).
const maxWhole = 64 << 10

// A Tracker follows one server's responses through its byte stream: it finds
// where each ends and shows the packets that matter on the way. It has to be
// told what was asked (Push), because an OK and the answer to a
// COM_STMT_PREPARE look alike.
//
// It keeps no input. Bodies that nobody needs, rows and definitions, are
// skipped by their length, whatever it is.
//
// The zero Tracker stands at the beginning of a connection.
type Tracker struct {
	kinds   kindQueue
	skip    uint32 // bytes of the current packet still to come, none of them needed
	columns uint16 // definitions of result columns still to come
	params  uint16 // definitions of parameters still to come
	state   state
	seq     uint8 // sequence id of the last packet
	flags   trackerFlags
}

type trackerFlags uint8

const (
	// The current packet has MaxPayload bytes: the next one continues it, and
	// its first byte means nothing.
	flagContinued trackerFlags = 1 << iota

	// From the capabilities in effect.
	flagDeprecateEOF
	flagMetadataByte // a byte behind the column count says whether definitions follow
)

// SetCapabilities tells the tracker what is in effect: what both the server
// and the client have announced.
func (t *Tracker) SetCapabilities(c Capabilities, e Extended) {
	t.flags &^= flagDeprecateEOF | flagMetadataByte
	if c.Has(ClientDeprecateEOF) {
		t.flags |= flagDeprecateEOF
	}
	if c.Has(ClientOptionalResultsetMetadata) || e.Has(MariaDBCacheMetadata) {
		t.flags |= flagMetadataByte
	}
}

// Push says that a command was sent, whose response will follow those still
// pending. Commands without a response are ignored.
func (t *Tracker) Push(k Kind) {
	if Command(k).HasResponse() {
		t.kinds.push(k)
	}
}

// Pending returns how many responses have not ended.
func (t *Tracker) Pending() int { return t.kinds.len() }

// Storage returns the octets of memory that t holds beside itself.
func (t *Tracker) Storage() int { return t.kinds.storage() }

// Broken reports whether the stream cannot be framed any more: a packet came
// that cannot be where it is. It stays so; Feed then consumes nothing.
func (t *Tracker) Broken() bool { return t.state == stateBroken }

// An EventType says what an Event reports.
type EventType uint8

const (
	// Head shows a packet that means something to the client's side: every
	// packet of a greeting, a login or a COM_CHANGE_USER; the OK of a
	// COM_STMT_PREPARE; a LOCAL INFILE request; an ERR.
	Head EventType = iota + 1
	// End says that the oldest pending response has ended.
	End
)

// An Event is something Feed saw.
type Event struct {
	Type     EventType
	Kind     Kind   // of the response
	Sequence uint8  // of the packet; of an End, the last packet's
	Payload  []byte // of a Head: the whole payload, a view into Feed's input
	Err      bool   // of an End: an ERR ended the response
	Cut      bool   // of an End: the server has left the response without an end and gone on to the next one (MySQL 9.7.4 does)
}

// Feed takes the next bytes of the stream, appends what it saw to out and
// returns how many bytes it has consumed. The rest must be offered again, with
// more bytes behind it: part of a packet header, of a packet that is needed
// whole (at most 64 KiB), or the response to a command that was not pushed
// yet. How the stream is cut into calls makes no difference to what is seen.
func (t *Tracker) Feed(b []byte, out []Event) (n int, events []Event) {
	for t.kinds.len() > 0 && !t.Broken() {
		switch {
		case t.skip > 0:
			if n == len(b) {
				return n, out
			}
			k := min(uint32(min(len(b)-n, MaxPayload)), t.skip)
			t.skip -= k
			n += int(k)
		case t.flags&flagContinued == 0 && (t.state == stateEnd || t.state == stateEndErr):
			out = t.end(Event{Err: t.state == stateEndErr}, out)
		default:
			var v verdict
			v, out = t.packet(b[n:], out)
			switch v {
			case taken:
				n += HeaderSize
			case more:
				return n, out
			}
		}
	}
	return n, out
}

// Skippable returns how many of the stream's next bytes are skipped whatever
// they are.
func (t *Tracker) Skippable() int {
	if t.kinds.len() == 0 {
		return 0
	}
	return int(t.skip)
}

// Skip takes n bytes of the stream that nobody has, at most Skippable of them,
// and appends what it saw to out.
func (t *Tracker) Skip(n int, out []Event) []Event {
	if n < 0 || n > t.Skippable() {
		panic("mysql: Skip of bytes that are needed")
	}
	t.skip -= uint32(n)
	_, out = t.Feed(nil, out)
	return out
}

// Unsolicited reports whether b, which Feed has left, begins with a whole ERR
// packet that the server sent of its own accord and not in answer to a command:
// MySQL's 1158 after a FIN and 4031 after a long idle time, MariaDB's 1927
// after a KILL, 1053 at a shutdown. A server that sends one closes the
// connection. With nothing pending it may also be the answer to a command that
// is yet to be pushed; only an ERR of sequence id 0 cannot be.
func (t *Tracker) Unsolicited(b []byte) (payload []byte, ok bool) {
	h, ok := ParseHeader(b)
	if !ok || t.state != stateIdle || t.skip > 0 || len(b)-HeaderSize < h.Length || h.Length < 3 || b[HeaderSize] != errHeader {
		return nil, false
	}
	if t.kinds.len() > 0 && (h.Sequence != 0 || t.kinds.front() == KindGreeting) {
		return nil, false
	}
	return b[HeaderSize : HeaderSize+h.Length : HeaderSize+h.Length], true
}

// end reports the end of the oldest pending response.
func (t *Tracker) end(e Event, out []Event) []Event {
	e.Type, e.Kind, e.Sequence = End, t.kinds.front(), t.seq
	t.kinds.pop()
	t.state = stateIdle
	return append(out, e)
}
