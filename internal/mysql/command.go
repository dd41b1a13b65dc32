package mysql

import "fmt"

// A Command is the first byte of a command's payload.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
type Command uint8

// The commands of MySQL, and from 0xfa on those of MariaDB.
const (
	ComSleep            Command = 0x00
	ComQuit             Command = 0x01
	ComInitDB           Command = 0x02
	ComQuery            Command = 0x03
	ComFieldList        Command = 0x04
	ComCreateDB         Command = 0x05
	ComDropDB           Command = 0x06
	ComRefresh          Command = 0x07
	ComShutdown         Command = 0x08
	ComStatistics       Command = 0x09
	ComProcessInfo      Command = 0x0a
	ComConnect          Command = 0x0b
	ComProcessKill      Command = 0x0c
	ComDebug            Command = 0x0d
	ComPing             Command = 0x0e
	ComTime             Command = 0x0f
	ComDelayedInsert    Command = 0x10
	ComChangeUser       Command = 0x11
	ComBinlogDump       Command = 0x12
	ComTableDump        Command = 0x13
	ComConnectOut       Command = 0x14
	ComRegisterSlave    Command = 0x15
	ComStmtPrepare      Command = 0x16
	ComStmtExecute      Command = 0x17
	ComStmtSendLongData Command = 0x18
	ComStmtClose        Command = 0x19
	ComStmtReset        Command = 0x1a
	ComSetOption        Command = 0x1b
	ComStmtFetch        Command = 0x1c
	ComDaemon           Command = 0x1d
	ComBinlogDumpGTID   Command = 0x1e
	ComResetConnection  Command = 0x1f
	ComClone            Command = 0x20
	// ComSubscribeGroupReplicationStream hands the socket over to the group
	// communication; what follows is no longer this protocol.
	ComSubscribeGroupReplicationStream Command = 0x21

	ComStmtBulkExecute Command = 0xfa
	ComSlaveWorker     Command = 0xfb
	ComSlaveIO         Command = 0xfc
	ComSlaveSQL        Command = 0xfd
	ComMulti           Command = 0xfe // MariaDB 10.2 to 10.5
)

var commandNames = [256]string{
	ComSleep:                           "COM_SLEEP",
	ComQuit:                            "COM_QUIT",
	ComInitDB:                          "COM_INIT_DB",
	ComQuery:                           "COM_QUERY",
	ComFieldList:                       "COM_FIELD_LIST",
	ComCreateDB:                        "COM_CREATE_DB",
	ComDropDB:                          "COM_DROP_DB",
	ComRefresh:                         "COM_REFRESH",
	ComShutdown:                        "COM_SHUTDOWN",
	ComStatistics:                      "COM_STATISTICS",
	ComProcessInfo:                     "COM_PROCESS_INFO",
	ComConnect:                         "COM_CONNECT",
	ComProcessKill:                     "COM_PROCESS_KILL",
	ComDebug:                           "COM_DEBUG",
	ComPing:                            "COM_PING",
	ComTime:                            "COM_TIME",
	ComDelayedInsert:                   "COM_DELAYED_INSERT",
	ComChangeUser:                      "COM_CHANGE_USER",
	ComBinlogDump:                      "COM_BINLOG_DUMP",
	ComTableDump:                       "COM_TABLE_DUMP",
	ComConnectOut:                      "COM_CONNECT_OUT",
	ComRegisterSlave:                   "COM_REGISTER_SLAVE",
	ComStmtPrepare:                     "COM_STMT_PREPARE",
	ComStmtExecute:                     "COM_STMT_EXECUTE",
	ComStmtSendLongData:                "COM_STMT_SEND_LONG_DATA",
	ComStmtClose:                       "COM_STMT_CLOSE",
	ComStmtReset:                       "COM_STMT_RESET",
	ComSetOption:                       "COM_SET_OPTION",
	ComStmtFetch:                       "COM_STMT_FETCH",
	ComDaemon:                          "COM_DAEMON",
	ComBinlogDumpGTID:                  "COM_BINLOG_DUMP_GTID",
	ComResetConnection:                 "COM_RESET_CONNECTION",
	ComClone:                           "COM_CLONE",
	ComSubscribeGroupReplicationStream: "COM_SUBSCRIBE_GROUP_REPLICATION_STREAM",
	ComStmtBulkExecute:                 "COM_STMT_BULK_EXECUTE",
	ComSlaveWorker:                     "COM_SLAVE_WORKER",
	ComSlaveIO:                         "COM_SLAVE_IO",
	ComSlaveSQL:                        "COM_SLAVE_SQL",
	ComMulti:                           "COM_MULTI",
}

// String returns the manual's name, or the number of an unknown command.
func (c Command) String() string {
	if name := commandNames[c]; name != "" {
		return name
	}
	return fmt.Sprintf("COM_0x%02x", uint8(c))
}

// Known reports whether some version of MySQL or MariaDB has the command.
func (c Command) Known() bool { return commandNames[c] != "" }

// HasResponse reports whether the server answers the command. To a COM_QUIT it
// just closes the connection.
func (c Command) HasResponse() bool {
	switch c {
	case ComQuit, ComStmtSendLongData, ComStmtClose:
		return false
	}
	return true
}

// UsesStatement reports whether bytes 1 to 4 of the payload are the id of a
// prepared statement.
func (c Command) UsesStatement() bool {
	switch c {
	case ComStmtExecute, ComStmtSendLongData, ComStmtClose, ComStmtReset, ComStmtFetch, ComStmtBulkExecute:
		return true
	}
	return false
}
