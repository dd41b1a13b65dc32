package mysql

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// What caching_sha2_password's server says of its cache.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
const (
	sha2FastAuthSuccess = 0x03 // the proof was right; OK follows
	sha2FullAuth        = 0x04 // the account is not in the cache: the password itself is needed
)

// The requests for the server's RSA key.
const (
	sha2RequestPublicKey   = 0x02
	sha256RequestPublicKey = 0x01
)

// cachingSHA2Proof returns SHA256(password) XOR SHA256(SHA256(SHA256(password)) nonce).
func cachingSHA2Proof(nonce []byte, password string) []byte {
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	proof := sha256.Sum256(slices.Concat(twice[:], nonce))
	for i := range proof {
		proof[i] ^= once[i]
	}
	return proof[:]
}

// beginCachingSHA2 answers the nonce of caching_sha2_password. An account
// without a password takes the empty response (or a NUL), and no proof.
func (x *AuthExchange) beginCachingSHA2() []byte {
	if x.password == "" {
		return nil
	}
	x.step = stepCache
	return cachingSHA2Proof(x.nonce[:SaltSize], x.password)
}

// beginSHA256 answers the nonce of sha256_password, which has no proof: the
// password goes to the server each time. The nonce comes in the switch; in a
// greeting as well if the server's default plugin is this one. For no password
// MySQL 9.7 takes the empty response or a NUL, 5.6 the NUL alone.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_authentication_sha256.html
func (x *AuthExchange) beginSHA256() ([]byte, error) {
	if x.password == "" {
		return []byte{0}, nil
	}
	if key := x.options.PublicKey; key != nil {
		return encryptPassword(key, x.password, x.nonce[:SaltSize])
	}
	x.step = stepPublicKey
	return []byte{sha256RequestPublicKey}, nil
}

// cacheAnswered takes what the server says of its cache.
func (x *AuthExchange) cacheAnswered(data []byte) (response []byte, answer bool, err error) {
	if len(data) != 1 {
		return nil, false, fmt.Errorf("the server's answer to the proof has %d bytes, want 1", len(data))
	}
	switch data[0] {
	case sha2FastAuthSuccess:
		x.proven = true
		return nil, false, nil
	case sha2FullAuth:
		if key := x.options.PublicKey; key != nil {
			response, err = encryptPassword(key, x.password, x.nonce[:SaltSize])
			return response, err == nil, err
		}
		x.step = stepPublicKey
		return []byte{sha2RequestPublicKey}, true, nil
	}
	return nil, false, fmt.Errorf("the server answers the proof with 0x%02x, want 03 or 04", data[0])
}

// publicKeyCame takes the server's RSA key and returns the password, encrypted
// with it.
func (x *AuthExchange) publicKeyCame(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, errors.New("the server sent no RSA key")
	}
	key, err := ParsePublicKey(data)
	if err != nil {
		return nil, err
	}
	return encryptPassword(key, x.password, x.nonce[:SaltSize])
}
