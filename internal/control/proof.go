package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

// A role is one side of a connection.
type role string

const (
	roleClient role = "mrtecopy"
	roleServer role = "intercept"
)

// exporterLabel is ours, so that nothing else which might run over TLS exports
// the same value (RFC 8446, section 7.5).
const exporterLabel = "EXPORTER-mrtecopy-control"

// A proof shows that its maker has the key and is the end, in its role, of the
// very TLS connection it was sent over.
type proof [sha256.Size]byte

// prove makes r's proof for the connection that s describes. The exporter's
// value depends on both sides' key shares, so a proof is worth nothing on any
// other connection: neither replayed, nor relayed by somebody in the middle,
// who ends two connections. The role makes one side's proof useless as the
// other's. The prefaces, which went in the clear, are covered too.
//
//	HMAC-SHA256(key, role | int<1> 0 | client's preface | server's preface | int<32> exporter)
func prove(key *Key, r role, client, server preface, s *tls.ConnectionState) (p proof, err error) {
	exported, err := s.ExportKeyingMaterial(exporterLabel, nil, sha256.Size)
	if err != nil {
		return p, fmt.Errorf("export keying material: %w", err)
	}
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(r))
	h.Write([]byte{0})
	h.Write(client[:])
	h.Write(server[:])
	h.Write(exported)
	h.Sum(p[:0])
	return p, nil
}

// equal compares in constant time.
func (p proof) equal(other []byte) bool { return hmac.Equal(p[:], other) }

func appendProof(b []byte, p proof) []byte {
	b, at := begin(b, typeProof)
	return finish(append(b, p[:]...), at)
}

// clientTLS verifies no certificate: the server's is made for the occasion and
// says nothing. The proofs say who is at the other end.
func clientTLS() *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		InsecureSkipVerify:          true,
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
	}
}

// serverTLS makes a certificate and a key that live as long as the process.
func serverTLS() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	template := &x509.Certificate{ // no name: a stranger learns nothing from it
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // "no well-defined expiration" (RFC 5280, section 4.1.2.5)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		Certificates:                []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true, // batches, not pages: the first record may be as full as the last
	}, nil
}
