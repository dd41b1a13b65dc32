package program

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter's verdicts, by the rules of its virtual machine.
func TestFilter(t *testing.T) {
	vm, err := bpf.NewVM(filter(unix.AUDIT_ARCH_X86_64))
	if err != nil {
		t.Fatal(err)
	}
	const allow, deny = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | int(unix.EPERM)
	const thread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	for _, tt := range []struct {
		name       string
		arch, call uint32
		arg        uint64
		want       int
	}{
		{"sendmmsg", unix.AUDIT_ARCH_X86_64, unix.SYS_SENDMMSG, 0, allow},
		{"socket", unix.AUDIT_ARCH_X86_64, unix.SYS_SOCKET, unix.AF_PACKET, allow},
		{"the first", unix.AUDIT_ARCH_X86_64, 0, 0, allow},
		{"futex", unix.AUDIT_ARCH_X86_64, unix.SYS_FUTEX, 0, allow},
		{"a thread", unix.AUDIT_ARCH_X86_64, unix.SYS_CLONE, thread, allow},
		{"a process", unix.AUDIT_ARCH_X86_64, unix.SYS_CLONE, uint64(unix.SIGCHLD), deny},
		{"a process and no thread", unix.AUDIT_ARCH_X86_64, unix.SYS_CLONE, unix.CLONE_THREAD << 32, deny},
		{"execve", unix.AUDIT_ARCH_X86_64, unix.SYS_EXECVE, 0, deny},
		{"the last", unix.AUDIT_ARCH_X86_64, denied[len(denied)-1], 0, deny},
		{"execve as x32 has it", unix.AUDIT_ARCH_X86_64, x32 | 520, 0, deny},
		{"execve as i386 has it", unix.AUDIT_ARCH_I386, 11, 0, deny},
	} {
		// The machine reads big-endian numbers, the kernel's the host's.
		data := binary.BigEndian.AppendUint32(nil, tt.call)
		data = binary.BigEndian.AppendUint32(data, tt.arch)
		data = append(data, make([]byte, 8)...)
		data = binary.BigEndian.AppendUint32(data, uint32(tt.arg))
		data = binary.BigEndian.AppendUint32(data, uint32(tt.arg>>32))
		if got, err := vm.Run(data); got != tt.want || err != nil {
			t.Errorf("%s: %#x, %v; want %#x", tt.name, got, err, tt.want)
		}
	}
}
