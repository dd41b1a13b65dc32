package session

import (
	"mrtecopy/internal/mysql"
)

// A Dialect is what a server's greeting says of the protocol it speaks.
type Dialect struct {
	Capabilities mysql.Capabilities
	Extended     mysql.Extended
	Version      mysql.Version
	Charset      uint8 // the collation a client gets that asks for an unknown one
}

// DialectOf returns the dialect of the server that said g.
func DialectOf(g *mysql.Greeting) Dialect {
	return Dialect{g.Capabilities, g.Extended, mysql.ParseVersion(g.Version), g.Charset}
}

// resets reports whether the server knows COM_RESET_CONNECTION; one whose version
// cannot be read is believed to.
func (d *Dialect) resets() bool {
	if d.Version == (mysql.Version{}) {
		return true
	}
	if d.Version.MariaDB {
		return d.Version.AtLeast(10, 2, 4)
	}
	return d.Version.AtLeast(5, 7, 3)
}

// cannotReplay are the capabilities that are left out of our login: what they
// switch on would have to be spoken by us, and we only replay commands.
const cannotReplay = mysql.ClientSSL | mysql.ClientCompress | mysql.ClientZstdCompressionAlgorithm |
	mysql.ClientCapabilityExtension // MariaDB's CLIENT_PROGRESS_OBSOLETE

// ours are the capabilities of our own login's form, whatever the client had.
// With the last one a server tells that an account has a second factor, rather
// than that its password is wrong.
const ours = mysql.ClientProtocol41 | mysql.ClientSecureConnection | mysql.ClientPluginAuth | mysql.ClientPluginAuthLenencClientData |
	mysql.ClientMultiFactorAuthentication

// ProductionGreeted takes production's dialect. own says that it was said to
// this client; otherwise it is the last one captured from the same server, or
// nil where there is none. It must come before what it explains: the commands.
func (s *Session) ProductionGreeted(d *Dialect, own bool) {
	s.production, s.heard = d, own
}

// ProductionConnected takes the id that production's greeting gave the client's
// connection.
func (s *Session) ProductionConnected(id uint32) { s.productionID = id }

// AwaitsLogin reports whether the client's login was not captured yet, so that
// production's next octets may be its greeting.
func (s *Session) AwaitsLogin() bool { return s.reader.mode == readLogin }

// spoken returns the capabilities in effect between the client and production:
// what both announced, for clients also announce what their server never
// offered. Where production's greeting is unknown the client is believed. Query
// attributes are left out where only its commands show them (hasAttributes).
func (s *Session) spoken() (mysql.Capabilities, mysql.Extended) {
	caps, extended := s.clientCaps, s.clientExtended
	if s.infersAttributes() {
		caps &^= mysql.ClientQueryAttributes
	}
	if s.production == nil {
		return caps, extended
	}
	return caps & s.production.Capabilities, extended & s.production.Extended
}

// negotiate returns the capabilities of our login at a target of dialect d, and
// so those in effect there.
func (s *Session) negotiate(d *Dialect) (mysql.Capabilities, mysql.Extended) {
	caps, extended := s.spoken()
	caps = (caps | ours) & d.Capabilities &^ cannotReplay
	extended &= d.Extended &^ mysql.MariaDBProgress
	// The lowest bit is CLIENT_LONG_PASSWORD in MySQL and CLIENT_MYSQL in
	// MariaDB, whose servers leave it out of the greeting and take a client that
	// sets it for one without the extended capabilities.
	if extended == 0 {
		caps |= mysql.ClientLongPassword
	} else {
		caps &^= mysql.ClientLongPassword
	}
	return caps, extended
}

// collation returns the id of the target's collation for the one the client
// asked for. An id that production does not know it replaces by its default; one
// that the target does not know has a nearest there.
func (s *Session) collation(e *Env, id uint16) uint16 {
	if p := s.production; p != nil && !p.Version.KnowsCollation(id) {
		id = uint16(p.Charset)
	}
	nearest, changed := s.target.NearestCollation(id)
	if changed && !s.recollated {
		s.recollated = true
		e.Counts.Sessions.CollationChanged++
	}
	return nearest
}

// hasAttributes reports whether the commands of the client are in the form of
// mysql.ClientQueryAttributes.
func (s *Session) hasAttributes() bool {
	if s.infersAttributes() {
		return s.attributesSeen
	}
	return s.clientCaps&s.production.Capabilities&mysql.ClientQueryAttributes != 0
}

// seeAttributes finds out from a COM_QUERY, with its header, whether the client
// sends query attributes, where production's greeting does not say so. A
// statement's text does not begin with a number of parameters, nor with
// anything that the number of parameter sets (always 1) follows.
func (s *Session) seeAttributes(b []byte) {
	if !s.infersAttributes() || !s.mayHaveAttributes() || len(b) < mysql.HeaderSize+3 {
		return
	}
	const firstBlank = '\t'
	p := b[mysql.HeaderSize+1:]
	s.attributesSeen, s.attributesKnown = p[0] < firstBlank || p[1] == 1, true
}

// infersAttributes reports whether only the client's commands tell if it sends
// query attributes.
func (s *Session) infersAttributes() bool { return s.production == nil || s.adopted != nil }

// mayHaveAttributes reports whether the client may send them, as far as its login
// and production's greeting tell.
func (s *Session) mayHaveAttributes() bool {
	return s.clientCaps.Has(mysql.ClientQueryAttributes) && (s.production == nil || s.production.Capabilities.Has(mysql.ClientQueryAttributes))
}

// stripping reports whether the query attributes must be taken out of commands.
func (s *Session) stripping() bool {
	return s.hasAttributes() && !s.caps.Has(mysql.ClientQueryAttributes)
}

// sqlText returns the statement's text in the beginning of a COM_QUERY, with its
// header; nil where that has not come yet, or is malformed.
func (s *Session) sqlText(b []byte) []byte {
	b = b[mysql.HeaderSize:]
	if !s.hasAttributes() {
		return b[1:]
	}
	at, ok := mysql.QueryText(b[:min(len(b), maxAttributes)])
	if !ok {
		return nil
	}
	return b[at:]
}
