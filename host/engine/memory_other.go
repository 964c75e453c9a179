//go:build !unix

package engine

// reserve has nothing to offer here: memory moves when it grows.
func (m *memory) reserve() bool { return true }

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
