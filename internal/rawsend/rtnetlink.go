//go:build linux

package rawsend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// An rtnetlink is a conversation with the kernel about routes and neighbours
// (rtnetlink(7)). The four questions asked here do not repay a library.
type rtnetlink struct {
	fd  int
	seq uint32
}

func dialRTNetlink() (*rtnetlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &rtnetlink{fd: fd}, nil
}

func (c *rtnetlink) close() { unix.Close(c.fd) }

// call sends a request and calls each for the body of every message of the
// reply, which may be kept.
func (c *rtnetlink) call(typ, flags uint16, body []byte, each func(reply []byte)) error {
	c.seq++
	req := appendStruct(nil, unix.NlMsghdr{
		Len:   uint32(unix.SizeofNlMsghdr + len(body)),
		Type:  typ,
		Flags: unix.NLM_F_REQUEST | flags,
		Seq:   c.seq,
	})
	if err := unix.Sendto(c.fd, append(req, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		b := make([]byte, 64<<10) // more than the kernel puts into one datagram
		n, _, err := unix.Recvfrom(c.fd, b, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for b = b[:n]; len(b) >= unix.SizeofNlMsghdr; {
			var h unix.NlMsghdr
			if _, err := binary.Decode(b, binary.NativeEndian, &h); err != nil {
				return err
			}
			if h.Len < unix.SizeofNlMsghdr || int(h.Len) > len(b) {
				return errors.New("netlink: malformed message")
			}
			msg := b[unix.SizeofNlMsghdr:h.Len]
			b = b[min(align(int(h.Len)), len(b)):]
			switch {
			case h.Seq != c.seq:
				continue
			case h.Type == unix.NLMSG_DONE:
				return nil
			case h.Type == unix.NLMSG_ERROR: // int32 errno, negative, 0 to acknowledge | the request's header
				if len(msg) < 4 {
					return errors.New("netlink: malformed message")
				}
				if errno := -int32(nativeUint32(msg)); errno != 0 {
					return unix.Errno(errno)
				}
				return nil
			}
			each(msg)
			if h.Flags&unix.NLM_F_MULTI == 0 {
				return nil
			}
		}
	}
}

// An attribute: uint16 length, this header included | uint16 type | value | padding to 4 octets

func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

// attrs iterates over the attributes that follow a header of the given size.
func attrs(msg []byte, header int) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		if len(msg) < align(header) {
			return
		}
		for b := msg[align(header):]; len(b) >= unix.SizeofRtAttr; {
			n := int(nativeUint16(b))
			if n < unix.SizeofRtAttr || n > len(b) {
				return
			}
			if !yield(nativeUint16(b[2:]), b[unix.SizeofRtAttr:n:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// align rounds up as NLMSG_ALIGN and RTA_ALIGN do.
func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// appendStruct appends one of the kernel's structs, none of which has padding.
func appendStruct(b []byte, v any) []byte {
	b, err := binary.Append(b, binary.NativeEndian, v)
	if err != nil {
		panic("rawsend: " + err.Error()) // v is of no fixed size
	}
	return b
}

func nativeUint16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(b)
}

func nativeUint32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func nativeBytes(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// htons converts a number between host and network byte order.
func htons(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}
