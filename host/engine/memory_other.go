//go:build !unix

package engine

// commit makes the first size bytes usable.
func (m *memory) commit(size uint64) bool {
	if size > uint64(cap(m.region)) {
		region := make([]byte, size)
		copy(region, m.data)
		m.region = region
	}
	return true
}

func (m *memory) unreserve() { m.region = nil }
