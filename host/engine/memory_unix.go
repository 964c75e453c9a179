//go:build unix

package engine

import "golang.org/x/sys/unix"

// reserve gets address space for the whole limit, so that growing never moves
// or copies.
func (m *memory) reserve() bool {
	if m.limit == 0 {
		return true
	}
	region, err := unix.Mmap(-1, 0, int(m.limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	m.region = region
	return err == nil
}

// extend makes the first size bytes usable.
func (m *memory) extend(size uint64) bool {
	if size <= m.usable {
		return true
	}
	if size > uint64(len(m.region)) || unix.Mprotect(m.region[m.usable:size], unix.PROT_READ|unix.PROT_WRITE) != nil {
		return false
	}
	m.usable = size
	return true
}

func unreserve(region []byte) {
	if region != nil {
		_ = unix.Munmap(region) // fails only for a region that is none
	}
}
