package mysql

import (
	"crypto/rsa"
	"errors"
	"fmt"
)

// The authentication plugins' names.
const (
	PluginNativePassword      = "mysql_native_password"
	PluginOldPassword         = "mysql_old_password"
	PluginCachingSHA2Password = "caching_sha2_password"
	PluginSHA256Password      = "sha256_password"
	PluginClearPassword       = "mysql_clear_password"
	PluginEd25519             = "client_ed25519"
	PluginParsec              = "parsec"
)

// First bytes of what a server sends in the middle of an authentication.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_more_data.html
const (
	authMoreHeader = 0x01 // AuthMoreData
	authNextHeader = 0x02 // AuthNextFactor
)

// AuthOptions say what the client's side of an authentication may do. They are
// shared by many exchanges, all of one goroutine.
type AuthOptions struct {
	// Cleartext lets mysql_clear_password be answered with the password as it is.
	Cleartext bool
	// PublicKey is the server's RSA key, known beforehand. Without it the server
	// is asked for its key, and whoever answers in its place learns the password.
	PublicKey *rsa.PublicKey

	parsecKeys parsecKeys
}

// An AuthExchange is the client's side of one authentication: a login's, a
// COM_CHANGE_USER's, or what follows an AuthSwitchRequest. The zero
// AuthExchange takes nothing.
type AuthExchange struct {
	options  *AuthOptions
	step     authStep
	proven   bool // the server has said that the password is right
	plugin   string
	password string
	nonce    [parsecNonceSize]byte // the longest; the RSA exchanges use SaltSize of it
}

// An authStep is what the server has to say next, besides OK and ERR.
type authStep uint8

const (
	stepNone      authStep = iota
	stepCache              // whether caching_sha2_password's cache knows the account
	stepPublicKey          // the RSA key that was asked for
	stepExtSalt            // parsec's salt and work factor
)

// Supports reports whether Begin speaks plugin. A login names the greeting's
// plugin if it does, otherwise mysql_native_password: the server switches to
// the account's own.
func (o *AuthOptions) Supports(plugin string) bool {
	switch plugin {
	case PluginNativePassword, PluginCachingSHA2Password, PluginSHA256Password, PluginEd25519, PluginParsec:
		return true
	case PluginClearPassword:
		return o.Cleartext
	}
	return false
}

// Begin answers the nonce of a greeting or an AuthSwitchRequest: data, with or
// without the NUL behind it. The response is the payload of a packet, or the
// login's AuthResponse; it may be empty, and is then an empty packet. With
// sha256_password and a PublicKey it is as long as the key's modulus, which a
// login without ClientPluginAuthLenencClientData cannot hold if that is more
// than 255 bytes.
//
// The error is an UnsupportedPluginError for a plugin that is not spoken.
func (o *AuthOptions) Begin(plugin string, data []byte, password string) (x AuthExchange, response []byte, err error) {
	if !o.Supports(plugin) {
		return AuthExchange{}, nil, UnsupportedPluginError{plugin}
	}
	x = AuthExchange{options: o, plugin: plugin, password: password}
	size := SaltSize
	switch plugin {
	case PluginClearPassword: // has no use for a nonce
		return x, clearPassword(password), nil
	case PluginEd25519, PluginParsec:
		size = parsecNonceSize
	}
	if len(data) == size+1 && data[size] == 0 {
		data = data[:size]
	}
	if len(data) != size {
		return AuthExchange{}, nil, fmt.Errorf("%s: the server's nonce has %d bytes, want %d", plugin, len(data), size)
	}
	copy(x.nonce[:], data)
	switch plugin {
	case PluginNativePassword:
		response = NativePassword(data, password)
	case PluginCachingSHA2Password:
		response = x.beginCachingSHA2()
	case PluginSHA256Password:
		response, err = x.beginSHA256()
	case PluginEd25519:
		response, err = signEd25519(password, data)
	case PluginParsec: // nothing, which asks for the salt
		x.step = stepExtSalt
	}
	if err != nil {
		return AuthExchange{}, nil, fmt.Errorf("%s: %w", plugin, err)
	}
	return x, response, nil
}

// More takes the whole payload of a further packet of the server that is
// neither OK, ERR nor AuthSwitchRequest: AuthMoreData, with its leading 01. If
// answer is set, the response is the payload of the packet to send; otherwise
// the server goes on by itself. Behind an error the exchange takes nothing
// more.
func (x *AuthExchange) More(payload []byte) (response []byte, answer bool, err error) {
	step := x.step
	x.step = stepNone
	if len(payload) == 0 {
		return nil, false, errors.New("the server's authentication packet is empty")
	}
	// Servers before MySQL 8.0, and MariaDB's, put the 01 only where the plugin's
	// own first byte would mean something else.
	data := payload
	switch payload[0] {
	case authMoreHeader:
		data = payload[1:]
	case authNextHeader:
		factor, _, _ := cutNul(payload[1:])
		return nil, false, fmt.Errorf("the account has a second authentication factor (%s), which cannot be replayed: give it one factor on the target", quotePlugin(string(factor)))
	}
	switch step {
	case stepCache:
		response, answer, err = x.cacheAnswered(data)
	case stepPublicKey:
		response, err = x.publicKeyCame(data)
		answer = err == nil
	case stepExtSalt:
		response, err = x.extSaltCame(data)
		answer = err == nil
	default:
		err = fmt.Errorf("the server goes on with a packet 0x%02x of %d bytes where it has to say OK or ERR", payload[0], len(payload))
	}
	if err != nil {
		if x.plugin != "" {
			err = fmt.Errorf("%s: %w", x.plugin, err)
		}
		return nil, false, err
	}
	return response, answer, nil
}

// An UnsupportedPluginError says that an account needs an authentication
// plugin that is not spoken, or not without being allowed to.
type UnsupportedPluginError struct {
	Plugin string // as the server named it
}

func (e UnsupportedPluginError) Error() string {
	switch e.Plugin {
	case PluginClearPassword:
		return "the account needs " + PluginClearPassword + ", which sends the password unencrypted: allow it with --allow-cleartext-password, or let the account use another plugin"
	case PluginOldPassword:
		return "the account has a password hash of before MySQL 4.1 (" + PluginOldPassword + "), which is not spoken: set its password anew on the target"
	}
	return fmt.Sprintf("the account needs the authentication plugin %s, which is not spoken: on the target let it use %s, %s, %s, %s or %s",
		quotePlugin(e.Plugin), PluginCachingSHA2Password, PluginSHA256Password, PluginNativePassword, PluginEd25519, PluginParsec)
}

// quotePlugin quotes a name that came from the server, which has 64 bytes at
// most (NAME_CHAR_LEN) if the server is honest.
func quotePlugin(name string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	return fmt.Sprintf("%q", name)
}
