package program

import "golang.org/x/sys/unix"

// deniedHere are the calls that only this architecture has.
var deniedHere = []uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_USELIB, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_MODIFY_LDT}
