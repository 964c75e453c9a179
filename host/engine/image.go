package engine

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
)

// An image is the first state of a module's instances: what memory and globals
// held once everything had run that runs before the first request. New
// instances begin with it, and used ones are set back to it. It never changes.
type image struct {
	contents
	globals []uint64
	flags   uint32
}

// contents are the bytes of an image's memory.
type contents struct {
	size  int
	zero  []bool // by page of the system: it holds nothing but zeros
	bytes []byte // read only, as far as there is more than zeros
	file  int    // the same, to be mapped; -1: none
}

// filled is the size of what holds more than zeros, with all before it.
func (c *contents) filled() int {
	n := len(c.zero)
	for n > 0 && c.zero[n-1] {
		n--
	}
	return n * systemPage
}

// zeroPages finds the pages of the system that hold nothing but zeros.
func zeroPages(memory []byte) []bool {
	zero := make([]bool, len(memory)/systemPage)
	for i := range zero {
		zero[i] = isZero(memory[i*systemPage : (i+1)*systemPage])
	}
	return zero
}

func isZero(page []byte) bool {
	words := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(page))), len(page)/8)
	return !slices.ContainsFunc(words, func(w uint64) bool { return w != 0 })
}

// copyPages writes the pages from first to last, excluding it, over memory.
func (c *contents) copyPages(memory []byte, first, last int) {
	for at := first; at < last; {
		end := at + 1
		for end < last && c.zero[end] == c.zero[at] {
			end++
		}
		target := memory[at*systemPage : end*systemPage]
		if c.zero[at] {
			clear(target)
		} else {
			copy(target, c.bytes[at*systemPage:end*systemPage])
		}
		at = end
	}
}

// A restoring is a way to set memory back to an image.
type restoring int

const (
	// restoreDirty asks the system which pages were written to, and copies
	// these. Linux can tell since 6.7.
	restoreDirty restoring = iota
	// restoreDropped lets the system forget the written pages. The next write
	// to one costs a page fault, which takes longer than copying a page.
	restoreDropped
	// restoreCopied copies everything.
	restoreCopied
)

func (r restoring) String() string {
	return [...]string{"copying the pages written to", "dropping the pages written to", "copying all pages"}[r]
}

const (
	// maxDirty is how many bytes an instance may have for itself before they
	// are dropped: pages written to once stay and are copied each time.
	maxDirty = 1 << 20
	// maxCopied is up to which size copying everything is quicker than having
	// pages dropped.
	maxCopied = 128 << 10
)

// restore sets memory, which has the size of the image, back to it.
func (im *image) restore(e *Engine, memory []byte) error {
	way := e.restoring
	if way == restoreDropped && im.size <= maxCopied {
		way = restoreCopied
	}
	switch way {
	case restoreDirty:
		return im.restoreDirty(e.pagemap, memory)
	case restoreDropped:
		return drop(memory)
	default:
		im.copyPages(memory, 0, len(im.zero))
		return nil
	}
}

// capture makes an image of the instance's state.
func (in *instance) capture() (*image, error) {
	c, err := newContents(in.memory.data)
	if err != nil {
		return nil, fmt.Errorf("an image of the first state: %w", err)
	}
	im := &image{contents: c, flags: in.flags}
	for _, g := range in.globals {
		im.globals = append(im.globals, g.Get())
	}
	return im, nil
}

// mutableGlobals finds the globals that are part of an instance's state.
func mutableGlobals(m api.Module, names []string) []api.MutableGlobal {
	globals := make([]api.MutableGlobal, len(names))
	for i, name := range names {
		globals[i] = m.ExportedGlobal(name).(api.MutableGlobal)
	}
	return globals
}
