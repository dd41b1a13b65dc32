package session

import (
	"fmt"
	"unsafe"

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

// A login is what is kept until the target has let the session in.
type login struct {
	captured     mysql.Login
	user         string // on the target
	password     string
	capturedUser string
	exchange     mysql.AuthExchange
	rounds       int // packets of the target answered
}

// storage returns the octets that l holds, but for what an exchange needs.
func (l *login) storage() int {
	if l == nil {
		return 0
	}
	c := &l.captured
	return int(unsafe.Sizeof(*l)) + len(c.User) + len(c.AuthResponse) + len(c.Schema) + len(c.Plugin) + len(c.Attributes)
}

// maxRounds bounds an authentication: a switch, and an exchange of four packets
// before and after it, are the longest there is.
const maxRounds = 8

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
	s.authAck = s.reader.acked
	s.clientCaps, s.clientExtended = l.Capabilities, l.Extended
	if s.outcome != undecided {
		return
	}
	if !e.Filter.user(l.User) {
		s.skip(e, ledger.User)
		return
	}
	user, password, ok := e.Credentials(l.User)
	if !ok {
		e.Out.Unknown, e.Out.UnknownUser = true, l.User
		s.skip(e, ledger.UnknownUser)
		return
	}
	s.inSchema(e, []byte(l.Schema))
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
	case kind == mysql.Kind(mysql.ComInitDB) && s.initsDB && s.login != nil && payload[0] == headerErr:
		s.refused(e, payload) // no such schema, as in a login
	case kind == mysql.Kind(mysql.ComStmtPrepare):
		id, _, params, ok := mysql.ParsePrepareOK(payload)
		s.statements.targetAnswered(id, params, ok)
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
	s.login.rounds = 0
	target := DialectOf(&g)
	s.multi = s.multiStatements()
	s.target, s.targetID = target.Version, g.ConnectionID
	s.caps, s.extended = s.negotiate(&target)
	if !s.heard && !s.assumed && s.adopted == nil {
		s.assumed = true
		e.Counts.Sessions.GreetingMissed++
	}
	l := s.login.captured
	l.Capabilities, l.Extended = s.caps, s.extended
	l.User = s.login.user
	l.Charset = uint8(s.collation(e, uint16(l.Charset)))
	l.Plugin = s.firstPlugin(&g)
	l.AuthResponse, err = s.beginAuth(e, l.Plugin, g.Salt[:])
	if err != nil {
		s.refuse(e, err.Error())
		return
	}
	s.writePacket(e, sequence+1, l.Append(nil))
	e.Out.Kinds = append(e.Out.Kinds, byte(mysql.KindLogin))
	e.Out.InEffect, e.Out.Caps, e.Out.Extended = true, s.caps, s.extended
	s.loginEnds++
	s.phase = LoggingIn
}

// firstPlugin returns the authentication plugin that our login names: the
// server's own, which spares an AuthSwitchRequest for most accounts, if we speak
// it and it makes do with a greeting's nonce.
func (s *Session) firstPlugin(g *mysql.Greeting) string {
	switch g.Plugin {
	case mysql.PluginCachingSHA2Password, mysql.PluginSHA256Password:
		if s.caps.Has(mysql.ClientPluginAuth | mysql.ClientPluginAuthLenencClientData) {
			return g.Plugin
		}
	}
	return mysql.PluginNativePassword
}

// beginAuth returns our answer to the nonce of a greeting or AuthSwitchRequest.
func (s *Session) beginAuth(e *Env, plugin string, data []byte) (response []byte, err error) {
	s.login.exchange, response, err = e.Auth.Begin(plugin, data, s.login.password)
	return response, err
}

// mariadb reports whether the target is MariaDB.
func (s *Session) mariadb() bool { return s.target.MariaDB }

// writePacket sends one packet of ours.
func (s *Session) writePacket(e *Env, sequence uint8, payload []byte) {
	b := mysql.AppendHeader(make([]byte, 0, mysql.HeaderSize+len(payload)), len(payload), sequence)
	s.Conn.Write(&e.Pool, append(b, payload...))
}

