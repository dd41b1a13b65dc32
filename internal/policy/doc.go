// Package policy says what of production's traffic may be replayed: it judges
// statements by their SQL, and other commands by their payload.
//
// The judgement is made on tokens, not on a syntax tree. What a statement does
// is decided by its first word and by few words behind it, and these are the
// same for every server, while grammars are not: the parser of TiDB, the one
// well-kept parser in Go that builds here, refuses BACKUP STAGE, LOCK INSTANCE,
// CHANGE MASTER, RESET, CLONE, SET PERSIST, INTO DUMPFILE and all else that a
// rule is about, and JSON_TABLE, SELECT … INTO @a, HANDLER and RETURNING, which
// are replayed. It is the tests' oracle (build tag oracle). The lexer is our own
// because a text has more than one reading and libraries make one of them:
// sql_mode (ANSI_QUOTES, NO_BACKSLASH_ESCAPES), the client's character set and
// the server's version (executable comments) decide, and none of them is known.
// The judge makes all readings in which a text can be cut differently, and
// replays it only if all of them are replayed.
//
// A statement goes through up to two stages. The prefilter looks at the first
// word and for one or two others, and lets most pass. The rest is read token by
// token, which takes little longer than a digest of the tokens would, so that a
// cache of verdicts would be of no use.
//
// What cannot be seen here: stored and loadable functions, which can write from
// within a SELECT; the text of dynamic SQL; and accounts changed by writing to
// tables of the schema mysql.
//
// The package does no I/O, starts no goroutine and reads no clock. Nothing on
// the way of a statement allocates, but the operator's own expressions may.
package policy
