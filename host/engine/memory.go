package engine

import (
	"sync"
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
	spares *spares
	region []byte // address space for the limit
	usable uint64 // bytes of the region that can be accessed
	data   []byte // what the guest has
	denied bool   // the guest was refused more
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
	if m.region == nil {
		m.region, m.usable = m.spares.take()
	}
	if size > m.limit || !m.extend(size) {
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
	if !m.spares.put(m.region, m.usable) {
		unreserve(m.region)
	}
	m.data, m.region, m.usable = nil, nil, 0
}

// view returns n bytes at ptr, if they are inside.
func (m *memory) view(ptr, n uint32) ([]byte, bool) {
	end := uint64(ptr) + uint64(n)
	if end > uint64(len(m.data)) {
		return nil, false
	}
	return m.data[ptr:end:end], true
}

// spares keep the regions of a pool's instances for its next ones: to clean
// memory is quicker than to reserve it anew. Memory that has grown is not
// kept.
type spares struct {
	start uint64 // bytes that each instance has at first
	keep  int

	mu      sync.Mutex
	regions [][]byte // clean, and usable as far as start
}

func (s *spares) take() (region []byte, usable uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.regions)
	if n == 0 {
		return nil, 0
	}
	region, s.regions = s.regions[n-1], s.regions[:n-1]
	return region, s.start
}

// put reports whether it has taken the region.
func (s *spares) put(region []byte, usable uint64) bool {
	if region == nil || usable != s.start {
		return false
	}
	s.mu.Lock()
	full := len(s.regions) >= s.keep
	s.mu.Unlock()
	if full || !clean(region[:usable]) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.regions = append(s.regions, region)
	return true
}

func (s *spares) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, region := range s.regions {
		unreserve(region)
	}
	s.regions = nil
}
