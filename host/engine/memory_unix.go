//go:build unix

package engine

import "golang.org/x/sys/unix"

// commit makes the first size bytes usable. The whole limit is reserved at
// once, so that growing never moves or copies.
func (m *memory) commit(size uint64) bool {
	if m.region == nil {
		if m.limit == 0 {
			return true
		}
		region, err := unix.Mmap(-1, 0, int(m.limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return false
		}
		m.region = region
	}
	used := uint64(len(m.data))
	return size <= used || unix.Mprotect(m.region[used:size], unix.PROT_READ|unix.PROT_WRITE) == nil
}

func (m *memory) unreserve() {
	if m.region != nil {
		_ = unix.Munmap(m.region) // fails only for a region that is none
		m.region = nil
	}
}
