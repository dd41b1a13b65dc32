package session

import (
	"bytes"
	"fmt"
	"strings"

	"mrtecopy/internal/ledger"
	"mrtecopy/internal/mysql"
)

// First bytes of the target's packets (mysql.Tracker frames them).
const (
	headerOK        = 0x00
	headerLocalFile = 0xfb
	headerEOF       = 0xfe // in a login: AuthSwitchRequest
	headerErr       = 0xff
)

// cannotReplay are the capabilities that are left out of our login: what they
// switch on would have to be spoken by us, and we only replay commands.
const cannotReplay = mysql.ClientSSL | mysql.ClientCompress | mysql.ClientZstdCompressionAlgorithm | mysql.ClientMultiFactorAuthentication |
	mysql.ClientCapabilityExtension // MariaDB's CLIENT_PROGRESS_OBSOLETE

// A login is what is kept until the target has let the session in.
type login struct {
	captured     mysql.Login
	user         string // on the target
	password     string
	capturedUser string
}

// clientLogin reads the client's first packet and decides whether the session
// can be replayed.
func (s *Session) clientLogin(e *Env, payload []byte) {
	if mysql.IsSSLRequest(payload) {
		s.reader.mode = readNothing
		s.skip(e, ledger.TLS)
		return
	}
	l, err := mysql.ParseLogin(payload)
	if err != nil {
		s.noLogin(e)
		return
	}
	s.reader.mode = readAuth
	if l.Capabilities&(mysql.ClientCompress|mysql.ClientZstdCompressionAlgorithm) != 0 {
		s.reader.mode = readNothing
		s.skip(e, ledger.Compression)
		return
	}
	if s.outcome != undecided {
		return
	}
	user, password, ok := e.Credentials(l.User)
	if !ok {
		s.skip(e, ledger.UnknownUser)
		return
	}
	l.Attributes = bytes.Clone(l.Attributes)
	s.login = &login{captured: l, user: user, password: password, capturedUser: l.User}
	s.phase = Queued
}

// noLogin gives up a session whose first packet is no login.
func (s *Session) noLogin(e *Env) {
	s.reader.mode = readNothing
	s.skip(e, ledger.NoLogin)
}

// Head takes a packet of the target that the intercept returned whole. kind is
// what was sent, sequence the packet's sequence id.
func (s *Session) Head(e *Env, kind mysql.Kind, sequence uint8, payload []byte) {
	if s.headsAgain++; s.headsAgain <= s.heads {
		return // repeated after Resume
	}
	s.heads = s.headsAgain
	if s.phase == Over || len(payload) == 0 {
		return
	}
	switch {
	case kind == mysql.KindGreeting:
		if s.phase == Opening || s.phase == Greeting {
			s.greeted(e, sequence, payload)
		}
	case kind == mysql.KindLogin, kind == mysql.Kind(mysql.ComChangeUser):
		if s.login != nil && (s.phase == LoggingIn || s.relogin) {
			s.authReply(e, sequence, payload)
		}
	case kind == mysql.Kind(mysql.ComStmtPrepare):
		id, _, _, ok := mysql.ParsePrepareOK(payload)
		s.statements.targetAnswered(id, ok)
	case payload[0] == headerLocalFile:
		s.fileAsked(e, sequence)
	}
	s.advance(e)
}

