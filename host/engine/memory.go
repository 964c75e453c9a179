package engine

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// A memory is the linear memory of one instance. It lies outside the Go heap
// where the system allows, at an address that never changes, and it is given
// back only by its owner: wazero frees it as soon as a guest exits, while
// host functions up the stack may still look at it.
type memory struct {
	limit  uint64
	total  *atomic.Int64 // bytes of all instances of the pool
	region []byte        // reserved; see reserve
	data   []byte        // in use
	denied bool          // the guest was refused more
}

var (
	_ experimental.MemoryAllocator = (*memory)(nil)
	_ experimental.LinearMemory    = (*memory)(nil)
)

// Allocate implements experimental.MemoryAllocator. A module has at most one
// memory, so the allocator is the memory.
func (m *memory) Allocate(_, most uint64) experimental.LinearMemory {
	m.limit = min(m.limit, most)
	return m
}

// Reallocate implements experimental.LinearMemory: nil makes memory.grow fail.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.denied = true
		return nil
	}
	if !m.commit(size) {
		m.denied = true
		return nil
	}
	m.total.Add(int64(size) - int64(len(m.data)))
	m.data = m.region[:size:size]
	return m.data
}

// Free implements experimental.LinearMemory and leaves the work to release.
func (m *memory) Free() {}

// release gives the memory back. Only the owner of the instance may call it.
func (m *memory) release() {
	m.total.Add(-int64(len(m.data)))
	m.data = nil
	m.unreserve()
}

// view returns n bytes at ptr, if they are inside.
func (m *memory) view(ptr, n uint32) ([]byte, bool) {
	end := uint64(ptr) + uint64(n)
	if end > uint64(len(m.data)) {
		return nil, false
	}
	return m.data[ptr:end:end], true
}
