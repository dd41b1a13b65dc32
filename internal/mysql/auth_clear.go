package mysql

// clearPassword returns the answer of mysql_clear_password: the password as it
// is, and a NUL.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_clear_text_password.html
func clearPassword(password string) []byte { return append([]byte(password), 0) }