// greeted answers the target's greeting with the client's login.
func (s *Session) greeted(e *Env, sequence uint8, payload []byte) {
	if payload[0] == headerErr {
		s.refused(e, payload)
		return
	}
	g, err := mysql.ParseGreeting(payload)
	if err != nil {
		s.refuse(e, fmt.Sprintf("the target's greeting cannot be read: %v", err))
		return
	}
	s.mariadb = strings.Contains(g.Version, "MariaDB")
	l := s.login.captured
	// The lowest bit is CLIENT_LONG_PASSWORD in MySQL and CLIENT_MYSQL in
	// MariaDB, whose servers leave it out of the greeting and take a client that
	// sets it for one without the extended capabilities.
	l.Capabilities = l.Capabilities&g.Capabilities&^cannotReplay | l.Capabilities&mysql.ClientLongPassword
	l.Extended = l.Extended & g.Extended &^ mysql.MariaDBProgress
	if l.Capabilities&mysql.ClientLongPassword != 0 {
		l.Extended = 0
	}
	l.User = s.login.user
	l.Plugin = mysql.PluginNativePassword
	l.AuthResponse = mysql.NativePassword(g.Salt[:], s.login.password)
	s.caps, s.extended = l.Capabilities, l.Extended
	s.writePacket(e, sequence+1, l.Append(nil))
	e.Out.Kinds = append(e.Out.Kinds, byte(mysql.KindLogin))
	e.Out.InEffect, e.Out.Caps, e.Out.Extended = true, s.caps, s.extended
	s.loginEnds++
	s.phase = LoggingIn
}

// writePacket sends one packet of ours.
func (s *Session) writePacket(e *Env, sequence uint8, payload []byte) {
	b := mysql.AppendHeader(make([]byte, 0, mysql.HeaderSize+len(payload)), len(payload), sequence)
	s.Conn.Write(&e.Pool, append(b, payload...))
}

// authReply takes the target's answer to our login or COM_CHANGE_USER.
func (s *Session) authReply(e *Env, sequence uint8, payload []byte) {
	switch payload[0] {
	case headerOK:
		s.login = nil
		s.relogin = false
		if s.phase == LoggingIn {
			s.phase = Ready
			if s.clientGone != clientRST {
				s.goneAt = 0
			}
		}
	case headerErr:
		s.refused(e, payload)
	case headerEOF:
		sw, err := mysql.ParseAuthSwitch(payload)
		switch {
		case err != nil:
			s.refuse(e, fmt.Sprintf("the target's authentication request cannot be read: %v", err))
		case sw.Plugin != mysql.PluginNativePassword:
			s.refuse(e, fmt.Sprintf("the account needs the authentication plugin %q, which mrtecopy cannot speak yet; let it use %s", sw.Plugin, mysql.PluginNativePassword))
		default:
			s.writePacket(e, sequence+1, mysql.NativePassword(sw.Data, s.login.password))
		}
	default:
		s.refuse(e, fmt.Sprintf("the target asks for more than a password's hash (packet 0x%02x)", payload[0]))
	}
}

// refused ends a session whose login the target answered with an ERR packet.
func (s *Session) refused(e *Env, payload []byte) {
	text := "an error that cannot be read"
	if se, ok := mysql.ParseError(payload); ok {
		text = se.Error()
	}
	s.refuse(e, text)
}

func (s *Session) refuse(e *Env, text string) {
	e.Out.Refused = &Refusal{User: s.login.capturedUser, Target: s.login.user, Text: text}
	s.lose(e, ledger.LoginRefused)
}

// changeUser sends the client's COM_CHANGE_USER with the target's account in
// place of the captured one. Servers ignore the scramble in it and ask again
// with a new salt. It reports whether the session goes on.
//
//	int<1> command | string<NUL> user | int<1> length, auth response | string<NUL> schema | int<2> charset | …
func (s *Session) changeUser(e *Env, b []byte) bool {
	payload := b[mysql.HeaderSize+1:]
	name, rest, ok := bytes.Cut(payload, []byte{0})
	if ok && len(rest) > 0 && 1+int(rest[0]) <= len(rest) {
		rest = rest[1+int(rest[0]):]
	} else {
		// Malformed: the server refuses it, as production's did.
		s.Conn.Write(&e.Pool, b)
		s.login = &login{capturedUser: string(name)}
		s.relogin = true
		return true
	}
	user, password, ok := e.Credentials(string(name))
	if !ok {
		s.lose(e, ledger.UnknownUser)
		return false
	}
	p := append([]byte{byte(mysql.ComChangeUser)}, user...)
	p = append(p, 0, 0)
	p = append(p, rest...)
	s.writePacket(e, 0, p)
	s.login = &login{user: user, password: password, capturedUser: string(name)}
	s.relogin = true
	return true
}
