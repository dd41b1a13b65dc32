package simulation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"mrtecopy/internal/mysql"
)

// A Server is a model of the target: it answers commands, and writes down what
// it executed, with a statement's text in place of its id. Whatever does not
// fit the protocol is a fault.
type Server struct {
	// How it behaves.
	Version  string
	Caps     mysql.Capabilities
	Greeting []byte // a payload in place of a greeting
	Login    LoginStyle
	NextID   uint32 // of the next statement
	Mute     string // a query that begins so is never answered
	NoFiles  bool   // LOAD DATA LOCAL is refused
	password string

	Executed []string
	Faults   []string
	conn     serverConn
	users    []string // who logged in, with the schema
	QuitFIN  int      // COM_QUITs that came in one segment with the FIN
	cut      bool     // the connection was reset
	leaves   bool     // it closes the connection after what it has said
}

type LoginStyle uint8

const (
	LoginAtOnce LoginStyle = iota
	LoginSwitch
	LoginRefused
	LoginForeign // by a plugin that cannot be spoken
	LoginMore    // by more than a hash
)

// A serverConn is a server's state of one connection.
type serverConn struct {
	in         []byte
	big        []byte // a command of several packets
	seq        uint8  // the sequence id expected next
	wait       serverWait
	caps       mysql.Capabilities
	salt       byte
	statements map[uint32]string
	long       map[uint32][]byte // parameters sent by COM_STMT_SEND_LONG_DATA
	last       uint32
	file       []byte
	loading    string
	muted      bool
	finLast    bool
}

type serverWait uint8

const (
	forLogin serverWait = iota
	forProof            // of the login
	forProofAgain
	forCommand
	forFile
	forNothing
)

const ModelCaps = mysql.ClientLongPassword | mysql.ClientFoundRows | mysql.ClientLongFlag | mysql.ClientConnectWithDB |
	mysql.ClientLocalFiles | mysql.ClientProtocol41 | mysql.ClientTransactions | mysql.ClientSecureConnection | mysql.ClientMultiStatements |
	mysql.ClientMultiResults | mysql.ClientPSMultiResults | mysql.ClientPluginAuth | mysql.ClientConnectAttrs |
	mysql.ClientPluginAuthLenencClientData | mysql.ClientDeprecateEOF | mysql.ClientSSL | mysql.ClientCompress

func NewServer() *Server {
	return &Server{Version: "5.5.5-10.11.18-MariaDB", Caps: ModelCaps, NextID: 1, password: "secret"}
}

func (v *Server) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

func (v *Server) connect() {
	v.conn = serverConn{statements: make(map[uint32]string), long: make(map[uint32][]byte), seq: 1}
	v.cut, v.leaves = false, false
}

func (v *Server) salt() (s [mysql.SaltSize]byte) {
	v.conn.salt++
	for i := range s {
		s[i] = v.conn.salt*7 + byte(i) + 1
	}
	return s
}

func (v *Server) saltNow() (s [mysql.SaltSize]byte) {
	v.conn.salt--
	return v.salt()
}

// say appends a packet and expects the next sequence id.
func (v *Server) say(b []byte, payload ...byte) []byte {
	b = append(mysql.AppendHeader(b, len(payload), v.conn.seq), payload...)
	v.conn.seq++
	return b
}

func (v *Server) greet() []byte {
	v.conn.seq = 0
	if v.Greeting != nil {
		v.conn.wait = forNothing
		v.leaves = true
		return v.say(nil, v.Greeting...)
	}
	g := mysql.Greeting{Version: v.Version, ConnectionID: 7, Salt: v.salt(), Capabilities: v.Caps, Charset: 45, Status: 2, Plugin: mysql.PluginNativePassword}
	return v.say(nil, g.Append(nil)...)
}

// receive takes octets and returns the answers. fin says that the client's FIN
// comes with them.
func (v *Server) receive(b []byte, fin bool) (out []byte) {
	c := &v.conn
	c.in = append(c.in, b...)
	for {
		h, ok := mysql.ParseHeader(c.in)
		if !ok || len(c.in) < mysql.HeaderSize+h.Length {
			return out
		}
		p := c.in[mysql.HeaderSize : mysql.HeaderSize+h.Length]
		c.in = c.in[mysql.HeaderSize+h.Length:]
		c.finLast = fin && len(c.in) == 0
		if c.muted || c.wait == forNothing {
			continue
		}
		if h.Sequence != c.seq {
			v.fault("packet of sequence id %d, want %d: %.40q", h.Sequence, c.seq, p)
			c.wait = forNothing
		}
		c.seq = h.Sequence + 1
		out = v.packet(out, p, h.Length == mysql.MaxPayload)
		if v.leaves {
			c.wait = forNothing
		}
	}
}

