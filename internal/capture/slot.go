//go:build linux

package capture

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A slot of a TPACKET_V2 ring (include/uapi/linux/if_packet.h):
//
//	tpacket2_hdr | sockaddr_ll | gap | packet
//
// The kernel sets TP_STATUS_USER in the slot's status word after everything
// else, the reader clears it after its last look at the slot.

const (
	// slotSize divides the ring into many slots, so that it lasts while the
	// reader is away, rather than into few that could hold any packet: one that
	// does not fit overflows.
	slotSize = 4096

	// slotBatch bounds what one call of Frames leases, and so what waits for a
	// slow Release.
	slotBatch = 256
)

func (r *Ring) slot(i int) (slot []byte, h *unix.Tpacket2Hdr) {
	perBlock := r.layout.blockSize / slotSize
	slot = r.mem[i/perBlock*r.layout.blockSize+i%perBlock*slotSize:][:slotSize]
	return slot, (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0]))
}

// readSlots leases the slots that are full.
func (r *Ring) readSlots(dst []Frame) []Frame {
	for n := 0; n < slotBatch && r.held < r.layout.units && r.overflow.used < overflowBatch; n++ {
		slot, h := r.slot(r.next)
		status := atomic.LoadUint32(&h.Status)
		if status&unix.TP_STATUS_USER == 0 {
			break
		}
		r.held++
		if r.next++; r.next == r.layout.units {
			r.next = 0
		}
		ll := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&slot[align(unix.SizeofTpacket2Hdr)]))
		b := slot[h.Net:][:h.Snaplen:h.Snaplen]
		if status&unix.TP_STATUS_COPY != 0 {
			if whole := r.readOverflow(int(h.Len)); whole != nil {
				b = whole
			}
		}
		dst = r.appendFrame(dst, b, int(h.Len), ll, h.Sec, h.Nsec)
	}
	return dst
}

func (r *Ring) releaseSlot(i int) {
	_, h := r.slot(i)
	atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
}

// An overflow holds packets larger than a slot. With PACKET_COPY_THRESH the
// kernel also puts such a packet, whole, into the socket's receive queue, in the
// order of the slots, and marks the slot with TP_STATUS_COPY. When the queue is
// full the packet is cut.
type overflow struct {
	buffers [][]byte
	used    int
}

const (
	overflowBatch = 64      // buffers; of up to 64 KiB each, GRO's limit
	overflowQueue = 8 << 20 // octets of the receive queue, the kernel's overhead included
)

// allow sets the socket up; not being allowed a long queue is no error.
func (o *overflow) allow(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_COPY_THRESH, 1)
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, overflowQueue) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, overflowQueue)
	}
}

// readOverflow takes the next packet, of size octets, from the receive queue.
func (r *Ring) readOverflow(size int) []byte {
	o := &r.overflow
	if o.used == len(o.buffers) {
		o.buffers = append(o.buffers, nil)
	}
	b := grow(o.buffers[o.used], size)
	o.buffers[o.used] = b
	o.used++
	for range 2 {
		n, err := unix.Read(r.fd, b)
		if err == nil {
			return b[:n:n]
		}
		if !errors.Is(err, unix.ENETDOWN) { // which comes before the queue, once
			r.pending = err
			return nil
		}
		r.pending = err
	}
	return nil
}
