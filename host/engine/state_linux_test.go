package engine

import (
	"testing"

	"github.com/berth-host/berth/abi"
)

// An instance that has written a lot gives the pages back.
func TestManyDirtyPagesAreDropped(t *testing.T) {
	if way, _ := bestRestoring(); way != restoreDirty {
		t.Skip("this system does not tell which pages were written to")
	}
	e := newEngine(t)
	p := newPool(t, e, "scribble", PoolConfig{Limits: Limits{Instances: 1}})
	mustRun(t, p, 4, 0) // writes 3 MiB
	dirty := 0
	err := p.Do(t.Context(), nil, func(g abi.Guest) error {
		return dirtyRanges(e.pagemap, memoryOf(g), func(first, last int) { dirty += last - first })
	})
	if err != nil || dirty > 0 {
		t.Errorf("%d pages are still the instance's own, %v", dirty, err)
	}
	mustRun(t, p, 0, 0) // writes two pages
	err = p.Do(t.Context(), nil, func(g abi.Guest) error {
		return dirtyRanges(e.pagemap, memoryOf(g), func(first, last int) { dirty += last - first })
	})
	if want := (5000 + systemPage - 1) / systemPage; err != nil || dirty != want {
		t.Errorf("%d pages are the instance's own, %v; want %d", dirty, err, want)
	}
}
