// Package mysql reads and writes what the replay needs of the MySQL and
// MariaDB client/server protocol: packets, compressed or not, commands, the
// handshake with its authentication plugins, and the framing of a server's
// responses.
//
// It is pure: no sockets, goroutines, clocks or logs. Whatever bytes a peer
// sends, its parsers return an error or false and never panic. It does not
// decode rows and does not decrypt.
//
// Names follow the manuals: https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
// and https://mariadb.com/docs/server/reference/clientserver-protocol.
package mysql