// authReply takes the target's answer to our login or COM_CHANGE_USER.
func (s *Session) authReply(e *Env, sequence uint8, payload []byte) {
	switch payload[0] {
	case headerOK:
		s.loggedIn(e)
		return
	case headerErr:
		s.refused(e, payload)
		return
	}
	if s.login.rounds++; s.login.rounds > maxRounds {
		s.refuse(e, "the target does not come to an end of the authentication")
		return
	}
	response, answer, err := s.authAnswer(e, payload)
	switch {
	case err != nil:
		s.refuse(e, err.Error())
	case answer:
		s.writePacket(e, sequence+1, response)
	}
}

// authAnswer returns our answer to a packet in the middle of an authentication.
func (s *Session) authAnswer(e *Env, payload []byte) (response []byte, answer bool, err error) {
	if payload[0] != headerEOF {
		return s.login.exchange.More(payload)
	}
	sw, err := mysql.ParseAuthSwitch(payload)
	if err != nil {
		return nil, false, fmt.Errorf("the target's authentication request cannot be read: %w", err)
	}
	response, err = s.beginAuth(e, sw.Plugin, sw.Data)
	return response, true, err
}

// loggedIn takes the target's OK to our login or COM_CHANGE_USER.
func (s *Session) loggedIn(e *Env) {
	l := s.login
	s.login = nil
	s.relogin = false
	if s.phase != LoggingIn {
		return
	}
	s.phase = Ready
	s.progressAt = e.Now
	s.connected(e)
	if s.clientGone != clientRST {
		s.goneAt = 0
	}
	if l.captured.Schema != "" && l.captured.Capabilities.Has(mysql.ClientConnectWithDB) && !s.caps.Has(mysql.ClientConnectWithDB) {
		s.writePacket(e, 0, append([]byte{byte(mysql.ComInitDB)}, l.captured.Schema...))
		e.Out.Kinds = append(e.Out.Kinds, byte(mysql.ComInitDB))
		s.loginEnds++
		s.initsDB = true
		s.login = l // until it is answered
	}
}

const accessDenied = 1045 // ER_ACCESS_DENIED_ERROR

// refused ends a session whose login the target answered with an ERR packet.
func (s *Session) refused(e *Env, payload []byte) {
	text := "an error that cannot be read"
	if se, ok := mysql.ParseError(payload); ok {
		text = se.Error()
		if more, _ := s.login.exchange.Explain(se); more != "" {
			text += "; " + more
		} else if se.Code == accessDenied {
			text += "; servers say so of a wrong password, an unknown account, and an account that requires TLS alike"
			if e.Auth.PublicKey != nil {
				text += ", and of a password encrypted with another server's key (--target-public-key)"
			}
		}
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
func (s *Session) changeUser(e *Env, b []byte) bool {
	spoken, _ := s.spoken()
	u, err := mysql.ParseChangeUser(b[mysql.HeaderSize:], spoken)
	if err != nil {
		// Malformed: the server refuses it, as production's did.
		s.Conn.Write(&e.Pool, b)
		s.login = &login{capturedUser: u.User}
		s.relogin = true
		return true
	}
	if !e.Filter.user(u.User) {
		s.skip(e, ledger.User)
		return false
	}
	user, password, ok := e.Credentials(u.User)
	if !ok {
		s.lose(e, ledger.UnknownUser)
		return false
	}
	s.inSchema(e, []byte(u.Schema))
	s.login = &login{user: user, password: password, capturedUser: u.User}
	s.relogin = true
	u.User, u.AuthResponse, u.Plugin = user, nil, mysql.PluginNativePassword
	if u.HasCharset {
		u.Charset = s.collation(e, u.Charset)
	}
	u.Padded = !s.target.MariaDB && !s.target.AtLeast(5, 7, 0)
	s.writePacket(e, 0, u.Append(nil, s.caps))
	return true
}
