//go:build unix

package engine

import "golang.org/x/sys/unix"

// extend makes the first size bytes usable. The whole limit is reserved at
// once, so that growing never moves or copies.
func (m *memory) extend(size uint64) bool {
	if m.region == nil && m.limit > 0 {
		region, err := unix.Mmap(-1, 0, int(m.limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return false
		}
		m.region = region
	}
	if size > m.usable {
		if unix.Mprotect(m.region[m.usable:size], unix.PROT_READ|unix.PROT_WRITE) != nil {
			return false
		}
		m.usable = size
	}
	return true
}

func unreserve(region []byte) {
	if region != nil {
		_ = unix.Munmap(region) // fails only for a region that is none
	}
}
