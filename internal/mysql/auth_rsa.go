package mysql

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// What is taken for a server's RSA key. The servers make keys of 2048 bits; a
// much longer one would only cost this side time.
const (
	maxPublicKeyPEM  = 4 << 10 // bytes; 8192 bits take 1.4 KiB
	minPublicKeyBits = 1024    // crypto/rsa takes no shorter ones
	maxPublicKeyBits = 8192
)

// ParsePublicKey parses a server's RSA key as the server sends it and as it
// stands in its public_key.pem: PEM, of SubjectPublicKeyInfo or PKCS #1. It
// takes keys of 1024 to 8192 bits.
func ParsePublicKey(b []byte) (*rsa.PublicKey, error) {
	if len(b) > maxPublicKeyPEM {
		return nil, fmt.Errorf("parse the RSA key: %d bytes are too many", len(b))
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("parse the RSA key: it is no PEM")
	}
	var key *rsa.PublicKey
	switch block.Type {
	case "PUBLIC KEY":
		any, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse the RSA key: %w", err)
		}
		var ok bool
		if key, ok = any.(*rsa.PublicKey); !ok {
			return nil, fmt.Errorf("parse the RSA key: it is a %T", any)
		}
	case "RSA PUBLIC KEY":
		var err error
		if key, err = x509.ParsePKCS1PublicKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("parse the RSA key: %w", err)
		}
	default:
		return nil, fmt.Errorf("parse the RSA key: the PEM is a %.40q", block.Type)
	}
	if n := key.N.BitLen(); n < minPublicKeyBits || n > maxPublicKeyBits {
		return nil, fmt.Errorf("parse the RSA key: it has %d bits, want %d to %d", n, minPublicKeyBits, maxPublicKeyBits)
	}
	return key, nil
}

// encryptPassword returns what proves password to a server that holds the
// private half of key: RSA-OAEP (with SHA-1, as the servers have it) of the
// password and a NUL, XORed with the repeated nonce.
func encryptPassword(key *rsa.PublicKey, password string, nonce []byte) ([]byte, error) {
	plain := append([]byte(password), 0)
	for i := range plain {
		plain[i] ^= nonce[i%len(nonce)]
	}
	b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, plain, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt the password of %d bytes with the RSA key of %d bits: %w", len(password), key.N.BitLen(), err)
	}
	return b, nil
}
