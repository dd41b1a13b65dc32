package mysql

import (
	"crypto/ed25519"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
)

// MariaDB's plugin parsec. The server sends a nonce; an empty packet asks for
// the account's ext-salt; the answer is a nonce of the client and a signature
// of both.
//
//	ext-salt: 'P' | int<1> work factor | salt, 18 bytes
//	answer:   client's nonce, 32 bytes | Ed25519 signature of both nonces, 64 bytes
//
// https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-parsec
const (
	parsecNonceSize  = 32
	parsecKDF        = 'P'  // PBKDF2 with HMAC-SHA-512
	parsecIterations = 1024 // at work factor 0; each one more doubles it
	parsecMaxFactor  = 5    // 20 ms; MariaDB 11.8 takes 0, its default, to 3
	parsecMaxSalt    = 64
)

// parsecKeysLimit bounds the cache: a server that invents a new salt each time
// fills it with nothing of use.
const parsecKeysLimit = 1024

// parsecKeys are private keys that were derived before: the salt is the
// account's, so each account needs its derivation once.
type parsecKeys map[parsecAccount]ed25519.PrivateKey

type parsecAccount struct{ password, extSalt string }

// parsecKey returns the private key for an account, of the cache if it is there.
func (o *AuthOptions) parsecKey(password string, extSalt []byte) (ed25519.PrivateKey, error) {
	account := parsecAccount{password, string(extSalt)}
	if key, ok := o.parsecKeys[account]; ok {
		return key, nil
	}
	if len(extSalt) < 2 || extSalt[0] != parsecKDF {
		return nil, errors.New("the server's ext-salt has another form")
	}
	factor, salt := extSalt[1], extSalt[2:]
	if factor > parsecMaxFactor {
		return nil, fmt.Errorf("the account's work factor is %d, more than %d is not done", factor, parsecMaxFactor)
	}
	if len(salt) > parsecMaxSalt {
		return nil, fmt.Errorf("the account's salt has %d bytes, more than %d", len(salt), parsecMaxSalt)
	}
	seed, err := pbkdf2.Key(sha512.New, password, salt, parsecIterations<<factor, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	if o.parsecKeys == nil || len(o.parsecKeys) >= parsecKeysLimit {
		o.parsecKeys = make(parsecKeys)
	}
	o.parsecKeys[account] = key
	return key, nil
}

// extSaltCame takes the ext-salt and returns the client's nonce and the
// signature.
func (x *AuthExchange) extSaltCame(extSalt []byte) ([]byte, error) {
	key, err := x.options.parsecKey(x.password, extSalt)
	if err != nil {
		return nil, err
	}
	var nonces [2 * parsecNonceSize]byte
	copy(nonces[:], x.nonce[:])
	rand.Read(nonces[parsecNonceSize:]) // never fails
	return append(nonces[parsecNonceSize:], ed25519.Sign(key, nonces[:])...), nil
}