func (v *Server) packet(out, p []byte, more bool) []byte {
	c := &v.conn
	switch c.wait {
	case forLogin:
		return v.takeLogin(out, p)
	case forProof, forProofAgain:
		salt := v.saltNow()
		if !bytes.Equal(p, mysql.NativePassword(salt[:], v.password)) {
			v.fault("wrong proof %x", p)
		}
		c.wait = forCommand
		out = v.ok(out)
		c.seq = 0
	case forFile:
		if len(p) > 0 {
			c.file = append(c.file, p...)
			return out
		}
		v.Executed = append(v.Executed, fmt.Sprintf("FILE of %s: %s", c.loading, Short(c.file)))
		c.file, c.wait = nil, forCommand
		out = v.ok(out)
		c.seq = 0
	case forCommand:
		c.big = append(c.big, p...)
		if more {
			return out
		}
		p, c.big = c.big, nil
		out = v.command(out, p)
		if c.wait == forCommand {
			c.seq = 0
		}
	}
	return out
}

func (v *Server) takeLogin(out, p []byte) []byte {
	c := &v.conn
	l, err := mysql.ParseLogin(p)
	if err != nil {
		v.fault("%v", err)
		c.wait = forNothing
		return out
	}
	c.caps = l.Capabilities & v.Caps
	if l.Capabilities&(mysql.ClientSSL|mysql.ClientCompress) != 0 {
		v.fault("login with capabilities %x", l.Capabilities)
	}
	v.users = append(v.users, l.User+"/"+l.Schema)
	switch v.Login {
	case LoginAtOnce:
		salt := v.saltNow()
		if !bytes.Equal(l.AuthResponse, mysql.NativePassword(salt[:], v.password)) {
			v.fault("wrong proof %x", l.AuthResponse)
		}
		c.wait = forCommand
		out = v.ok(out)
		c.seq = 0
	case LoginSwitch:
		out = v.authSwitch(out, mysql.PluginNativePassword)
		c.wait = forProof
	case LoginRefused:
		out = v.err(out, 1045, "Access denied")
		v.leaves = true
	case LoginForeign:
		out = v.authSwitch(out, "auth_gssapi_client")
		c.wait = forNothing
	case LoginMore:
		out = v.say(out, 1, 4)
		c.wait = forNothing
	}
	return out
}

func (v *Server) authSwitch(out []byte, plugin string) []byte {
	salt := v.salt()
	p := append([]byte{0xfe}, plugin...)
	return v.say(out, append(append(append(p, 0), salt[:]...), 0)...)
}

func (v *Server) ok(out []byte) []byte { return v.say(out, 0, 0, 0, 2, 0, 0, 0) }

func (v *Server) err(out []byte, code uint16, text string) []byte {
	return v.say(out, append([]byte{0xff, byte(code), byte(code >> 8), '#', 'H', 'Y', '0', '0', '0'}, text...)...)
}

func (v *Server) eof(out []byte, ok bool) []byte {
	if ok && v.conn.caps.Has(mysql.ClientDeprecateEOF) {
		return v.say(out, 0xfe, 0, 0, 2, 0, 0, 0)
	}
	return v.say(out, 0xfe, 0, 0, 2, 0)
}

