//go:build linux

package capture

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A block of a TPACKET_V3 ring (include/uapi/linux/if_packet.h):
//
//	tpacket_block_desc | tpacket3_hdr, sockaddr_ll, packet | tpacket3_hdr, …
//
// The kernel sets TP_STATUS_USER in the block's status word after everything
// else, the reader clears it after its last look at the block.

const hdrV1Offset = unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr)

func (r *Ring) block(i int) (block []byte, h *unix.TpacketHdrV1) {
	block = r.mem[i*r.layout.blockSize:][:r.layout.blockSize]
	return block, (*unix.TpacketHdrV1)(unsafe.Pointer(&block[hdrV1Offset]))
}

// readBlock leases the next block, if it is full or retired.
func (r *Ring) readBlock(dst []Frame) []Frame {
	if r.held == r.layout.units {
		return dst
	}
	block, h := r.block(r.next)
	if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
		return dst
	}
	r.held++
	if r.next++; r.next == r.layout.units {
		r.next = 0
	}
	at := h.Offset_to_first_pkt
	for range h.Num_pkts {
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[at]))
		ll := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&block[at+align(unix.SizeofTpacket3Hdr)]))
		b := block[at+uint32(p.Net):][:p.Snaplen:p.Snaplen]
		dst = r.appendFrame(dst, b, int(p.Len), ll, p.Sec, p.Nsec)
		at += p.Next_offset
	}
	return dst
}

func (r *Ring) releaseBlock(i int) {
	_, h := r.block(i)
	atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
}

// align rounds a header's size up as TPACKET_ALIGN does.
func align(n uint32) uint32 { return (n + unix.TPACKET_ALIGNMENT - 1) &^ (unix.TPACKET_ALIGNMENT - 1) }
