package policy

import "encoding/binary"

// The commands that are judged, by their first byte.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
const (
	comQuit              = 0x01
	comInitDB            = 0x02
	comFieldList         = 0x04
	comRefresh           = 0x07
	comShutdown          = 0x08
	comStatistics        = 0x09
	comProcessInfo       = 0x0a
	comProcessKill       = 0x0c
	comPing              = 0x0e
	comChangeUser        = 0x11
	comBinlogDump        = 0x12
	comTableDump         = 0x13
	comConnectOut        = 0x14
	comRegisterSlave     = 0x15
	comStmtExecute       = 0x17
	comStmtSendLongData  = 0x18
	comStmtClose         = 0x19
	comStmtReset         = 0x1a
	comSetOption         = 0x1b
	comStmtFetch         = 0x1c
	comBinlogDumpGTID    = 0x1e
	comResetConnection   = 0x1f
	comClone             = 0x20
	comSubscribeGroupRep = 0x21
	comStmtBulkExecute   = 0xfa
	comMulti             = 0xfe // several commands in one packet
)

// What COM_REFRESH does besides flushing: include/my_command.h of MySQL,
// REFRESH_SLAVE and REFRESH_MASTER reset replication and the binary log.
const (
	refreshSlave  = 0x40
	refreshMaster = 0x80
)

// Command judges a command whose payload, which begins with the command's byte,
// is no SQL. Commands that use a statement are replayed, for the statement was
// judged when it was prepared.
func (j *Judge) Command(payload []byte) Verdict { return j.verdict(command(payload)) }

func command(payload []byte) (f finding) {
	f.writes = true
	if len(payload) == 0 {
		return f
	}
	switch payload[0] {
	case comQuit, comInitDB, comFieldList, comStatistics, comProcessInfo, comPing, comChangeUser, comSetOption, comResetConnection,
		comStmtExecute, comStmtSendLongData, comStmtClose, comStmtReset, comStmtFetch, comStmtBulkExecute:
		f.writes = false
	case comShutdown:
		f.classes.add(Shutdown)
	case comClone:
		f.classes.add(Clone)
	case comBinlogDump, comTableDump, comConnectOut, comRegisterSlave, comBinlogDumpGTID, comSubscribeGroupRep:
		f.classes.add(Replication)
	case comMulti:
		f.classes.add(Unclear)
	case comRefresh:
		// int<1> flags
		f.classes.add(Flush)
		if len(payload) > 1 && payload[1]&(refreshSlave|refreshMaster) != 0 {
			f.classes.add(Replication)
		}
	case comProcessKill:
		// int<4> connection id
		f.classes.add(KillSession)
		if f.blind = len(payload) != 5; !f.blind {
			f.kill = Kill{ID: uint64(binary.LittleEndian.Uint32(payload[1:])), Start: 1, End: 5}
		}
	}
	return f
}
