//go:build !cgo

package program

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Confine gives up, on every thread and for good, all that c does not keep:
// capabilities, and with no_new_privs and a seccomp filter the ways to get
// others. An error that is ErrUnfiltered leaves only the filter out.
//
// Linux keeps these per thread, so the runtime has to be asked to do each step
// on all of them, which it does in programs without cgo only.
func Confine(c Confinement) error {
	if c.User != "" {
		if err := become(c.User); err != nil {
			return fmt.Errorf("become user %s: %w", c.User, err)
		}
	}
	if err := keepOnly(c.Keep); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	if err := allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := NoDumps(); err != nil { // a change of the user may have undone it
		return err
	}
	return filterCalls()
}

// become changes the user and its group, and leaves all other groups.
func become(name string) error {
	id, err := lookUp(name)
	if err != nil {
		return err
	}
	// Otherwise who stops being root loses all capabilities.
	if err := allThreads(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1); err != nil {
		return err
	}
	return errors.Join(syscall.Setgroups(nil), syscall.Setresgid(id.gid, id.gid, id.gid), syscall.Setresuid(id.uid, id.uid, id.uid))
}

// keepOnly gives up all capabilities but these, as far as they are there.
func keepOnly(keep []Capability) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has, wants [2]unix.CapUserData
	if err := unix.Capget(&header, &has[0]); err != nil {
		return err
	}
	for _, c := range keep {
		i, bit := c.Bit/32, uint32(1)<<(c.Bit%32)
		wants[i].Permitted |= has[i].Permitted & bit
		wants[i].Effective = wants[i].Permitted
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&wants[0])), 0)
	return orNil(errno)
}

func allThreads(call, a, b uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(call, a, b, 0, 0, 0, 0)
	return orNil(errno)
}

func orNil(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// archs are those whose system calls are known here.
var archs = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// filterCalls puts the filter on every thread. It needs no_new_privs.
func filterCalls() error {
	arch, ok := archs[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("%w: not on %s", ErrUnfiltered, runtime.GOARCH)
	}
	raw, err := bpf.Assemble(filter(arch))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnfiltered, err)
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	f := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	stuck, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&f)))
	switch {
	case errno != 0:
		return fmt.Errorf("%w: %w", ErrUnfiltered, errno)
	case stuck != 0:
		return fmt.Errorf("%w: thread %d has another filter", ErrUnfiltered, stuck)
	}
	return nil
}