// command executes a command and answers it.
func (v *Server) command(out, p []byte) []byte {
	c := &v.conn
	if len(p) == 0 {
		v.fault("empty command")
		c.wait = forNothing
		return out
	}
	cmd := mysql.Command(p[0])
	if attributes := c.caps.Has(mysql.ClientQueryAttributes); cmd == mysql.ComQuery {
		at := 1
		if attributes {
			var ok bool
			if at, ok = mysql.QueryText(p); !ok {
				v.fault("malformed attributes: %.40q", p)
				return v.err(out, 1835, "Malformed communication packet")
			}
		} else if len(p) > 1 && p[1] < '\t' {
			v.fault("attributes where there are none: %.40q", p)
		}
		p = append([]byte{p[0]}, bytes.TrimLeft(p[at:], " ")...) // as servers do
	}
	if cmd.UsesStatement() && len(p) >= 5 {
		return v.statement(out, cmd, p)
	}
	text := string(p[1:])
	said := p[1:]
	if cmd == mysql.ComChangeUser {
		said = bytes.TrimRight(said, "\x00") // attributes, and what is put behind them
	}
	v.Executed = append(v.Executed, fmt.Sprintf("%s %s", cmd, Short(said)))
	switch cmd {
	case mysql.ComQuit:
		if c.finLast {
			v.QuitFIN++
		}
		v.leaves = true
		c.wait = forNothing
		return out
	case mysql.ComStmtPrepare:
		return v.prepare(out, text)
	case mysql.ComChangeUser:
		user, _, ok := strings.Cut(text, "\x00")
		if !ok {
			v.leaves = true
			return v.err(out, 1047, "Malformed communication packet")
		}
		v.users = append(v.users, user)
		clear(c.statements)
		if user == "refused" {
			v.leaves = true
			return v.err(out, 1045, "Access denied")
		}
		c.wait = forProofAgain
		return v.authSwitch(out, mysql.PluginNativePassword)
	case mysql.ComResetConnection:
		clear(c.statements)
		return v.ok(out)
	case mysql.ComFieldList:
		return v.eof(v.say(out, []byte("\x03def....")...), true)
	case mysql.ComStatistics:
		return v.say(out, []byte("Uptime: 1")...)
	}
	switch {
	case v.Mute != "" && strings.HasPrefix(text, v.Mute):
		c.muted = true
		return out
	case strings.HasPrefix(text, "bad"):
		return v.err(out, 1064, "You have an error in your SQL syntax")
	case strings.HasPrefix(text, "select"):
		out = v.say(out, 1)
		out = v.say(out, []byte("\x03def....")...)
		if !c.caps.Has(mysql.ClientDeprecateEOF) {
			out = v.eof(out, false)
		}
		for range len(text) % 5 {
			out = v.say(out, append([]byte{byte(len(text) % 200)}, make([]byte, len(text)%200)...)...)
		}
		return v.eof(out, true)
	case strings.Contains(text, "LOAD DATA LOCAL"):
		if v.NoFiles {
			return v.err(out, 3948, "Loading local data is disabled")
		}
		c.wait, c.loading = forFile, text[:min(len(text), 40)]
		return v.say(out, []byte("\xfbfile")...)
	}
	return v.ok(out)
}

// prepare answers "!text" and "^text" with an error; "p2c1 text" has two parameters and a
// column.
func (v *Server) prepare(out []byte, text string) []byte {
	c := &v.conn
	c.last = 0
	id := v.NextID
	v.NextID++ // a failed one takes an id, too
	if text != "" && (text[0] == '!' || text[0] == '^') {
		return v.err(out, 1064, "You have an error in your SQL syntax")
	}
	c.statements[id], c.last = text, id
	params, columns := shapeOf(text)
	head := binary.LittleEndian.AppendUint32([]byte{0}, id)
	head = append(head, byte(columns), 0, byte(params), 0, 0, 0, 0)
	out = v.say(out, head...)
	for _, n := range []int{params, columns} {
		for range n {
			out = v.say(out, []byte("\x03def....")...)
		}
		if n > 0 && !c.caps.Has(mysql.ClientDeprecateEOF) {
			out = v.eof(out, false)
		}
	}
	return out
}

// statement executes a command on a prepared statement.
func (v *Server) statement(out []byte, cmd mysql.Command, p []byte) []byte {
	c := &v.conn
	id := binary.LittleEndian.Uint32(p[1:])
	if id == 0xffffffff && strings.Contains(v.Version, "MariaDB") {
		id = c.last
	}
	text, known := c.statements[id]
	if !known {
		text = "unknown statement"
	}
	if cmd == mysql.ComStmtExecute && c.caps.Has(mysql.ClientQueryAttributes) && paramsOf(text) > 0 {
		plain, _, ok := mysql.StripExecute(nil, p, paramsOf(text), nil, c.long[id])
		delete(c.long, id)
		if !ok {
			v.fault("malformed EXECUTE: %.80q", p)
			return v.err(out, 1210, "Incorrect arguments to mysqld_stmt_execute")
		}
		p = plain
	}
	v.Executed = append(v.Executed, fmt.Sprintf("%s {%s} %s", cmd, text, Short(p[5:])))
	switch {
	case cmd == mysql.ComStmtClose:
		delete(c.statements, id)
		return out
	case cmd == mysql.ComStmtSendLongData:
		c.long[id] = []byte{1}
		return out
	case cmd == mysql.ComStmtReset:
		delete(c.long, id)
		return v.ok(out)
	case !cmd.HasResponse():
		return out
	case !known:
		return v.err(out, 1243, "Unknown prepared statement handler")
	case cmd == mysql.ComStmtFetch:
		return v.eof(v.say(out, 0, 0, 'x'), true)
	}
	return v.ok(out)
}

// end says what a server says when the client's FIN comes.
func (v *Server) end() []byte {
	if v.conn.wait == forCommand && strings.HasPrefix(v.Version, "9.") {
		v.conn.seq = 0
		return v.err(nil, 1158, "Got an error reading communication packets")
	}
	return nil
}

// Short shows octets, long ones by their size and sum.
func Short(b []byte) string {
	if len(b) <= 200 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%.20q… %d octets, sum %08x", b, len(b), crc32.ChecksumIEEE(b))
}
