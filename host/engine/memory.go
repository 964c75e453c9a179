package engine

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// A memory is the linear memory of one instance. It lies outside the Go heap
// where the system allows, at an address that never changes, and it is given
// back only by its owner: wazero frees it as soon as a guest exits, while
// host functions up the stack may still look at it.
type memory struct {
	limit   uint64
	total   *atomic.Int64 // bytes of all instances of the pool
	guests  *guestMemory  // of all instances
	charged int64         // to that
	spares  *spares
	image   *image // what it begins with; nil: zeros
	region  []byte // address space for the limit
	usable  uint64 // bytes of the region that can be accessed
	data    []byte // what the guest has
	denied  bool   // the guest was refused more
	full    bool   // because there is no more for anybody
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
	if size > m.limit || !m.charge(int64(size)) || m.region == nil && !m.begin() || !m.extend(size) {
		m.denied = true
		return nil
	}
	m.total.Add(int64(size) - int64(len(m.data)))
	m.data = m.region[:size:size]
	return m.data
}

// charge makes the account of all instances hold so many bytes for this one,
// and reports whether there are as many.
func (m *memory) charge(bytes int64) bool {
	if !m.guests.change(bytes - m.charged) {
		m.full = true
		return false
	}
	m.charged = bytes
	return true
}

// begin gets address space, with the image in it.
func (m *memory) begin() bool {
	if m.region, m.usable = m.spares.take(m.image); m.region != nil {
		return true
	}
	return m.reserve() && (m.image == nil || m.adopt(m.image) == nil)
}

// adopt puts an image into the memory, which already holds the same or nothing.
func (m *memory) adopt(im *image) error {
	if uint64(im.size) > m.limit || m.region == nil && !m.reserve() || !m.extend(uint64(im.size)) {
		return fmt.Errorf("%w: an image of %d bytes", ErrMemory, im.size)
	}
	m.image = im
	return im.mapOver(m.region)
}

// Free implements experimental.LinearMemory and leaves the work to release.
func (m *memory) Free() {}

// release gives the memory back. Only the owner of the instance may call it.
func (m *memory) release() {
	m.total.Add(-int64(len(m.data)))
	m.charge(0)
	if !m.spares.put(m.region, m.usable, m.image) {
		unreserve(m.region)
	}
	m.data, m.region, m.usable, m.image = nil, nil, 0, nil
}

// view returns n bytes at ptr, if they are inside.
func (m *memory) view(ptr, n uint32) ([]byte, bool) {
	end := uint64(ptr) + uint64(n)
	if end > uint64(len(m.data)) {
		return nil, false
	}
	return m.data[ptr:end:end], true
}

// spares keep the regions of a pool's instances for its next ones: to drop
// what was written is quicker than to reserve and map anew. Memory that has
// grown is not kept.
type spares struct {
	start uint64 // bytes that each instance without an image has at first
	keep  int

	mu      sync.Mutex
	image   *image   // in all of them
	regions [][]byte // usable as far as size
}

// size is how much of a spare region is usable. s.mu is held.
func (s *spares) size() uint64 {
	if s.image != nil {
		return uint64(s.image.size)
	}
	return s.start
}

func (s *spares) take(im *image) (region []byte, usable uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.regions)
	if n == 0 || s.image != im {
		return nil, 0
	}
	region, s.regions = s.regions[n-1], s.regions[:n-1]
	return region, s.size()
}

// put reports whether it has taken the region.
func (s *spares) put(region []byte, usable uint64, im *image) bool {
	s.mu.Lock()
	if len(s.regions) == 0 {
		s.image = im
	}
	fits := region != nil && s.image == im && usable == s.size() && len(s.regions) < s.keep
	s.mu.Unlock()
	if !fits || drop(region[:usable]) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.image != im || len(s.regions) >= s.keep { // others were quicker
		return false
	}
	s.regions = append(s.regions, region)
	return true
}

func (s *spares) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, region := range s.regions {
		unreserve(region)
	}
	s.regions, s.image = nil, nil
}
