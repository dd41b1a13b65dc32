package mysql

// Errors that end an authentication.
// https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html
const (
	erAccessDenied            = 1045 // ER_ACCESS_DENIED_ERROR
	erSecureTransportRequired = 3159 // ER_SECURE_TRANSPORT_REQUIRED
)

// Explain returns what the ERR that ends an exchange means beyond its own
// text, "" if that is all there is to know, and whether the lack of TLS is to
// blame, as far as it can be told.
//
// An account that demands TLS (REQUIRE SSL, X509, ...) is refused over
// plaintext like a wrong password is, with 1045; MariaDB 10.11 does so for
// require_secure_transport too. But caching_sha2_password's cache says first
// that the password was right, if it knows it: after one attempt it does, even
// if that was refused. And a server without an RSA key answers the request for
// it with 1045, where one with a key never does.
func (x *AuthExchange) Explain(e ServerError) (text string, tls bool) {
	switch {
	case e.Code == erSecureTransportRequired:
		return "the target takes connections with TLS only (require_secure_transport)", true
	case e.Code != erAccessDenied:
		return "", false
	case x.proven:
		return "the password is right: the account demands TLS (REQUIRE SSL, X509, ...) or a second factor", true
	case x.step == stepPublicKey:
		return "the target has no RSA key, without which " + x.plugin + " takes this account's password over TLS only", true
	}
	return "", false
}
