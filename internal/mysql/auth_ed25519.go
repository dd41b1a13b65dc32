package mysql

import (
	"crypto/sha512"
	"slices"

	"filippo.io/edwards25519"
)

// signEd25519 returns what proves password to MariaDB's plugin ed25519: the
// signature of RFC 8032, section 5.1.6, of the server's nonce, R and S, 64
// bytes. The password itself stands where the RFC has a key of 32 bytes, which
// is why crypto/ed25519 cannot do it. The empty password is one like any other;
// MariaDB 10.11 stores nothing for it, and then lets nobody in.
// https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-ed25519
func signEd25519(password string, nonce []byte) ([]byte, error) {
	h := sha512.Sum512([]byte(password))
	s, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	if err != nil {
		return nil, err
	}
	public := new(edwards25519.Point).ScalarBaseMult(s).Bytes()
	r, err := hashToScalar(h[32:], nonce)
	if err != nil {
		return nil, err
	}
	commitment := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	k, err := hashToScalar(commitment, public, nonce)
	if err != nil {
		return nil, err
	}
	return append(commitment, k.MultiplyAdd(k, s, r).Bytes()...), nil
}

// hashToScalar returns SHA-512 of the parts modulo the group's order.
func hashToScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.Sum512(slices.Concat(parts...))
	return edwards25519.NewScalar().SetUniformBytes(h[:])
}
