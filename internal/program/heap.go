package program

import "runtime/debug"

// heapBesides is what each shard's goroutines hold beside captured data: one
// statement that is being judged, what a compressed packet becomes, and control
// messages.
const heapBesides = 64 << 20

// LimitHeap makes the garbage collector work harder when the heap grows toward
// what data of that size takes, a quarter of it being garbage. Without that the
// heap may become twice as large as what is in use. Who sets GOMEMLIMIT knows
// better.
func LimitHeap(data int64, shards int, getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(data + data/4 + int64(shards)*heapBesides)
	}
}
