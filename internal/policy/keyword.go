package policy

// A keyword is a word that some rule is about. Servers have many more.
type keyword uint8

const (
	none keyword = iota

	kwAggregate
	kwAlter
	kwAnalyze
	kwBackup
	kwBegin
	kwBinary
	kwBinlog
	kwCall
	kwCase
	kwChange
	kwChecksum
	kwClone
	kwCommit
	kwConnection
	kwCreate
	kwDeallocate
	kwDeclare
	kwDefault
	kwDelete
	kwDesc
	kwDescribe
	kwDo
	kwDrop
	kwDumpfile
	kwExecute
	kwExplain
	kwExport
	kwFlush
	kwFor
	kwFormat
	kwFrom
	kwFunction
	kwGet
	kwGlobal
	kwGrant
	kwHandler
	kwHard
	kwHelp
	kwIf
	kwImmediate
	kwIn
	kwInsert
	kwInstall
	kwInstance
	kwInto
	kwKill
	kwLoad
	kwLock
	kwLoop
	kwMaster
	kwNext
	kwOptimize
	kwOr
	kwOutfile
	kwPassword
	kwPersist
	kwPersistOnly
	kwPrepare
	kwPurge
	kwQuery
	kwRead
	kwRelease
	kwRename
	kwRepeat
	kwReplace
	kwReplica
	kwReset
	kwResource
	kwRestart
	kwRevoke
	kwRole
	kwRollback
	kwSavepoint
	kwSelect
	kwServer
	kwSet
	kwShare
	kwShow
	kwShutdown
	kwSlave
	kwSoft
	kwSoname
	kwStart
	kwStatement
	kwStop
	kwTable
	kwTables
	kwTransaction
	kwUninstall
	kwUnlock
	kwUpdate
	kwUse
	kwUser
	kwValue
	kwValues
	kwWhile
	kwWith
	kwWork

	kwLastval   // sequences of MariaDB, as functions or behind a dot
	kwNextval   //
	kwSetval    //
	kwLocking   // functions that take or release locks of the whole server
	kwAdministr // functions that change the server or its settings
)

