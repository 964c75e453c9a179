package engine

import (
	"bytes"
	"runtime"
	"testing"
)

func newMemory(p *Pool, limit uint64) *memory {
	m := &memory{limit: limit, total: &p.memory, spares: &p.spares}
	m.Allocate(0, 1<<32)
	return m
}

func TestMemoryGrowsInPlace(t *testing.T) {
	var p Pool
	m := newMemory(&p, 8<<16)
	first := m.Reallocate(1 << 16)
	first[0] = 7
	grown := m.Reallocate(8 << 16)
	if len(grown) != 8<<16 || grown[0] != 7 || grown[len(grown)-1] != 0 {
		t.Fatalf("%d bytes, the first is %d", len(grown), grown[0])
	}
	if first[0] = 8; grown[0] != 8 && runtime.GOOS != "windows" {
		t.Error("the memory moved")
	}
	if m.denied || m.Reallocate(8<<16+1) != nil || !m.denied {
		t.Error("memory beyond the limit was given, or the refusal was not noted")
	}
	if _, ok := m.view(8<<16-4, 4); !ok {
		t.Error("the last bytes are not seen")
	}
	if got := p.memory.Load(); got != 8<<16 {
		t.Errorf("%d bytes are counted", got)
	}
	m.release()
	if got := p.memory.Load(); got != 0 {
		t.Errorf("%d bytes are counted after the release", got)
	}
	if _, ok := m.view(0, 1); ok {
		t.Error("memory is seen after the release")
	}
}

// Memory of an earlier instance is as clean as new one.
func TestSpareMemoryIsClean(t *testing.T) {
	var p Pool
	p.spares = spares{start: 2 << 16, keep: 1}
	defer p.spares.drop()
	zero := make([]byte, 2<<16)
	for range 3 {
		m := newMemory(&p, 8<<16)
		data := m.Reallocate(2 << 16)
		if !bytes.Equal(data, zero) {
			t.Fatal("the memory is not clean")
		}
		for i := range data {
			data[i] = 0xff
		}
		m.release()
	}
	grown := newMemory(&p, 8<<16)
	grown.Reallocate(2 << 16)
	grown.Reallocate(3 << 16)
	grown.release()
	if n := len(p.spares.regions); n != 0 {
		t.Errorf("memory that has grown is kept: %d regions", n)
	}
	a, b := newMemory(&p, 8<<16), newMemory(&p, 8<<16)
	a.Reallocate(2 << 16)
	b.Reallocate(2 << 16)
	a.release()
	b.release()
	if n := len(p.spares.regions); n > p.spares.keep {
		t.Errorf("%d regions are kept, want at most %d", n, p.spares.keep)
	}
}

func TestNoMemory(t *testing.T) {
	var p Pool
	m := newMemory(&p, 0)
	if m.Reallocate(0) != nil || m.Reallocate(1<<16) != nil {
		t.Error("memory was given although there is none")
	}
	m.release()
}
