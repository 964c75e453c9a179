//go:build !unix

package engine

// extend makes the first size bytes usable.
func (m *memory) extend(size uint64) bool {
	if size > m.usable {
		region := make([]byte, size)
		copy(region, m.data)
		m.region, m.usable = region, size
	}
	return true
}

func unreserve([]byte) {}
