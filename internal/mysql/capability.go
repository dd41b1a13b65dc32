package mysql

// Capabilities are the CLIENT_* flags. Server and client each announce theirs,
// and clients announce flags their server never offered: in effect is what
// both have.
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
type Capabilities uint32

// The flags. ClientLongPassword is MariaDB's CLIENT_MYSQL: a peer that does
// not set it is MariaDB's and sends Extended as well.
const (
	ClientLongPassword Capabilities = 1 << iota
	ClientFoundRows
	ClientLongFlag
	ClientConnectWithDB
	ClientNoSchema
	ClientCompress
	ClientODBC
	ClientLocalFiles
	ClientIgnoreSpace
	ClientProtocol41
	ClientInteractive
	ClientSSL
	ClientIgnoreSigpipe
	ClientTransactions
	ClientReserved
	ClientSecureConnection // the manual's CLIENT_RESERVED2
	ClientMultiStatements
	ClientMultiResults
	ClientPSMultiResults
	ClientPluginAuth
	ClientConnectAttrs
	ClientPluginAuthLenencClientData
	ClientCanHandleExpiredPasswords
	ClientSessionTrack
	ClientDeprecateEOF
	ClientOptionalResultsetMetadata
	ClientZstdCompressionAlgorithm
	ClientQueryAttributes
	ClientMultiFactorAuthentication
	ClientCapabilityExtension
	ClientSSLVerifyServerCert
	ClientRememberOptions
)

// Has reports whether all of flags are set.
func (c Capabilities) Has(flags Capabilities) bool { return c&flags == flags }

// Extended are MariaDB's own flags, bits 32 to 63 of its capabilities.
// https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection
type Extended uint32

// The flags. Bit 1 was COM_MULTI, of 10.2 to 10.5.
const (
	MariaDBProgress Extended = 1 << iota
	MariaDBComMulti
	MariaDBStmtBulk
	MariaDBExtMetadata
	MariaDBCacheMetadata
	MariaDBBulkUnitResults
)

// Has reports whether all of flags are set.
func (e Extended) Has(flags Extended) bool { return e&flags == flags }
