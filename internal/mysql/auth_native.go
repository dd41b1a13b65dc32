package mysql

import (
	"crypto/sha1"
	"slices"
)

// NativePassword returns what proves password to a server that sent salt
// (20 bytes; a closing NUL behind them is left out of account), by the plugin
// mysql_native_password: SHA1(password) XOR SHA1(salt SHA1(SHA1(password))).
// For the empty password that is nothing.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
func NativePassword(salt []byte, password string) []byte {
	if password == "" {
		return nil
	}
	salt = salt[:min(len(salt), SaltSize)]
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	proof := sha1.Sum(slices.Concat(salt, twice[:]))
	for i := range proof {
		proof[i] ^= once[i]
	}
	return proof[:]
}