// words are the keywords' texts.
var words = map[string]keyword{
	"AGGREGATE": kwAggregate, "ALTER": kwAlter, "ANALYZE": kwAnalyze,
	"BACKUP": kwBackup, "BEGIN": kwBegin, "BINARY": kwBinary, "BINLOG": kwBinlog,
	"CALL": kwCall, "CASE": kwCase, "CHANGE": kwChange, "CHECKSUM": kwChecksum, "CLONE": kwClone, "COMMIT": kwCommit,
	"CONNECTION": kwConnection, "CREATE": kwCreate,
	"DEALLOCATE": kwDeallocate, "DECLARE": kwDeclare, "DEFAULT": kwDefault, "DELETE": kwDelete, "DESC": kwDesc, "DESCRIBE": kwDescribe,
	"DO": kwDo, "DROP": kwDrop, "DUMPFILE": kwDumpfile,
	"EXECUTE": kwExecute, "EXPLAIN": kwExplain, "EXPORT": kwExport,
	"FLUSH": kwFlush, "FOR": kwFor, "FORMAT": kwFormat, "FROM": kwFrom, "FUNCTION": kwFunction,
	"GET": kwGet, "GLOBAL": kwGlobal, "GRANT": kwGrant, "HANDLER": kwHandler, "HARD": kwHard, "HELP": kwHelp,
	"IF": kwIf, "IMMEDIATE": kwImmediate, "IN": kwIn, "INSERT": kwInsert, "INSTALL": kwInstall, "INSTANCE": kwInstance, "INTO": kwInto,
	"KILL": kwKill, "LOAD": kwLoad, "LOCK": kwLock, "LOOP": kwLoop, "MASTER": kwMaster, "NEXT": kwNext,
	"OPTIMIZE": kwOptimize, "OR": kwOr, "OUTFILE": kwOutfile,
	"PASSWORD": kwPassword, "PERSIST": kwPersist, "PERSIST_ONLY": kwPersistOnly, "PREPARE": kwPrepare, "PURGE": kwPurge,
	"QUERY": kwQuery, "READ": kwRead, "RELEASE": kwRelease, "RENAME": kwRename, "REPEAT": kwRepeat, "REPLACE": kwReplace,
	"REPLICA": kwReplica, "REPLICAS": kwReplica, "RESET": kwReset, "RESOURCE": kwResource, "RESTART": kwRestart,
	"REVOKE": kwRevoke, "ROLE": kwRole, "ROLLBACK": kwRollback,
	"SAVEPOINT": kwSavepoint, "SELECT": kwSelect, "SERVER": kwServer, "SET": kwSet, "SHARE": kwShare, "SHOW": kwShow,
	"SHUTDOWN": kwShutdown, "SLAVE": kwSlave, "SLAVES": kwSlave, "SOFT": kwSoft, "SONAME": kwSoname, "START": kwStart,
	"STATEMENT": kwStatement, "STOP": kwStop,
	"TABLE": kwTable, "TABLES": kwTables, "TRANSACTION": kwTransaction,
	"UNINSTALL": kwUninstall, "UNLOCK": kwUnlock, "UPDATE": kwUpdate, "USE": kwUse, "USER": kwUser,
	"VALUE": kwValue, "VALUES": kwValues, "WHILE": kwWhile, "WITH": kwWith, "WORK": kwWork,

	"LASTVAL": kwLastval, "NEXTVAL": kwNextval, "SETVAL": kwSetval,
	"GET_LOCK": kwLocking, "RELEASE_LOCK": kwLocking, "RELEASE_ALL_LOCKS": kwLocking,
	"SERVICE_GET_READ_LOCKS": kwLocking, "SERVICE_GET_WRITE_LOCKS": kwLocking, "SERVICE_RELEASE_LOCKS": kwLocking,

	"ASYNCHRONOUS_CONNECTION_FAILOVER_ADD_MANAGED":    kwAdministr,
	"ASYNCHRONOUS_CONNECTION_FAILOVER_ADD_SOURCE":     kwAdministr,
	"ASYNCHRONOUS_CONNECTION_FAILOVER_DELETE_MANAGED": kwAdministr,
	"ASYNCHRONOUS_CONNECTION_FAILOVER_DELETE_SOURCE":  kwAdministr,
	"ASYNCHRONOUS_CONNECTION_FAILOVER_RESET":          kwAdministr,
	"GROUP_REPLICATION_DISABLE_MEMBER_ACTION":         kwAdministr,
	"GROUP_REPLICATION_ENABLE_MEMBER_ACTION":          kwAdministr,
	"GROUP_REPLICATION_RESET_MEMBER_ACTIONS":          kwAdministr,
	"GROUP_REPLICATION_SET_AS_PRIMARY":                kwAdministr,
	"GROUP_REPLICATION_SET_COMMUNICATION_PROTOCOL":    kwAdministr,
	"GROUP_REPLICATION_SET_WRITE_CONCURRENCY":         kwAdministr,
	"GROUP_REPLICATION_SWITCH_TO_MULTI_PRIMARY_MODE":  kwAdministr,
	"GROUP_REPLICATION_SWITCH_TO_SINGLE_PRIMARY_MODE": kwAdministr,
	"KEYRING_KEY_GENERATE":                            kwAdministr,
	"KEYRING_KEY_REMOVE":                              kwAdministr,
	"KEYRING_KEY_STORE":                               kwAdministr,
	"SPIDER_BG_DIRECT_SQL":                            kwAdministr,
	"SPIDER_COPY_TABLES":                              kwAdministr,
	"SPIDER_DIRECT_SQL":                               kwAdministr,
}

// longest is the size of the longest of words.
const longest = len("GROUP_REPLICATION_SWITCH_TO_SINGLE_PRIMARY_MODE")

// lengths has for each first letter a bit for each length of a keyword, so that
// most names need no hashing.
var lengths = func() (t [26]uint64) {
	for w := range words {
		t[w[0]-'A'] |= 1 << len(w)
	}
	return t
}()

// lookup returns the keyword that w is, in whatever case.
func lookup(w []byte) keyword {
	if len(w) == 0 || len(w) > longest {
		return none
	}
	if first := w[0]&^0x20 - 'A'; first >= 26 || lengths[first]>>len(w)&1 == 0 {
		return none
	}
	var upper [longest]byte
	for i, c := range w {
		if 'a' <= c && c <= 'z' {
			c -= 0x20
		}
		upper[i] = c
	}
	return words[string(upper[:len(w)])]
}
