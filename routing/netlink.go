package routing

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errTruncated means that the kernel's answer does not hold what its length
// fields promise.
var errTruncated = errors.New("netlink: message cut short")

// An attribute is one element of a netlink message.
//
//	uint16 length, with these four octets | uint16 type | value | padding to 4
type attribute struct {
	kind  uint16
	value []byte // points into the message
}

// number returns a value of one, two or four octets, and 0 for other lengths.
func (a attribute) number() uint32 {
	switch len(a.value) {
	case 1:
		return uint32(a.value[0])
	case 2:
		return uint32(binary.NativeEndian.Uint16(a.value))
	case 4:
		return binary.NativeEndian.Uint32(a.value)
	}
	return 0
}

// text returns a value that is a string, which the kernel ends with a NUL.
func (a attribute) text() string {
	for i, c := range a.value {
		if c == 0 {
			return string(a.value[:i])
		}
	}
	return string(a.value)
}

// parseAttributes cuts b, what follows the fixed header of a message.
func parseAttributes(b []byte) ([]attribute, error) {
	var attrs []attribute
	for len(b) > 0 {
		if len(b) < unix.SizeofNlAttr {
			return nil, errTruncated
		}
		n := int(binary.NativeEndian.Uint16(b))
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		if n < unix.SizeofNlAttr || n > len(b) {
			return nil, errTruncated
		}
		attrs = append(attrs, attribute{kind, b[unix.SizeofNlAttr:n]})
		b = b[min(align(n), len(b)):]
	}
	return attrs, nil
}

// appendAttribute appends one attribute with its padding.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	n := unix.SizeofNlAttr + len(value)
	b = binary.NativeEndian.AppendUint16(b, uint16(n))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(n)-n)...)
}

// align rounds up as netlink does: NLMSG_ALIGN and NLA_ALIGN are both 4.
func align(n int) int { return (n + unix.NLA_ALIGNTO - 1) &^ (unix.NLA_ALIGNTO - 1) }

// parseMessages cuts one datagram of the kernel and appends the bodies (what
// follows nlmsghdr) of its messages. It reports done at the end of a dump or
// an acknowledgement, and the kernel's error, if it sent one, as a unix.Errno.
//
//	uint32 length | uint16 type | uint16 flags | uint32 sequence | uint32 port
func parseMessages(b []byte, bodies [][]byte) (_ [][]byte, done bool, _ error) {
	for len(b) > 0 {
		if len(b) < unix.SizeofNlMsghdr {
			return bodies, false, errTruncated
		}
		n := int(binary.NativeEndian.Uint32(b))
		kind, flags := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return bodies, false, errTruncated
		}
		body := b[unix.SizeofNlMsghdr:n]
		b = b[min(align(n), len(b)):]

		if flags&unix.NLM_F_DUMP_INTR != 0 {
			return bodies, true, unix.EINTR // the table changed during the dump
		}
		switch kind {
		case unix.NLMSG_NOOP:
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(body) >= 4 { // a negative errno, or 0
				if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
					return bodies, true, unix.Errno(-code)
				}
			}
			return bodies, true, nil
		default:
			bodies = append(bodies, body)
			if flags&unix.NLM_F_MULTI == 0 {
				return bodies, true, nil
			}
		}
	}
	return bodies, false, nil
}

// dump asks for every object of a kind, and once more where they changed while
// they were being told.
func dump(kind uint16, header []byte) ([][]byte, error) {
	for try := 0; ; try++ {
		bodies, err := request(kind, unix.NLM_F_DUMP, header)
		if errors.Is(err, unix.EINTR) && try < 10 {
			continue
		}
		return bodies, err
	}
}

// request sends one rtnetlink request and returns the bodies of the answer.
func request(kind, flags uint16, payload []byte) (bodies [][]byte, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	defer unix.Close(fd)
	// Lets a dump of routes be limited to one table. Kernels before 4.20 do not
	// know it and tell all of them.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)

	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, flags|unix.NLM_F_REQUEST)
	m = binary.NativeEndian.AppendUint32(m, 1)
	m = binary.NativeEndian.AppendUint32(m, 0)
	m = append(m, payload...)
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("ask the kernel: %w", err)
	}
	for {
		b := make([]byte, 64<<10) // the kernel fills 32 KiB at most
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the kernel's answer: %w", err)
		}
		var done bool
		if bodies, done, err = parseMessages(b[:n], bodies); err != nil || done {
			return bodies, err
		}
	}
}
